"""What Ogg and MP3 files are made of: where each recording in one begins, and whether all came.

libsndfile reads the first of several joined recordings alone, and takes a file that was cut off for
a whole one. Ogg: RFC 3533. MP3: ISO/IEC 11172-3; the headers of Xing and Fraunhofer (VBRI), which
stand in the first frame, tell how many frames follow.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

_OTHERS = {  # what libsndfile does not read: where its mark stands in a file, and the mark
    "MPEG-4 (M4A, MP4)": (4, b"ftyp"),
    "WebM or Matroska": (0, b"\x1a\x45\xdf\xa3"),
    "Windows Media (WMA)": (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    "AMR": (0, b"#!AMR"),
    "AAC": (0, b"ADIF"),
}
_SOUNDS = (b"OpusHead", b"\x01vorbis", b"\x7fFLAC", b"Speex   ")
_TAGGED = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)  # an MP3 beyond doubt: libsndfile asks no further
_TAGS = (b"TAG", b"ID3", b"3DI", b"APETAGEX", b"LYRICSBEGIN")
_BLOCK = 1 << 16  # bytes
_SEARCHED = 1 << 20  # bytes behind a break, in which MP3 frames are looked for
_RUN = 3  # frames in a row that are no accident
_COUNTED_ALIKE = 2  # frames, by which encoders differ in what they count
_HEAD = 54  # bytes of a frame that hold what is asked of it
_MAX_LINKS = 10_000
_SMALLEST_PAGE = 27  # bytes, an Ogg page's header without its table
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Link:
    """One recording of a file: the bytes it is made of, and what to show libsndfile before them."""

    ranges: tuple[tuple[int, int], ...]
    before: bytes = b""


@dataclass(frozen=True)
class Layout:
    """The recordings joined in a file, and why something is missing after them.

    There is at least one, or the reason tells why there is none. `length_announced`: the
    sample count that libsndfile finds in a header is that of a whole recording.
    """

    links: tuple[Link, ...]
    broken: str = ""
    length_announced: bool = True


def layout_of(file: BinaryIO) -> Layout:
    """Tell the parts of an Ogg or MP3 file; anything else is one part.

    Parameters
    ----------
    file : binary file that can seek
        It is read from its beginning; where it stands then does not matter.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    size = file.seek(0, 2)
    if _at(file, 0, 4) == b"OggS":
        return _ogg(file, size)
    first = _first_frame(file, _after_id3(file, 0), size)
    return Layout((_all(size),)) if first is None else _mp3(file, first, size)


def other_format(head: bytes) -> str:
    """Name the format of a file by its first 16 bytes, if it is a known one; "" if not."""
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # ADTS
        return "AAC"
    names = (name for name, (at, magic) in _OTHERS.items() if head[at:].startswith(magic))
    return next(names, "")


def _all(size: int) -> Link:
    return Link(((0, size),))


def _at(file: BinaryIO, at: int, n_bytes: int) -> bytes:
    file.seek(at)
    return file.read(n_bytes)


# Ogg


@dataclass(frozen=True)
class _Page:
    start: int
    end: int
    opens: bool  # it is the first of its stream
    closes: bool  # it is the last of its stream
    sounds: bool  # it is the first of a stream that holds sound
    granule: int
    stream: int
    number: int


def _ogg(file: BinaryIO, size: int) -> Layout:
    """Cut an Ogg file where streams begin behind others; stop at what is damaged."""
    links: list[Link] = []
    streams: dict[int, list[tuple[int, int]]] = {}  # of a link, that hold sound
    numbers: dict[int, int] = {}  # the latest page of each stream, once there was sound
    end, opening, closed, broken = 0, True, False, ""
    for page in _pages(file, size):
        if page.opens and not opening:
            broken = _finish(links, streams)
            numbers.clear()
        opening, closed = page.opens, page.closes
        if not broken and page.number != numbers.get(page.stream, page.number - 1) + 1:
            broken = _damaged(page.start)
        if broken:
            break
        if page.granule > 0 or page.stream in numbers:
            numbers[page.stream] = page.number  # live captures skip pages between headers and sound
        if page.sounds:
            streams[page.stream] = []
        if page.stream in streams:
            _append(streams[page.stream], page)
        end = page.end
    if not broken and end < size:
        broken = _rest_of_ogg(file, end, closed)
    broken = _finish(links, streams) or broken
    return Layout(tuple(links) if links or broken else (_all(size),), broken)


def _append(ranges: list[tuple[int, int]], page: _Page) -> None:
    if ranges and ranges[-1][1] == page.start:
        ranges[-1] = (ranges[-1][0], page.end)
    else:
        ranges.append((page.start, page.end))


