"""Recordings added to a journal: each once, and after a kill from where it stopped."""

import hashlib
import io
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from ..audio import RATE, Samples
from ..decoding import Reading, ahead, read_blocks
from ..errors import AudioError
from ..sound import source_name
from ..version import __version__
from .hearing import Ear, Heard
from .records import Session
from .store import Journal

if TYPE_CHECKING:
    from ..recognizer import Recognizer

Progress = Callable[[int, int], None]
_CHUNK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class Recording:
    """A recording to be added, a file or its content.

    `channel` is the person's, None where all channels are mixed.
    """

    file: Path | bytes
    began: datetime
    channel: int | None = None
    device: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Added:
    """The session of a recording; `is_new` is False where it was in the journal before.

    `resumed_s` is the second from which a recording was heard that had been added in part; `broken`
    says why it ends before its time.
    """

    session: Session
    is_new: bool = True
    resumed_s: float = 0.0
    broken: str = ""


def began_of(file: Path) -> datetime:
    """Return when a recording was changed last, for lack of better: with this machine's offset."""
    return datetime.fromtimestamp(file.stat().st_mtime).astimezone()


def add(
    journal: Journal,
    recording: Recording,
    recognizer: "Recognizer | None",
    on_progress: Progress = lambda done, total: None,
) -> Added:
    """Hear a recording, and keep each segment as it ends.

    A recording is known by its content: added again it is left alone, and one that was added in
    part goes on after its last segment, with the same result as if it had never stopped.

    Parameters
    ----------
    journal : Journal
    recording : Recording
    recognizer : Recognizer, optional
        Infers emotions; None where the person has not agreed to that.
    on_progress : callable, optional
        Called with the seconds heard, and with all of them as far as that is known.

    Raises
    ------
    AudioError
        If it cannot be read; nothing is added then.
    JournalError
        If the journal cannot be written, or another process adds the same recording.
    """
    digest = digest_of(recording)
    known = next((one for one in journal.sessions() if one.digest == digest), None)
    if known and known.is_whole:
        return Added(known, is_new=False)
    reader = _Reader(recording)
    if known and known.model != (recognizer and recognizer.fingerprint):
        journal.forget_session(known.id)  # it was begun with another model, or without one
        known = None
    session = known or journal.begin(_session(recording, digest, recognizer))
    before = list(journal.segments(session.id))
    baseline = journal.baseline(recognizer.fingerprint) if recognizer else None
    ear = Ear(recognizer, baseline)
    resumed_s = before[-1].end if before else 0.0
    keep = Keeping(journal, session, len(before))
    for samples, done_s, all_s in reader.parts(round(resumed_s * RATE)):
        if ear.seconds < resumed_s:
            ear.resume(samples, before)
        else:
            keep.all(ear.feed(samples))
        on_progress(int(done_s), int(all_s))
    keep.all(ear.flush())
    session = journal.finish(replace(session, conditions=ear.conditions))
    return Added(session, True, resumed_s, reader.broken)


class Keeping:
    """Keeps the segments of a session, numbered from `n` on."""

    def __init__(self, journal: Journal, session: Session, n: int = 0) -> None:
        self._journal, self._session, self.n = journal, session, n
        self._with_sound = journal.consent.sound

    def all(self, heard: Iterable[Heard]) -> None:
        """Keep what was heard, in its order."""
        for one in heard:
            self.one(one)

    def one(self, heard: Heard) -> None:
        """Keep a segment; an interim prediction is left out."""
        if heard.kept is None or heard.sound is None:
            return
        flac = as_flac(heard.sound) if self._with_sound else None
        self._journal.keep(self._session, self.n, heard.kept, flac=flac, baseline=heard.baseline)
        self.n += 1


def as_flac(samples: Samples) -> bytes:
    """Return sound, mono float32 at 16 kHz, as a FLAC file of 16 bits."""
    out = io.BytesIO()
    soundfile.write(out, samples.clip(-1, 1), RATE, format="FLAC", subtype="PCM_16")
    return out.getvalue()


class _Reader(Reading):
    """A recording in parts of a second."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(math.inf)
        self._blocks = ahead(read_blocks(recording.file, channel=recording.channel))
        first = next(self._blocks, None)  # what cannot be read is an error before anything is kept
        if first is None:
            raise AudioError(
                "expected audio, got zero samples", "empty", source_name(recording.file)
            )
        self._first = first

    def parts(self, cut: int) -> Iterator[tuple[Samples, float, float]]:
        """Yield samples at 16 kHz, with the seconds read, and all of them as far as that is known.

        A part ends at the sample `cut`, so that what was heard before is apart from the rest.
        """
        n_parts = 0
        for samples in self._resampled(chain([self._first], self._blocks)):
            n_before = max(0, min(len(samples), cut - n_parts))
            n_parts += len(samples)
            for part in (samples[:n_before], samples[n_before:]):
                if len(part):
                    yield part, self.seconds, self.duration or self.seconds


def _session(recording: Recording, digest: str, recognizer: "Recognizer | None") -> Session:
    begun = begun_session(recording.began, "recording", recording.device, recognizer)
    return replace(begun, note=recording.note, tags=recording.tags, digest=digest)


def begun_session(
    began: datetime, source: str, device: str, recognizer: "Recognizer | None"
) -> Session:
    """Return a session that has only begun, as `Journal.begin` takes it."""
    return Session(
        began,
        source,
        device,
        model=recognizer.fingerprint if recognizer else None,
        labels=recognizer.labels if recognizer else (),
        version=__version__,
    )


def digest_of(recording: Recording) -> str:
    """Return what tells a channel of a recording from all others: by its content, not its name.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    file, channel = recording.file, recording.channel
    content = hashlib.sha256()
    try:
        with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as source:
            while chunk := source.read(_CHUNK):
                content.update(chunk)
    except OSError as error:
        kind = "missing" if isinstance(error, FileNotFoundError) else "other"
        raise AudioError(f"cannot be read: {error.strerror}", kind, str(file)) from None
    return content.hexdigest()[:32] + ("" if channel is None else f"/{channel}")
