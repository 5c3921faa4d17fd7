"""What a client asks of the service, as requests; nothing is sent here."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from ..audio import check_rate
from ..baseline import Baseline
from ..errors import AudioError, TurnsError
from ..tracks import csv_table
from ..turns.finding import check_speakers
from ..turns.turn import Turn

Recording = str | os.PathLike[str] | bytes | ArrayLike
Turns = str | os.PathLike[str] | Iterable[Turn] | None


@dataclass(frozen=True)
class Request:
    """A request to be posted; `files` are those of httpx's form."""

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[tuple[str, Any], ...] = ()


def prediction_request(
    audio: Recording,
    rate: float | None,
    baseline: Baseline | None,
    labels: Sequence[str] | None,
    explain: bool,
    prosody: bool,
    *,
    segments: bool = False,
    channels: str = "mix",
) -> Request:
    """Ask for the emotion of a recording, as a whole or segment by segment."""
    switches = {"explain": explain, "prosody": prosody, "segments": segments, "channels": channels}
    return Request("v1/predict", switches | _among(labels), _spoken(audio, rate, baseline))


def channels_request(audio: Recording, rate: float | None, prosody: bool) -> Request:
    """Ask for the segments of each channel of a recording."""
    return prediction_request(
        audio, rate, None, None, False, prosody, segments=True, channels="separate"
    )


def measurement_request(audio: Recording, rate: float | None) -> Request:
    """Ask for the prosody of a recording."""
    return Request("v1/measure", files=_file("file", audio, rate))


def turns_request(
    audio: Recording,
    rate: float | None,
    turns: Turns,
    speakers: int | None,
    baseline: Baseline | None,
    labels: Sequence[str] | None,
    explain: bool,
    prosody: bool,
) -> Request:
    """Ask for the turns of a recording."""
    check_speakers(speakers)
    switches = {"explain": explain, "prosody": prosody, "speakers": speakers or "auto"}
    given = () if turns is None else (("turns", _turns_file(turns)),)
    files = _spoken(audio, rate, baseline) + given
    return Request("v1/turns", switches | _among(labels), files)


def _among(labels: Sequence[str] | None) -> dict[str, Any]:
    given = [labels] if isinstance(labels, str) else labels
    return {} if given is None else {"labels": ",".join(given)}


def _spoken(audio: Recording, rate: float | None, baseline: Baseline | None) -> tuple[Any, ...]:
    file = _file("file", audio, rate)
    return file if baseline is None else (*file, ("baseline", (None, baseline.to_json())))


def _turns_file(turns: str | os.PathLike[str] | Iterable[Turn]) -> tuple[str, bytes]:
    """Return the name and the content of a file of turns; of its name only the suffix is told."""
    if isinstance(turns, str | os.PathLike):
        try:
            return f"turns{Path(turns).suffix}", Path(turns).read_bytes()
        except OSError as error:
            raise TurnsError(f"{turns}: cannot be read: {error.strerror or error}") from None
    rows = [(turn.start, turn.end, turn.speaker, turn.text) for turn in turns]
    return "turns.csv", csv_table(("start", "end", "speaker", "text"), rows).encode()


def enrolment_request(name: str, recordings: Iterable[Recording], rate: float | None) -> Request:
    """Ask for a speaker's baseline."""
    files = [part for recording in recordings for part in _file("files", recording, rate)]
    return Request("v1/baselines", files=(*files, ("name", (None, name))))


def _file(key: str, audio: Recording, rate: float | None) -> tuple[tuple[str, Any], ...]:
    """Return a part of a form; its name is the field's: that of a file stays on this machine."""
    return ((key, (key, _content(audio, rate), "application/octet-stream")),)


def _content(audio: Recording, rate: float | None) -> bytes:
    if isinstance(audio, str | os.PathLike | bytes):
        if rate is not None:
            raise AudioError("expected a rate with an array only: a file has its own")
        return audio if isinstance(audio, bytes) else _read(Path(audio))
    if rate is None:
        raise AudioError("expected the rate of the array in Hz, got none")
    check_rate(rate)
    import soundfile

    file = io.BytesIO()
    try:
        soundfile.write(file, audio, round(rate), format="WAV", subtype="FLOAT")
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise AudioError(f"expected an array of samples: {error}") from None
    return file.getvalue()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AudioError(error.strerror or str(error), "missing", str(path)) from None