def _finish(links: list[Link], streams: dict[int, list[tuple[int, int]]]) -> str:
    """Add the link that streams make, and forget them; say so if it cannot be one."""
    if len(streams) > 1:
        return (
            "the file holds several recordings at the same time; take one out, e.g. with: "
            "ffmpeg -i talk.ogg -map 0:a:0 talk.wav"
        )
    links += [Link(tuple(ranges)) for ranges in streams.values()]
    streams.clear()
    return _too_many(links)


def _pages(file: BinaryIO, size: int) -> Iterator[_Page]:
    """Yield the pages from the beginning on that are whole."""
    at = 0
    while True:
        head = _at(file, at, _SMALLEST_PAGE)
        if len(head) < _SMALLEST_PAGE or head[:5] != b"OggS\0":
            return
        table = file.read(head[26])
        body = file.read(sum(table))
        end = at + _SMALLEST_PAGE + head[26] + sum(table)
        if end > size or _checksum(head[:22] + bytes(4) + head[26:] + table + body) != head[22:26]:
            return
        granule, stream, number = (
            int.from_bytes(head[first:last], "little", signed=first == 6)
            for first, last in ((6, 14), (14, 18), (18, 22))
        )
        opens, closes = bool(head[5] & 2), bool(head[5] & 4)
        sounds = opens and body.startswith(_SOUNDS)
        yield _Page(at, end, opens, closes, sounds, granule, stream, number)
        at = end


def _checksum(page: bytes) -> bytes:
    """Return Ogg's CRC-32, whose bits run the other way round than those of zlib's."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return mirrored.to_bytes(4, "big").translate(_REVERSED)


def _rest_of_ogg(file: BinaryIO, at: int, closed: bool) -> str:
    """Say why what follows the last whole page is not there; "" for what a tagger appended."""
    is_page = b"OggS".startswith(_at(file, at, 4))
    if _find(file, at + 1, b"OggS") is not None or not (is_page or closed):
        return _damaged(at)
    return "the file is cut off or damaged: its last page is not whole" if is_page else ""


def _find(file: BinaryIO, at: int, wanted: bytes) -> int | None:
    """Return where some bytes stand next."""
    kept = b""
    file.seek(at)
    while block := file.read(_BLOCK):
        position = (kept + block).find(wanted)
        if position >= 0:
            return at - len(kept) + position
        kept = (kept + block)[1 - len(wanted) :]
        at += len(block)
    return None


def _damaged(at: int) -> str:
    return f"the file is damaged: what stands at byte {at} does not belong there"


# MP3


@dataclass(frozen=True)
class _Frame:
    """What the four bytes at the beginning of a frame tell.

    Frames of one recording are of one `kind`: version, layer, rate, and whether there is one
    channel. `n_before` bytes come before the sound, where an encoder puts its own header instead.
    """

    n_bytes: int
    kind: tuple[int, int, int, bool]
    n_before: int


_RATES = (44_100, 48_000, 32_000)  # Hz, of MPEG 1; MPEG 2 has a half of them, 2.5 a quarter
_KBIT = {  # by whether it is MPEG 1, and by layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _frame(head: bytes) -> _Frame | None:
    """Read a frame's header; None if it is none, or one of free format, which tells no length."""
    if len(head) < 4 or head[0] != 0xFF:
        return None
    return _frame_of(head[1], head[2], head[3] >> 6 == 3)


