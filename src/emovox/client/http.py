"""Clients of the service: recordings in, the library's own types out."""

import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import ArrayLike

from ..audio import check_rate
from ..baseline import Baseline
from ..errors import AudioError, EmovoxError, ServiceError, TurnsError, optional
from ..measuring import Measurement
from ..prediction import Prediction
from ..tracks import csv_table
from ..turns.finding import check_speakers
from ..turns.turn import Turn, TurnAnswer
from .answers import Segments, error_of, measurement_of, prediction_of, turn_answer_of
from .live import AsyncLive, Live, LiveOptions

with optional():
    import httpx

Recording = str | os.PathLike[str] | bytes | ArrayLike
Turns = str | os.PathLike[str] | Iterable[Turn] | None
URL = "http://127.0.0.1:8000"
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class _Request:
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[tuple[str, Any], ...] = ()  # httpx's form


class Client:
    """A client without asyncio; threads may share it. Close it, or use it in a `with` block.

    Parameters
    ----------
    url : str
        Of the service.
    token : str, optional
        If the service asks for one.
    timeout_s : float
        Seconds to wait for an answer.

    Raises
    ------
    MissingExtraError
        If httpx or websockets is not installed: `pip install 'emovox[client]'`.
    """

    def __init__(
        self, url: str = URL, *, token: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._url, self._token = url, token
        self._http = httpx.Client(base_url=url, headers=_headers(token), timeout=timeout_s)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def model(self) -> dict[str, Any]:
        """Return the model card, with the fingerprint."""
        return self._get("v1/model")

    def predict(
        self,
        audio: Recording,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
    ) -> Prediction:
        """Recognise the emotion of one recording as a whole, as `Recognizer.predict` does.

        Parameters
        ----------
        audio : path, bytes of a file, or array, shape=(n_samples,) or (n_samples, n_channels)
        rate : float, optional
            Hz; needed with an array, and only then.
        baseline, labels, explain, prosody
            As for `Recognizer.predict`.

        Raises
        ------
        AudioError, BaselineError
            As `Recognizer.predict` does.
        ServiceError
            If the service cannot be reached, is busy, or refuses the request.
        """
        request = _prediction(audio, rate, baseline, labels, explain, prosody)
        return prediction_of(self._post(request)["prediction"])

    def segments(
        self,
        audio: Recording,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
    ) -> Segments:
        """Recognise each segment of a recording; for parameters and errors see `predict`."""
        request = _prediction(audio, rate, baseline, labels, explain, prosody, segments=True)
        return _segments(self._post(request))

    def channels(
        self, audio: Recording, rate: float | None = None, *, prosody: bool = False
    ) -> list[Segments]:
        """Recognise each channel, a speaker of its own; for the rest see `segments`."""
        request = _prediction(
            audio, rate, None, None, False, prosody, segments=True, channels="separate"
        )
        return _channels(self._post(request))

    def turns(
        self,
        audio: Recording,
        rate: float | None = None,
        *,
        turns: Turns = None,
        speakers: int | None = None,
        baseline: Baseline | None = None,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
    ) -> list[TurnAnswer]:
        """Recognise the turns of a recording, as `Recognizer.turns` does.

        Parameters
        ----------
        audio, rate, labels, explain, prosody
            As for `predict`.
        turns : path of a file that `read_turns` reads, or iterable of Turn, optional
            None: the service finds who speaks.
        speakers : int, 1 to 10, optional
            Without `turns`, how many people speak; None: as many as sound different.
        baseline : Baseline, optional
            Of the speaker of its name, or the only one.

        Returns
        -------
        answers : list of TurnAnswer
            In the order in which the turns begin.

        Raises
        ------
        AudioError, BaselineError, TurnsError
            As the library does.
        ServiceError
            If the service cannot be reached, is busy, or refuses the request.
        """
        request = _turns(audio, rate, turns, speakers, baseline, labels, explain, prosody)
        return [turn_answer_of(one) for one in self._post(request)["turns"]]

    def measure(self, audio: Recording, rate: float | None = None) -> Measurement:
        """Measure the prosody of a recording; for parameters and errors see `predict`."""
        answer = self._post(_Request("v1/measure", files=_file("file", audio, rate)))
        return measurement_of(answer["measurement"])

    def enrol(
        self, name: str, recordings: Iterable[Recording], rate: float | None = None
    ) -> Baseline:
        """Learn a speaker's baseline, as `Recognizer.enrol` does."""
        return Baseline.from_dict(self._post(_enrolment(name, recordings, rate)))

    def live(self, **options: Any) -> Live:
        """Return a live session to begin with `with`; for the options see `LiveOptions`."""
        return Live(self._url, LiveOptions(**options), self._token)

    def _get(self, path: str) -> dict[str, Any]:
        try:
            return _answer(self._http.get(path))
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from None

    def _post(self, request: _Request) -> dict[str, Any]:
        try:
            answer = self._http.post(request.path, params=request.params, files=list(request.files))
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from None
        return _answer(answer)


class AsyncClient:
    """The same for asyncio: `Client` describes the methods. Use it in an `async with` block."""

    def __init__(
        self, url: str = URL, *, token: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._url, self._token = url, token
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(token), timeout=timeout_s)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def model(self) -> dict[str, Any]:
        """Return the model card, with the fingerprint."""
        return await self._get("v1/model")

    async def predict(
        self,
        audio: Recording,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
    ) -> Prediction:
        """Recognise the emotion of one recording as a whole; see `Client.predict`."""
        request = _prediction(audio, rate, baseline, labels, explain, prosody)
        return prediction_of((await self._post(request))["prediction"])

    async def segments(
        self,
        audio: Recording,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
    ) -> Segments:
        """Recognise each segment of a recording; see `Client.predict`."""
        request = _prediction(audio, rate, baseline, labels, explain, prosody, segments=True)
        return _segments(await self._post(request))

    async def channels(
        self, audio: Recording, rate: float | None = None, *, prosody: bool = False
    ) -> list[Segments]:
        """Recognise each channel, a speaker of its own; see `Client.predict`."""
        request = _prediction(
            audio, rate, None, None, False, prosody, segments=True, channels="separate"
        )
        return _channels(await self._post(request))

    async def turns(
        self,
        audio: Recording,
        rate: float | None = None,
        *,
        turns: Turns = None,
        speakers: int | None = None,
        baseline: Baseline | None = None,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
    ) -> list[TurnAnswer]:
        """Recognise the turns of a recording; see `Client.turns`."""
        request = _turns(audio, rate, turns, speakers, baseline, labels, explain, prosody)
        return [turn_answer_of(one) for one in (await self._post(request))["turns"]]

    async def measure(self, audio: Recording, rate: float | None = None) -> Measurement:
        """Measure the prosody of a recording; see `Client.predict`."""
        answer = await self._post(_Request("v1/measure", files=_file("file", audio, rate)))
        return measurement_of(answer["measurement"])

    async def enrol(
        self, name: str, recordings: Iterable[Recording], rate: float | None = None
    ) -> Baseline:
        """Learn a speaker's baseline, as `Recognizer.enrol` does."""
        return Baseline.from_dict(await self._post(_enrolment(name, recordings, rate)))

    def live(self, **options: Any) -> AsyncLive:
        """Return a live session to begin with `async with`; for the options see `LiveOptions`."""
        return AsyncLive(self._url, LiveOptions(**options), self._token)

    async def _get(self, path: str) -> dict[str, Any]:
        try:
            return _answer(await self._http.get(path))
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from None

    async def _post(self, request: _Request) -> dict[str, Any]:
        try:
            answer = await self._http.post(
                request.path, params=request.params, files=list(request.files)
            )
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from None
        return _answer(answer)


def _headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _prediction(
    audio: Recording,
    rate: float | None,
    baseline: Baseline | None,
    labels: Sequence[str] | None,
    explain: bool,
    prosody: bool,
    *,
    segments: bool = False,
    channels: str = "mix",
) -> _Request:
    switches = {"explain": explain, "prosody": prosody, "segments": segments, "channels": channels}
    return _Request("v1/predict", switches | _among(labels), _spoken(audio, rate, baseline))


def _turns(
    audio: Recording,
    rate: float | None,
    turns: Turns,
    speakers: int | None,
    baseline: Baseline | None,
    labels: Sequence[str] | None,
    explain: bool,
    prosody: bool,
) -> _Request:
    check_speakers(speakers)
    switches = {"explain": explain, "prosody": prosody, "speakers": speakers or "auto"}
    given = () if turns is None else (("turns", _turns_file(turns)),)
    files = _spoken(audio, rate, baseline) + given
    return _Request("v1/turns", switches | _among(labels), files)


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


def _enrolment(name: str, recordings: Iterable[Recording], rate: float | None) -> _Request:
    files = [part for recording in recordings for part in _file("files", recording, rate)]
    return _Request("v1/baselines", files=(*files, ("name", (None, name))))


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


def _answer(response: "httpx.Response") -> dict[str, Any]:
    """Return the JSON of an answer, or raise what it tells of."""
    try:
        data = response.json()
        if response.is_success and isinstance(data, dict):
            return data
        raise _refusal(response.status_code, data)
    except json.JSONDecodeError:
        raise ServiceError(
            f"expected JSON from {response.url}, got status {response.status_code}; "
            "is this the address of emovox?",
            status=response.status_code,
        ) from None


def _refusal(status: int, data: Any) -> EmovoxError:
    mistake = data.get("error") if isinstance(data, dict) else None
    if not isinstance(mistake, dict):
        return ServiceError(f"the request was refused with status {status}", status=status)
    return error_of(str(mistake.get("code")), str(mistake.get("message")), status)


def _unreachable(url: str, error: Exception) -> ServiceError:
    reason = str(error) or type(error).__name__
    return ServiceError(f"no answer from {url}: {reason}; is `emovox serve` running there?")


def _segments(answer: Mapping[str, Any]) -> Segments:
    found = tuple(map(prediction_of, answer["segments"]))
    return Segments(found, answer["seconds"], answer.get("warning", ""))


def _channels(answer: Mapping[str, Any]) -> list[Segments]:
    return [
        Segments(
            tuple(prediction_of(one) for one in answer["segments"] if one["channel"] == channel),
            answer["seconds"],
            answer.get("warning", ""),
            channel,
        )
        for channel in range(len(answer["summaries"]))
    ]
