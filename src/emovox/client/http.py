"""Clients of the service: recordings in, the library's own types out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from ..baseline import Baseline
from ..errors import EmovoxError, ServiceError, optional
from ..measuring import Measurement
from ..prediction import Prediction
from ..turns.turn import TurnAnswer
from .answers import Segments, error_of, measurement_of, prediction_of, turn_answer_of
from .live import AsyncLive, Live, LiveOptions
from .requests import (
    Recording,
    Request,
    Turns,
    channels_request,
    enrolment_request,
    measurement_request,
    prediction_request,
    turns_request,
)

with optional():
    import httpx

URL = "http://127.0.0.1:8000"
TIMEOUT_S = 120.0


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
        request = prediction_request(audio, rate, baseline, labels, explain, prosody)
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
        request = prediction_request(audio, rate, baseline, labels, explain, prosody, segments=True)
        return _segments(self._post(request))

    def channels(
        self, audio: Recording, rate: float | None = None, *, prosody: bool = False
    ) -> list[Segments]:
        """Recognise each channel, a speaker of its own; for the rest see `segments`."""
        return _channels(self._post(channels_request(audio, rate, prosody)))

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
        request = turns_request(audio, rate, turns, speakers, baseline, labels, explain, prosody)
        return [turn_answer_of(one) for one in self._post(request)["turns"]]

    def measure(self, audio: Recording, rate: float | None = None) -> Measurement:
        """Measure the prosody of a recording; for parameters and errors see `predict`."""
        answer = self._post(measurement_request(audio, rate))
        return measurement_of(answer["measurement"])

    def enrol(
        self, name: str, recordings: Iterable[Recording], rate: float | None = None
    ) -> Baseline:
        """Learn a speaker's baseline, as `Recognizer.enrol` does."""
        return Baseline.from_dict(self._post(enrolment_request(name, recordings, rate)))

    def live(self, **options: Any) -> Live:
        """Return a live session to begin with `with`; for the options see `LiveOptions`."""
        return Live(self._url, LiveOptions(**options), self._token)

    def _get(self, path: str) -> dict[str, Any]:
        try:
            return _answer(self._http.get(path))
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from None

    def _post(self, request: Request) -> dict[str, Any]:
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
        request = prediction_request(audio, rate, baseline, labels, explain, prosody)
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
        request = prediction_request(audio, rate, baseline, labels, explain, prosody, segments=True)
        return _segments(await self._post(request))

    async def channels(
        self, audio: Recording, rate: float | None = None, *, prosody: bool = False
    ) -> list[Segments]:
        """Recognise each channel, a speaker of its own; see `Client.predict`."""
        return _channels(await self._post(channels_request(audio, rate, prosody)))

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
        request = turns_request(audio, rate, turns, speakers, baseline, labels, explain, prosody)
        return [turn_answer_of(one) for one in (await self._post(request))["turns"]]

    async def measure(self, audio: Recording, rate: float | None = None) -> Measurement:
        """Measure the prosody of a recording; see `Client.predict`."""
        answer = await self._post(measurement_request(audio, rate))
        return measurement_of(answer["measurement"])

    async def enrol(
        self, name: str, recordings: Iterable[Recording], rate: float | None = None
    ) -> Baseline:
        """Learn a speaker's baseline, as `Recognizer.enrol` does."""
        return Baseline.from_dict(await self._post(enrolment_request(name, recordings, rate)))

    def live(self, **options: Any) -> AsyncLive:
        """Return a live session to begin with `async with`; for the options see `LiveOptions`."""
        return AsyncLive(self._url, LiveOptions(**options), self._token)

    async def _get(self, path: str) -> dict[str, Any]:
        try:
            return _answer(await self._http.get(path))
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from None

    async def _post(self, request: Request) -> dict[str, Any]:
        try:
            answer = await self._http.post(
                request.path, params=request.params, files=list(request.files)
            )
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from None
        return _answer(answer)


def _headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


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