@lru_cache(maxsize=4096)
def _frame_of(second: int, third: int, mono: bool) -> _Frame | None:
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    bit_rate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second < 0xE0 or version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    hz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits_per_s = 1_000 * _KBIT[is_first, layer][bit_rate - 1]
    if layer == 1:
        n_bytes = 4 * (12 * bits_per_s // hz + padding)
    else:
        n_bytes = (144 if is_first or layer == 2 else 72) * bits_per_s // hz + padding
    n_side = (17 if mono else 32) if is_first else (9 if mono else 17)
    return _Frame(n_bytes, (version, layer, rate, mono), 4 + n_side)


def _first_frame(file: BinaryIO, start: int, size: int) -> int | None:
    """Return where the first frame stands; None if this is no MP3, or one of free format."""
    if _is_run(file, start, size):
        return start
    return _next_run(file, start, size) if start else None  # a tag may be padded


def _after_id3(file: BinaryIO, at: int) -> int:
    """Return where the ID3 tags that begin at a place end."""
    while (head := _at(file, at, 10))[:3] == b"ID3" and len(head) == 10:
        n_bytes = sum(
            (byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
        at += 10 + n_bytes + (10 if head[5] & 16 else 0)
    return at


def _is_run(file: BinaryIO, at: int, size: int) -> bool:
    """Whether three frames stand here in a row, or at the end of a file two or all."""
    first = _frame(_at(file, at, 4))
    frame = first
    for n_frames in range(1, _RUN + 1):
        if first is None or frame is None or frame.kind != first.kind:
            return False
        at += frame.n_bytes
        if at >= size:
            return at == size or n_frames > 1
        frame = _frame(_at(file, at, 4))
    return True


def _next_run(file: BinaryIO, at: int, size: int) -> int | None:
    """Return where frames begin again behind a place, if they do soon."""
    block = _at(file, at, _SEARCHED)
    position = block.find(0xFF)
    while position >= 0:
        if _frame(block[position : position + 4]) and _is_run(file, at + position, size):
            return at + position
        position = block.find(0xFF, position + 1)
    return None


def _mp3(file: BinaryIO, at: int | None, size: int) -> Layout:
    """Cut an MP3 file where recordings were joined; stop at what is damaged or missing."""
    links: list[Link] = []
    broken = ""
    while at is not None and not broken:
        run = _run(file, at, size)
        links.append(Link(((run.start, run.end),), run.before))
        at, broken = _after_run(file, run, size)
        broken = broken or _too_many(links)
    return Layout(tuple(links), broken, length_announced=False)


@dataclass(frozen=True)
class _Run:
    """Frames of one recording, at least one; the header announces `announced`, 0 if unknown."""

    start: int
    end: int
    n_frames: int
    announced: int
    before: bytes


def _run(file: BinaryIO, start: int, size: int) -> _Run:
    """Follow frames to the end of the recording that begins with them."""
    head = _at(file, start, _HEAD)
    first = _frame(head)
    assert first is not None  # or nobody would have asked
    announced = _announced_frames(head, first)
    sound = at = start if announced is None else start + first.n_bytes
    n_frames = 0
    while (frame := _frame(next_head := _at(file, at, _HEAD))) and at + frame.n_bytes <= size:
        if frame.kind != first.kind or _announced_frames(next_head, frame) is not None:
            break
        at += frame.n_bytes
        n_frames += 1
    if first.kind[1] != 3:
        return _Run(start, at, n_frames, announced or 0, _TAGGED)
    is_right = announced and abs(announced - n_frames) <= _COUNTED_ALIKE
    own = _at(file, start, first.n_bytes) if is_right else _header(head, first, n_frames)
    before = _TAGGED + _sized(own, first, at - sound)
    return _Run(sound, at, n_frames, announced or 0, before)


def _header(head: bytes, frame: _Frame, n_frames: int) -> bytes:
    """Make a header that tells the frames: without one libsndfile guesses, and stops too early."""
    header = head[:4] + bytes(frame.n_before - 4) + b"Xing\0\0\0\1" + n_frames.to_bytes(4, "big")
    return header.ljust(frame.n_bytes, b"\0")


def _sized(header: bytes, frame: _Frame, n_bytes: int) -> bytes:
    """Put the right number of bytes into a header that tells it: libmpg123 complains of others."""
    xing = header[frame.n_before :]
    if xing[:4] not in (b"Xing", b"Info") or not xing[7] & 2:
        return header
    at = frame.n_before + (12 if xing[7] & 1 else 8)
    return header[:at] + (len(header) + n_bytes).to_bytes(4, "big") + header[at + 4 :]


def _announced_frames(head: bytes, frame: _Frame) -> int | None:
    """Return the frames that an encoder's own header tells, 0 if it does not; None without one."""
    xing = head[frame.n_before :]
    if xing[:4] in (b"Xing", b"Info"):
        return int.from_bytes(xing[8:12], "big") if xing[7] & 1 else 0
    return int.from_bytes(head[50:54], "big") if head[36:40] == b"VBRI" else None


def _after_run(file: BinaryIO, run: _Run, size: int) -> tuple[int | None, str]:
    """Return where the next recording begins, if one does, and why something is missing."""
    if run.n_frames + _COUNTED_ALIKE < run.announced:
        return None, (
            f"the file is cut off or damaged: its header announces {run.announced} frames, it "
            f"holds {run.n_frames}"
        )
    at = run.end
    frame = _frame(_at(file, at, 4))
    if frame and at + frame.n_bytes > size:
        return None, "" if run.announced else "the file is cut off in the middle of a frame"
    position = _first_frame(file, _after_id3(file, at), size) or _next_run(file, at, size)
    is_apart = position == at or _at(file, at, len(_TAGS[-1])).startswith(_TAGS)
    if position is not None and not is_apart:
        return None, _damaged(at)
    return position, ""


def _too_many(links: list[Link]) -> str:
    if len(links) < _MAX_LINKS:
        return ""
    return f"the file is of more than {_MAX_LINKS} recordings"
