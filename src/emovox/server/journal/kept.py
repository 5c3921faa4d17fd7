"""A live session that is kept: each segment is in the journal as soon as it ends."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

import numpy as np

from ...audio import check_block, resampler
from ...baseline import Baseline
from ...journal.adding import Keeping, begun_session
from ...journal.hearing import Ear, Heard
from ...journal.records import Session
from ...journal.store import Journal
from ...loudness import judge_level
from ...measuring import Measurement
from ...prediction import Prediction
from ..live import Block, Result, Update
from ..protocol import MessageError, SessionOptions
from ..refusals import RefusedError
from ..service import Service
from .access import Reach

_LEVEL_S = 0.2  # seconds of audio between two messages about the level


class KeptStream:
    """The stream of a session of one person, whose segments go into a journal.

    Nothing is inferred where the person has not agreed to that, or the client asks for none.
    `device` names the microphone; `zone` is that of the place where it is, None for this machine's.

    Raises
    ------
    MessageError
        If several channels or some labels are asked for, or the journal cannot be read or written.
    """

    def __init__(
        self,
        reach: Reach,
        device: str,
        zone: tzinfo | None,
        service: Service,
        options: SessionOptions,
        rate: int,
        _baseline: Baseline | None,  # the journal has its own
    ) -> None:
        if options.channels != 1:
            reason = f"channels: a journal is of one person, expected 1, got {options.channels}"
            raise MessageError("parameter", reason, fatal=True)
        if options.labels is not None:
            reason = "labels: a journal keeps the scores of all labels, expected null"
            raise MessageError("parameter", reason, fatal=True)
        self._device, self._zone = device, zone
        self._reach = reach.held()
        with self._reach.journal() as journal:
            infers = options.emotion and journal.consent.emotion
            self._recognizer = service.recognizer if infers else None
            known = None
            if self._recognizer:
                known = journal.baseline(self._recognizer.fingerprint)
        interval_s = options.interval_s if self._recognizer else None
        self._ear = Ear(self._recognizer, known, interval_s=interval_s)
        self._resample = resampler(rate)
        self._no_baseline = service.recognizer.new_baseline().to_dict()
        self._session: Session | None = None
        self._n_kept = 0
        self._level_sent = 0.0  # seconds
        self._lock = threading.Lock()  # `close` may come while a job still runs
        self._is_over = False

    @property
    def seconds(self) -> float:
        """Seconds of audio received."""
        return self._ear.seconds

    def feed(self, blocks: list[Block]) -> list[Update]:
        """Hear audio, keep the segments that it ends, and return the updates to send."""
        with self._lock:
            if self._is_over:
                return []
            updates: list[Update] = []
            for block in blocks:
                samples = self._resample(check_block(block.samples), False)
                updates += self._kept(self._ear.feed(samples), block.arrived)
            if self.seconds - self._level_sent >= _LEVEL_S:
                self._level_sent = self.seconds
                level = {"db": round(self._ear.level_db, 1), "seconds": round(self.seconds, 3)}
                updates.append({"type": "level", **level})
            return updates

    def flush(self) -> list[Update]:
        """End the current segment, keep it, and return the updates to send."""
        with self._lock:
            return [] if self._is_over else self._kept(self._ear.flush(), time.perf_counter())

    def turn(self) -> dict[str, Any]:
        """Return the message that nothing was said: turns are not kept apart here."""
        return {"type": "turn", "prediction": None}

    def baseline(self) -> dict[str, Any]:
        """Return an empty baseline: the person's own stays in the journal."""
        return self._no_baseline

    def reset_baseline(self) -> None:
        """Leave the baseline in the journal as it is."""

    def close(self) -> None:
        """Keep the segment that is being spoken, and write that the session is whole."""
        with self._lock:
            if self._is_over:
                return
            rest = self._resample(np.zeros(0, np.float32), True)
            self._kept([*self._ear.feed(rest), *self._ear.flush()], time.perf_counter())
            self._is_over = True
            if self._session:
                with self._writing() as journal:
                    session = journal.session(self._session.id)  # with a note written meanwhile
                    journal.finish(replace(session, conditions=self._ear.conditions))

    def _kept(self, heard: list[Heard], arrived: float) -> list[Update]:
        """Write what was heard into the journal, then return it as updates."""
        if (not self._session and self.seconds) or any(one.kept for one in heard):
            with self._writing() as journal:
                self._keep(journal, heard)
        usual_s = round(self._ear.usual_s, 3)
        return [Result(_answer_of(one), arrived, usual_s) for one in heard]

    def _keep(self, journal: Journal, heard: list[Heard]) -> None:
        if not self._session:
            began = datetime.now().astimezone(self._zone)
            begun = begun_session(began, "microphone", self._device, self._recognizer)
            self._session = journal.begin(begun)
        keeping = Keeping(journal, self._session, self._n_kept)
        keeping.all(heard)
        self._n_kept = keeping.n

    @contextmanager
    def _writing(self) -> Iterator[Journal]:
        """Open the journal; where it cannot be written the session is over."""
        try:
            with self._reach.journal() as journal:
                yield journal
        except RefusedError as error:
            self._is_over = True  # nothing more would be kept
            raise MessageError(error.code, str(error), fatal=True) from None


def _answer_of(heard: Heard) -> Prediction | Measurement:
    """Return what is told of a segment, or of an interim result."""
    if heard.prediction:
        return heard.prediction
    assert heard.kept is not None  # without a prediction it is a measured segment
    assert heard.sound is not None
    segment = heard.kept
    level = judge_level(heard.sound, segment.prosody.level_db)
    return Measurement(segment.start, segment.end, level, segment.prosody)
