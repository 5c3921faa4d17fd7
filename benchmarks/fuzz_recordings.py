"""For benchmarks/fuzz.py: damaged recordings, uploaded to the service or decoded here."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import numpy as np
import soundfile

from emovox import Recognizer
from emovox.audio import MAX_AMPLITUDE, RATE, load_audio
from emovox.errors import AudioError, EmovoxError
from fuzz_formats import chained_ogg, mp3_frames, repaged, wrong_bytes, wrong_structure
from fuzz_tally import Note, same
from fuzz_wire import Target, answer_in_time, connection, send
from machine import REPOSITORY

SECONDS = 0.5  # of each recording
SLACK_S = 0.1  # that a whole recording may be shorter: what encoders add and leave out
LIMIT_S = 30.0  # of sound that is decoded
SLOW_S = 10.0  # within which a recording of this size is decoded and recognised
ENCODINGS: Mapping[str, tuple[str, str, int]] = {
    "wav": ("WAV", "PCM_16", 1),
    "wav-float": ("WAV", "FLOAT", 2),
    "wav-ulaw": ("WAV", "ULAW", 1),
    "wav-ima": ("WAV", "IMA_ADPCM", 1),
    "wav-ms": ("WAV", "MS_ADPCM", 1),
    "wavex": ("WAVEX", "PCM_24", 8),
    "aiff": ("AIFF", "PCM_16", 1),
    "aiff-float": ("AIFF", "DOUBLE", 1),
    "au": ("AU", "PCM_16", 1),
    "caf": ("CAF", "PCM_16", 2),
    "flac": ("FLAC", "PCM_16", 1),
    "flac-stereo": ("FLAC", "PCM_24", 2),
    "ogg": ("OGG", "VORBIS", 1),
    "opus": ("OGG", "OPUS", 1),
    "opus-stereo": ("OGG", "OPUS", 2),
    "mp3": ("MP3", "MPEG_LAYER_III", 1),
    "mp3-stereo": ("MP3", "MPEG_LAYER_III", 2),
}
PACKETS = {"ogg": (2, 512), "opus": (5, 960), "opus-stereo": (5, 960)}  # on a page; samples in each
JOINED = ("ogg", "opus", "mp3")  # formats in which one file after the other is played on
TOLD = tuple(name for name in ENCODINGS if name != "au")  # that say how long they are


@dataclass(frozen=True)
class Recording:
    """A recording's bytes, what was done to it, and how long it should be if nobody complains."""

    content: bytes
    what: str
    least_s: float = 0.0


