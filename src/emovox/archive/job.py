"""The request for a run, and the job that is sent to its workers."""

from dataclasses import dataclass, field
from pathlib import Path

from .ledger import Ledger
from .plan import PartSize


@dataclass(frozen=True)
class Request:
    """The options of a run.

    Parameters
    ----------
    source : Path
        A folder, or a table (.csv, .parquet) with a column `file`.
    out : Path
        A new or empty folder, or the folder of the run to resume.
    model : str or None
        A model file, or the name of a shipped model; None: the default.
    segments : bool
        Judge each segment of speech, not the recording as a whole.
    speaker_column : str or None
        The table's column that names the speaker: each recording is judged with a baseline of its
        speaker.
    scheduler : str or None
        Address of a running cluster; None: worker processes on this machine.
    n_workers : int
        Worker processes on this machine, used without a scheduler.
    resume : bool
        Resume an interrupted run; a new folder begins one.
    max_seconds : float
        Longer recordings are refused.
    limit_s : float
        Give up on a recording that keeps a worker busy for longer, in seconds.
    csv : bool
        Also write the rows as one CSV table.
    size : PartSize
        How much is handed to a worker at a time.
    """

    source: Path
    out: Path
    model: str | None = None
    segments: bool = False
    speaker_column: str | None = None
    scheduler: str | None = None
    n_workers: int = 1
    resume: bool = False
    max_seconds: float = 3600.0
    limit_s: float = 600.0
    csv: bool = False
    size: PartSize = field(default_factory=PartSize)


@dataclass(frozen=True)
class Job:
    """A run, as every worker gets it.

    Parameters
    ----------
    request : Request
        With paths that are the same on every machine.
    fingerprint : str
        Of the model file; a worker that has another file under its name is refused.
    version : str
        Of emovox; a worker with another version is refused, too.
    session : str
        Tells this driver from earlier ones.
    """

    request: Request
    fingerprint: str
    version: str
    session: str

    @property
    def ledger(self) -> Ledger:
        """The run's folder."""
        return Ledger(self.request.out)
