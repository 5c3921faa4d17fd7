"""The request for a run, and the job that is sent to its workers."""

from dataclasses import dataclass
from pathlib import Path

from .ledger import Ledger


@dataclass(frozen=True)
class Request:
    """The options of a run."""

    source: Path  # a folder, or a table (.csv, .parquet) with a column of files
    out: Path  # a new or empty folder, or the folder of the run to resume
    model: str | None = None  # a model file, or the name of a shipped one; None: the default
    segments: bool = False  # judge each segment of speech, not the recording as a whole
    prosody: bool = False  # measure the voice, too
    speaker_column: str | None = None  # names the speaker, whose baseline is then used
    scheduler: str | None = None  # address of a running cluster; None: processes on this machine
    n_workers: int = 1  # processes on this machine, used without a scheduler
    resume: bool = False
    max_seconds: float = 3600.0  # longer recordings are refused
    limit_s: float = 600.0  # of work, after which a recording is given up
    csv: bool = False  # also write the rows as one CSV table
    file_column: str = "file"  # of a table, which names the recordings
    part_size: int = 128  # recordings that a worker gets at a time, at most


@dataclass(frozen=True)
class Job:
    """A run, as every worker gets it."""

    request: Request  # with paths that are the same on every machine
    fingerprint: str  # of the model file; a worker with another file under its name is refused
    version: str  # of emovox; a worker with another version is refused, too
    session: str  # tells this driver from earlier ones

    @property
    def ledger(self) -> Ledger:
        """The run's folder."""
        return Ledger(self.request.out)
