"""`emovox enrol`: learn how a speaker usually sounds."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..live.speakers import plain_name
from .console import counted, progress_bar, say, warn
from .inputs import Interruptible, collect_errors, expand, report
from .outputs import check_outputs
from .predict import ModelOption

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Recognizer

_FEW_SECONDS = 20.0  # of speech; below this, a baseline is worth much less


@dataclass(frozen=True)
class _Learned:
    """A speaker's baseline, and what it was learned from."""

    baseline: "Baseline"
    n_recordings: int = 0
    seconds: float = 0.0  # of the recordings
    speech_seconds: float = 0.0  # of these

    def with_recording(
        self, recognizer: "Recognizer", file: Path, max_seconds: float
    ) -> "_Learned":
        """Return what is known after one recording more."""
        from ..audio import RATE

        speech = recognizer.read(file, max_seconds=max_seconds)
        _, windows = recognizer.hear(speech.samples, self.baseline)
        return _Learned(
            self.baseline.after(windows),
            self.n_recordings + 1,
            self.seconds + speech.seconds,
            self.speech_seconds + len(speech.samples) / RATE,
        )


def enrol(
    name: Annotated[str, typer.Argument(help="Name of the speaker.")],
    files: Annotated[
        list[Path], typer.Argument(help="Recordings of this speaker, or folders or tables of them.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File for the baseline (JSON).")],
    model: ModelOption = None,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Refuse longer recordings.")] = 3600.0,
) -> None:
    """Learn a speaker's usual voice from recordings, without labels."""
    from ..model import find_model
    from ..recognizer import Recognizer

    name = plain_name(name)
    given, errors = expand(files)
    recordings = list(dict.fromkeys(recording.file for recording in given))
    check_outputs({"--out": out}, [*files, *recordings, find_model(model)])
    recognizer = Recognizer.load(model)
    n_all = len(recordings) + len(errors)
    learned = _Learned(recognizer.new_baseline(name))
    with Interruptible() as work, progress_bar("listening") as on_progress:
        for done, file in enumerate(recordings, start=1):
            with collect_errors(file, errors):
                learned = learned.with_recording(recognizer, file, max_seconds)
            on_progress(done, len(recordings))
    if learned.n_recordings:
        _keep(learned, out, n_all)
    only = learned.n_recordings if work.interrupted else None
    raise typer.Exit(report(errors, n_all, "heard", only=only))


def _keep(learned: _Learned, out: Path, n_all: int) -> None:
    """Write the baseline, and say what it is worth."""
    learned.baseline.save(out)
    recordings = f"{learned.n_recordings:,} of {counted(n_all, 'recording')}"
    say(
        f"{learned.baseline.name}: heard {learned.speech_seconds:.1f} s of speech in {recordings}, "
        f"{learned.seconds:.1f} s long"
    )
    warn(f"wrote {out}")
    if learned.speech_seconds < _FEW_SECONDS:
        warn(f"emovox: little speech heard; {_FEW_SECONDS:g} s or more is recommended")
