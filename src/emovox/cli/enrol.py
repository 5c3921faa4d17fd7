"""`emovox enrol`: learn how a speaker usually sounds."""

from pathlib import Path
from typing import Annotated

import typer

from .console import progress_bar, say, warn
from .recognise import ModelOption
from .recordings import chunks, expand, read, report_failures

_FEW_SECONDS = 20.0  # below this, a baseline is worth much less


def enrol(
    name: Annotated[str, typer.Argument(help="Of the speaker.")],
    files: Annotated[
        list[Path], typer.Argument(help="Recordings of this speaker, folders or tables of them.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Where to write the baseline (JSON).")],
    model: ModelOption = None,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Refuse longer recordings.")] = 3600.0,
) -> None:
    """Learn a speaker's usual voice from recordings, without labels."""
    from ..recognizer import Recognizer

    recognizer = Recognizer.load(model)
    found, errors = expand(files)
    found = list(dict.fromkeys(found))
    n_all, n_heard = len(found) + len(errors), 0
    baseline = recognizer.new_baseline(name)
    with progress_bar("listening") as on_progress:
        for chunk in chunks(found):
            clips, unusable = read(chunk, max_seconds)
            baseline = recognizer.learn(baseline, list(clips.values()))
            errors += unusable.values()
            n_heard += len(clips)
            on_progress(n_heard + len(errors), n_all)
    if n_heard:
        baseline.save(out)
        say(f"{name}: heard {baseline.seconds:.1f} s in {n_heard} of {n_all} recordings")
        warn(f"wrote {out}")
        if baseline.seconds < _FEW_SECONDS:
            warn(f"emovox: this is little; {_FEW_SECONDS:g} s or more make a better baseline")
    report_failures(errors, n_all, "heard")