@cache
def originals() -> dict[str, bytes]:
    """Encode half a second of speech in each format, Ogg in small pages."""
    samples, rate = soundfile.read(REPOSITORY / "examples" / "even.flac")
    spoken = samples[rate // 4 : rate // 4 + int(SECONDS * rate)]
    found = {}
    for name, (kind, subtype, n_channels) in ENCODINGS.items():
        file = io.BytesIO()
        sound = np.repeat(spoken[:, None], n_channels, axis=1)
        soundfile.write(file, sound, rate, format=kind, subtype=subtype)
        found[name] = file.getvalue()
        if name in PACKETS:
            found[name] = repaged(found[name], *PACKETS[name])
    return found


def recording(rng: Random, share_of_ogg: float = 1.0) -> Recording:
    """Damage a recording in one way or another, or join it with a second one."""
    contents = originals()
    name = rng.choice(list(contents))
    if name in PACKETS and rng.random() > share_of_ogg:
        name = "wav"
    content, kind = contents[name], rng.random()
    if kind < 0.45:
        return Recording(wrong_structure(content, rng), f"{name}, structure")
    if kind < 0.75:
        return Recording(wrong_bytes(content, rng), f"{name}, bytes")
    if kind < 0.85:
        at = int(len(content) * rng.uniform(0.25, 0.75))
        least_s = SECONDS if name in TOLD else 0.0
        return Recording(content[:at], f"{name}, cut off", least_s)
    if kind < 0.92:
        name = rng.choice(JOINED)
        return Recording(_joined(contents[name], rng), f"{name}, joined", 2 * SECONDS)
    if kind < 0.97:
        other = rng.choice(list(contents.values()))
        at, upto = rng.randrange(len(content)), rng.randrange(len(other))
        return Recording(content[:at] + other[upto:], f"{name}, spliced")
    return Recording(rng.randbytes(rng.randrange(300)), "random bytes")


def _joined(content: bytes, rng: Random) -> bytes:
    if content[:4] == b"OggS":
        return content + chained_ogg(content, rng.getrandbits(32))
    return content + b"".join(mp3_frames(content)[rng.randrange(2) :])


# Uploaded


async def case(target: Target, rng: Random, note: Note) -> None:
    """Upload some recordings on one connection, and judge the answers."""
    async with connection(target) as streams:
        for _ in range(rng.choice((1, 4, 8))):
            one, query = recording(rng, share_of_ogg=0.7), _query(rng)
            note.sent()
            await send(streams[1], _upload(one.content, query, target, rng))
            answer = await answer_in_time(streams[0], note)
            if answer is None:
                note.fault(f"no answer: {one.what}")
                return
            if answer.status == 200:
                _judge_length(json.loads(answer.body), one, note)


def _query(rng: Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(("", "", "", "?explain=true"))
    return "?segments=true" + rng.choice(("", "", "&channels=separate", "&explain=true"))


def _upload(content: bytes, query: str, target: Target, rng: Random) -> bytes:
    parts = [b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + content]
    if rng.random() < 0.1:
        baseline = json.dumps(target.baseline).encode()
        parts.append(b'Content-Disposition: form-data; name="baseline"\r\n\r\n' + baseline)
    body = b"".join(b"--XX\r\n" + part + b"\r\n" for part in parts) + b"--XX--\r\n"
    head = (
        f"POST /v1/predict{query} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _judge_length(told: dict[str, Any], one: Recording, note: Note) -> None:
    if not told.get("warning") and told["seconds"] < one.least_s - SLACK_S:
        note.fault(f"answered as if it were whole: {one.what}")


# Decoded by the library


def cases() -> Callable[[Random, Note], None]:
    """Open a model, and return what decodes a recording with it, and judges what comes out."""
    recognizer = Recognizer.load("acoustic")

    def one_case(rng: Random, note: Note) -> None:
        one = recording(rng)
        note.sent()
        with note.timed(SLOW_S):
            _decode(one, note)
            if rng.random() < 0.3:
                _segment(recognizer, one, note, rng.choice((None, None, None, 0)))

    return one_case


def _decode(one: Recording, note: Note) -> None:
    try:
        audio = load_audio(one.content, max_seconds=LIMIT_S)
    except AudioError as error:
        _judge_words(str(error), note)
        note.answer("AudioError")
        return
    except Exception as error:  # noqa: BLE001 (it is what is looked for)
        note.fault(f"load_audio: {type(error).__name__}: {same(str(error))}: {one.what}")
        return
    note.answer("decoded")
    if audio.dtype != np.float32 or audio.ndim != 1 or not np.isfinite(audio).all():
        note.fault(f"load_audio: {audio.dtype} of shape {audio.shape}, or not finite: {one.what}")
    elif np.abs(audio).max() > 2 * MAX_AMPLITUDE:
        note.fault(f"load_audio: far outside [-1, 1]: {one.what}")
    elif len(audio) / RATE < one.least_s - SLACK_S:
        note.fault(f"load_audio: taken as whole: {one.what}")


def _segment(recognizer: Recognizer, one: Recording, note: Note, channel: int | None) -> None:
    segments = recognizer.segments(
        one.content, channel=channel, without_bleed=channel is not None, max_seconds=LIMIT_S
    )
    try:
        found = list(segments)
    except EmovoxError as error:
        _judge_words(str(error), note)
        note.answer(f"segments: {type(error).__name__}")
        return
    except Exception as error:  # noqa: BLE001 (it is what is looked for)
        note.fault(f"segments: {type(error).__name__}: {same(str(error))}: {one.what}")
        return
    note.answer("segments: broken off" if segments.broken else "segments: whole")
    if not all(np.isfinite(list(segment.scores.values())).all() for segment in found):
        note.fault(f"segments: scores that are not finite: {one.what}")
    if not segments.broken and segments.seconds < one.least_s - SLACK_S:
        note.fault(f"segments: taken as whole: {one.what}")


def _judge_words(text: str, note: Note) -> None:
    if "\n" in text or not text.strip():
        note.fault("an error that is not one line")
