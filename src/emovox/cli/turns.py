"""`emovox predict --turns` and `--speakers`: turns that another tool cut, or that are found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..tracks import (
    JUDGED_COLUMNS,
    PROSODY_COLUMNS,
    csv_table,
    judged_cells,
    prosody_cells,
    score_cells,
    score_columns,
    timestamp,
)
from .console import counted, progress_bar, say, say_json, warn
from .inputs import Interruptible, collect_errors
from .measure import VOICE_COLUMNS, voice_cells
from .outputs import write
from .segments import Outputs, print_predictions
from .tracks import label

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Recognizer
    from ..turns.turn import Turn, TurnAnswer

SpeakersOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="With --segments: find who speaks, of N people or as many as sound different.",
    ),
]
_COLUMNS = ("file", "start", "end", "speaker", "text", "label", "score")


@dataclass(frozen=True)
class TurnOptions:
    """How the turns of a recording are recognised; `baseline` is that of one speaker."""

    baseline: "Baseline | None"
    explain: bool
    prosody: bool
    max_seconds: float


@dataclass
class _Outcome:
    """The answers to the turns, and the problems that kept some from being heard."""

    answers: "list[TurnAnswer]" = field(default_factory=list)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False


def number_of(speakers: str) -> int | None:
    """Return how many speakers to look for; None for as many as sound different.

    Raises
    ------
    typer.BadParameter
        If it is neither "auto" nor a number that can be looked for.
    """
    from ..errors import ConfigError
    from ..turns.finding import check_speakers

    if speakers == "auto":
        return None
    try:
        check_speakers(int(speakers))
    except (ValueError, ConfigError):
        raise typer.BadParameter(
            f"expected --speakers of 1 to 10, or auto, got {speakers!r}"
        ) from None
    return int(speakers)


def find_speakers(file: Path, n_speakers: int | None, max_seconds: float) -> "list[Turn]":
    """Find who spoke when in a recording; end the command where that cannot be found."""
    from ..turns.finding import find_turns

    problems: list[str] = []
    found: list[Turn] = []
    with (
        Interruptible() as work,
        collect_errors(file, problems),
        progress_bar(f"{file.name}: speakers") as show,
    ):
        found = find_turns(
            file,
            speakers=n_speakers,
            max_seconds=max_seconds,
            on_progress=lambda seconds, whole: show(int(seconds), int(whole or seconds)),
        )
    if problems or work.interrupted:
        raise typer.Exit(
            _report(file, _Outcome(problems=problems, interrupted=work.interrupted), 0)
        )
    return found


def predict_turns(
    recognizer: "Recognizer",
    file: Path,
    turns: "Sequence[Turn]",
    options: TurnOptions,
    outputs: Outputs,
) -> int:
    """Recognise the turns of a recording, write them as asked, and return the exit code.

    Ctrl-C ends it: what was recognised until then is written.
    """
    from ..turns.conversation import baselines_of

    baselines = baselines_of(turns, options.baseline)
    outcome = _recognise(recognizer, file, turns, baselines, options)
    if outcome.problems and not outcome.answers:
        return _report(file, outcome, len(turns))
    is_written = _write(outputs, recognizer.labels, file, outcome, prosody=options.prosody)
    if outputs.as_json:
        say_json(_row(file, outcome, len(turns)))
    elif not (is_written and any(outputs.files().values())):
        _print(file, outcome, options)
    return max(_report(file, outcome, len(turns)), 0 if is_written else 1)


def _recognise(
    recognizer: "Recognizer",
    file: Path,
    turns: "Sequence[Turn]",
    baselines: "dict[str, Baseline]",
    options: TurnOptions,
) -> _Outcome:
    """Recognise the turns; those answered before an error are kept."""
    outcome = _Outcome()
    with Interruptible() as work, collect_errors(file, outcome.problems):
        conversation = recognizer.turns(
            file,
            turns,
            baselines=baselines,
            explain=options.explain,
            prosody=options.prosody,
            max_seconds=options.max_seconds,
        )
        try:
            with progress_bar(file.name) as show:
                for answer in conversation:
                    outcome.answers.append(answer)
                    show(len(outcome.answers), len(turns))
        finally:
            outcome.seconds = conversation.seconds
            if conversation.broken:
                what = f"{file}: {conversation.broken}"
                outcome.problems[:] = [f"{what}; the turns before that were recognised"]
    outcome.interrupted = work.interrupted
    return outcome


def _row(file: Path, outcome: _Outcome, n_turns: int) -> dict[str, Any]:
    """Return what JSON says of a recording."""
    from ..turns.turn import speaker_summaries

    return {
        "file": str(file),
        "complete": len(outcome.answers) == n_turns and not outcome.problems,
        "turns": [answer.to_dict() for answer in outcome.answers],
        "summaries": speaker_summaries(outcome.answers),
    }


def _write(
    outputs: Outputs, labels: Sequence[str], file: Path, outcome: _Outcome, *, prosody: bool
) -> bool:
    """Write what was asked for; tell whether all of it could be written."""
    texts = outputs.tracks.texts(outcome.answers, file, outcome.seconds)
    if outputs.csv:
        texts = {outputs.csv: _csv(labels, file, outcome.answers, prosody=prosody), **texts}
    written = [write(path, text) for path, text in texts.items()]
    return all(written)


def _csv(
    labels: Sequence[str], file: Path, answers: "Sequence[TurnAnswer]", *, prosody: bool
) -> str:
    """Return a table that `--turns` reads as well."""
    scores, voice = score_columns(labels), PROSODY_COLUMNS if prosody else ()
    rows: list[tuple[object, ...]] = []
    for answer in answers:
        turn, p = answer.turn, answer.prediction
        about = (str(file), turn.start, turn.end, turn.speaker, turn.text)
        if p is None:
            empty = [""] * (2 + len(scores) + len(JUDGED_COLUMNS))
            rows.append((*about, *empty, answer.reason, *[""] * len(voice)))
            continue
        cells = (p.label, f"{p.score:.6f}", *score_cells(labels, p), *judged_cells(p))
        rows.append((*about, *cells, "", *(prosody_cells(p.prosody) if prosody else ())))
    return csv_table((*_COLUMNS, *scores, *JUDGED_COLUMNS, "reason", *voice), rows)


def _print(file: Path, outcome: _Outcome, options: TurnOptions) -> None:
    """Print the turns, and why some have no answer."""
    if not outcome.answers:
        say("no speech found")
        return
    answered = [(one, one.prediction) for one in outcome.answers if one.prediction]
    voice = VOICE_COLUMNS if options.prosody else ()
    rows = [
        (
            timestamp(p.start),
            timestamp(p.end),
            answer.turn.speaker,
            label(p),
            f"{p.score:.0%}",
            *(voice_cells(p.prosody) if voice else ()),
            answer.turn.text,
        )
        for answer, p in answered
    ]
    header = ("from", "to", "speaker", "emotion", "score", *voice, "text")
    print_predictions(str(file), header, rows, [p for _, p in answered])
    for answer in outcome.answers:
        if answer.prediction is None:
            start, end = answer.turn.start, answer.turn.end
            say(f"no answer for {start:g} to {end:g} s: {answer.reason}")


def _report(file: Path, outcome: _Outcome, n_turns: int) -> int:
    """Say what is not whole, and return the exit code."""
    for problem in outcome.problems:
        warn(f"emovox: {problem}")
    if outcome.interrupted:
        done = f"{len(outcome.answers):,} of {counted(n_turns, 'turn')}"
        warn(f"emovox: interrupted; {done} of {file} were recognised")
        return 130
    return 1 if outcome.problems else 0
