"""The answers of `emovox predict` as tracks for other tools: subtitles, labels, tiers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..prediction import Prediction
    from ..turns.turn import Turn, TurnAnswer

Vtt = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="With --segments or --turns: write WebVTT subtitles."),
]
Srt = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="With --segments or --turns: write SubRip subtitles."),
]
Audacity = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="With --segments or --turns: write a label track."),
]
Rttm = Annotated[
    Path | None, typer.Option(metavar="OUT", help="With --segments or --turns: write RTTM.")
]
TextGrid = Annotated[
    Path | None,
    typer.Option(
        "--textgrid", metavar="OUT", help="With --segments or --turns: write a Praat TextGrid."
    ),
]
Eaf = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="With --segments or --turns: write an ELAN file (EAF)."),
]


@dataclass(frozen=True)
class Tracks:
    """The files to write, each in the format of its name."""

    vtt: Path | None = None
    srt: Path | None = None
    audacity: Path | None = None
    rttm: Path | None = None
    textgrid: Path | None = None
    eaf: Path | None = None

    def files(self) -> dict[str, Path | None]:
        """Return the files by their options."""
        return {f"--{field.name}": getattr(self, field.name) for field in fields(self)}

    def check_libraries(self) -> None:
        """Refuse formats whose library is not installed, before any work is done.

        Raises
        ------
        MissingExtraError
            If one is missing.
        """
        from ..turns.tiers import write_eaf, write_textgrid

        if self.textgrid:
            write_textgrid([], 1.0)
        if self.eaf:
            write_eaf([], Path("a.wav"))

    def texts(
        self, answers: "Sequence[TurnAnswer]", recording: Path, seconds: float
    ) -> dict[Path, str]:
        """Return the texts of the files, for a recording of so many seconds."""
        from ..turns.lines import write_audacity, write_rttm
        from ..turns.subtitles import write_srt, write_vtt
        from ..turns.tiers import write_eaf, write_textgrid

        captions = [_turn(answer, caption(answer)) for answer in answers]
        labels = [_turn(answer, label(answer.prediction)) for answer in answers]
        texts: dict[Path, str] = {}
        if self.vtt:
            texts[self.vtt] = write_vtt(captions)
        if self.srt:
            texts[self.srt] = write_srt(captions)
        if self.audacity:
            texts[self.audacity] = write_audacity(captions)
        if self.rttm:
            texts[self.rttm] = write_rttm(labels, recording.stem)
        if self.textgrid:
            texts[self.textgrid] = write_textgrid(_tiers(answers), seconds)
        if self.eaf:
            texts[self.eaf] = write_eaf(_tiers(answers), recording)
        return texts


def label(prediction: "Prediction | None") -> str:
    """Return the label, marked if the model abstains; "" for no answer."""
    if prediction is None:
        return ""
    return prediction.label + ("" if prediction.certain else " (uncertain)")


def caption(answer: "TurnAnswer") -> str:
    """Return the label with its score, and what was said, where it is known."""
    p, said = answer.prediction, f": {answer.turn.text}" if answer.turn.text else ""
    if p is None:
        return f"(no answer){said}"
    return f"{p.label} {p.score:.0%}" + ("" if p.certain else " (uncertain)") + said


def _turn(answer: "TurnAnswer", text: str, speaker: str | None = None) -> "Turn":
    """Return an answer's turn with another text, from the beginning of the recording on."""
    from ..turns.turn import Turn

    turn = answer.turn
    start = max(0.0, turn.start)
    who = turn.speaker if speaker is None else speaker
    return Turn(start, max(start, turn.end), who, text)


def _tiers(answers: "Sequence[TurnAnswer]") -> "list[Turn]":
    """Return what was said, if that is known, and on tiers of their own the labels."""
    turns = []
    for answer in answers:
        if answer.turn.text:
            turns.append(_turn(answer, answer.turn.text))
        if answer.prediction:
            tier = f"{answer.turn.speaker} emotion".strip()
            turns.append(_turn(answer, label(answer.prediction), tier))
    return turns
