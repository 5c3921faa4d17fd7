"""`emovox predict --turns`: the turns of a recording, as another tool cut them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    baselines = _baselines(turns, options.baseline)
    outcome = _recognise(recognizer, file, turns, baselines, options)
    if outcome.problems and not outcome.answers:
        return _report(file, outcome, len(turns))
    is_written = _write(outputs, recognizer.labels, file, outcome, prosody=options.prosody)
    if outputs.as_json:
        say_json(_row(file, outcome, len(turns)))
    elif not (is_written and any(outputs.files().values())):
        _print(file, outcome, options)
    return max(_report(file, outcome, len(turns)), 0 if is_written else 1)


def _baselines(turns: "Sequence[Turn]", own: "Baseline | None") -> "dict[str, Baseline]":
    """Return the baseline given by its speaker: the one of its name, or the only one.

    Raises
    ------
    BaselineError
        If that is nobody.
    """
    from ..errors import BaselineError

    speakers = list(dict.fromkeys(turn.speaker for turn in turns))
    if own is None:
        return {}
    if own.name in speakers:
        return {own.name: own}
    if len(speakers) == 1:
        return {speakers[0]: own}
    listed = ", ".join(map(repr, speakers[:5])) + (", ..." if len(speakers) > 5 else "")
    raise BaselineError(
        f"expected the baseline of one of the speakers, {listed}, got that of {own.name!r}"
    )


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
    from ..prediction import summarise

    speakers = dict.fromkeys(answer.turn.speaker for answer in outcome.answers)
    return {
        "file": str(file),
        "complete": len(outcome.answers) == n_turns and not outcome.problems,
        "turns": [answer.to_dict() for answer in outcome.answers],
        "summaries": [
            {
                "speaker": speaker,
                **summarise(
                    [
                        answer.prediction
                        for answer in outcome.answers
                        if answer.turn.speaker == speaker and answer.prediction
                    ]
                ).to_dict(),
            }
            for speaker in speakers
        ],
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
