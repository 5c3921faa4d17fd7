"""For benchmarks/fuzz.py: recordings taken apart by their formats, and put together wrong."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
FIRST, LAST = 2, 4  # flags of an Ogg page
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
MP3_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # layer III, of MPEG 1 and of later ones


def shuffled(parts: Sequence[bytes], rng: Random) -> list[bytes]:
    """Drop, double, swap or fill in parts."""
    changed = list(parts)
    for _ in range(rng.randrange(1, 4)):
        at, other = rng.randrange(len(changed) + 1), rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            del changed[at : at + 1]
        elif kind == 1:
            changed[at:at] = changed[other : other + 1]
        elif kind == 2:
            changed[at : at + 1], changed[other : other + 1] = (
                changed[other : other + 1],
                changed[at : at + 1],
            )
        else:
            changed.insert(at, rng.randbytes(rng.choice((1, 4, 300))))
    return changed


def with_number(content: bytes, at: int, form: str, rng: Random) -> bytes:
    """Replace a number at some place of a header by an extreme one."""
    size = struct.calcsize(form)
    number = rng.choice(EXTREMES) & (1 << 8 * size) - 1
    return content[:at] + struct.pack(form, number) + content[at + size :]


# Ogg


@dataclass(frozen=True)
class Page:
    """A page of an Ogg file."""

    flags: int
    granule: int
    serial: int
    number: int
    lacing: bytes
    body: bytes
    version: int = 0
    checksum: int | None = None  # None: the right one

    def to_bytes(self) -> bytes:
        """Return the page as it stands in a file."""
        head = struct.pack(
            "<4sBBQII", b"OggS", self.version, self.flags, self.granule, self.serial, self.number
        )
        rest = bytes([len(self.lacing)]) + self.lacing + self.body
        checksum = self.checksum
        if checksum is None:
            checksum = ogg_checksum(head + b"\0\0\0\0" + rest)
        return head + struct.pack("<I", checksum) + rest


def ogg_checksum(content: bytes) -> int:
    """Return an Ogg page's checksum: zlib's, of mirrored bits and without its inversions."""
    value = zlib.crc32(content.translate(MIRRORED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{value:032b}"[::-1], 2)


def ogg_pages(content: bytes) -> Iterator[Page]:
    """Take an Ogg file apart."""
    at = 0
    while content[at : at + 4] == b"OggS":
        version, flags, granule, serial, number = struct.unpack_from("<BBQII", content, at + 4)
        n_lacing = content[at + 26]
        lacing = content[at + 27 : at + 27 + n_lacing]
        start = at + 27 + n_lacing
        at = start + sum(lacing)
        yield Page(flags, granule, serial, number, lacing, content[start:at], version)


def repaged(content: bytes, n_packets: int, samples: int) -> bytes:
    """Put few packets on each page of sound, so that a short file has many pages.

    Granules, which count samples, are spread evenly: near enough for a start and for an end.
    """
    *heads, last = list(ogg_pages(content))
    if len(heads) > 2:
        return content
    ends = [index + 1 for index, size in enumerate(last.lacing) if size < 255]
    cuts = [0, *ends[n_packets - 1 :: n_packets]]
    if cuts[-1] != len(last.lacing):
        cuts.append(len(last.lacing))
    made = []
    for index, (first, end) in enumerate(pairwise(cuts)):
        body = last.body[sum(last.lacing[:first]) : sum(last.lacing[:end])]
        is_last = end == len(last.lacing)
        granule = last.granule if is_last else min(last.granule, samples * (index + 1) * n_packets)
        page = Page(
            LAST * is_last, granule, last.serial, last.number + index, last.lacing[first:end], body
        )
        made.append(page.to_bytes())
    return b"".join([page.to_bytes() for page in heads] + made)


def wrong_ogg(content: bytes, rng: Random) -> bytes:
    """Change pages of an Ogg file: their headers with the right checksum, or their order."""
    pages = list(ogg_pages(content))
    if not pages or rng.random() < 0.3:
        return b"".join(shuffled([page.to_bytes() for page in pages], rng))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(pages))
        pages[at] = _wrong_page(pages[at], rng)
    return b"".join(page.to_bytes() for page in pages)


def _wrong_page(page: Page, rng: Random) -> Page:
    kind = rng.randrange(7)
    if kind == 0:
        return replace(page, flags=rng.choice((0, 1, FIRST, LAST, FIRST | LAST, 7, 255)))
    if kind == 1:
        granules = (
            0,
            1,
            2**64 - 1,
            2**63,
            2**40,
            2**31,
            page.granule // 2,
            page.granule * 2 % 2**64,
        )
        return replace(page, granule=rng.choice(granules))
    if kind == 2:
        return replace(page, serial=rng.choice((0, page.serial + 1 & 0xFFFF_FFFF)))
    if kind == 3:
        return replace(page, number=rng.choice((0, page.number // 2, 2**32 - 1)))
    if kind == 4:
        return replace(page, lacing=rng.randbytes(rng.randrange(256)))
    if kind == 5:
        return replace(page, checksum=rng.getrandbits(32), version=rng.choice((0, 1, 255)))
    body = bytearray(page.body)  # such as the header of Vorbis or Opus, in the first two pages
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(min(len(body), 60) or 1)
        body[at : at + 1] = rng.choice((b"\0", b"\xff", b"\x01", rng.randbytes(1)))
    return replace(page, body=bytes(body))


def chained_ogg(content: bytes, serial: int) -> bytes:
    """Return a stream as the next one of a chain: with another serial number."""
    return b"".join(replace(page, serial=serial).to_bytes() for page in ogg_pages(content))


# MP3


def mp3_frames(content: bytes) -> list[bytes]:
    """Take an MP3 apart into its frames."""
    frames, at = [], 0
    while (length := _mp3_length(content[at : at + 4])) and at + length <= len(content):
        frames.append(content[at : at + length])
        at += length
    return frames


def _mp3_length(head: bytes) -> int:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version = head[1] >> 3 & 3
    kbit, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or kbit in (0, 15) or rate == 3:
        return 0
    is_first = version == 3
    per_kbit = (144_000 if is_first else 72_000) * MP3_KBITS[is_first][kbit]
    return per_kbit // MP3_RATES[version][rate] + (head[2] >> 1 & 1)


def wrong_mp3(content: bytes, rng: Random) -> bytes:
    """Change the frames of an MP3, the tag that tells its length, or put other tags around it."""
    frames = mp3_frames(content) or [content]
    kind = rng.randrange(6)
    if kind == 0:
        return b"".join(shuffled(frames, rng))
    if kind == 1:
        return b"".join([_wrong_tag(frames[0], rng), *frames[1:]])
    if kind == 2:
        at = rng.randrange(len(frames))
        head = bytearray(frames[at])
        head[rng.randrange(4)] ^= 1 << rng.randrange(8)
        return b"".join([*frames[:at], bytes(head), *frames[at + 1 :]])
    if kind == 3:
        return _id3(rng) + content
    if kind == 4:
        return content + rng.choice(
            (b"TAG" + bytes(125), _ape(rng), _ape(rng) + b"TAG" + bytes(125))
        )
    return b"".join(frames[rng.randrange(3) :])  # its tag gone


def _wrong_tag(frame: bytes, rng: Random) -> bytes:
    """Change what the Xing tag tells of frames, bytes and places; or make it one of VBRI."""
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or rng.random() < 0.3:
        told = [rng.choice(EXTREMES), rng.choice(EXTREMES)]  # bytes and frames
        table = [rng.choice(EXTREMES) & 0xFFFF for _ in range(4)]
        vbri = struct.pack(">4sHHHIIHHHH", b"VBRI", 1, 0, 75, *told, *table)
        return frame[:36] + vbri + frame[36 + len(vbri) :]
    for _ in range(rng.randrange(1, 3)):
        frame = with_number(frame, at + rng.choice((4, 8, 12, 120, 140, 141)), ">I", rng)
    return frame


def _id3(rng: Random) -> bytes:
    size = rng.choice((0, 10, 200, 5_000))
    told = rng.choice((size, size, size + 9, 2**28 - 1))
    synchsafe = bytes(told >> shift & 127 for shift in (21, 14, 7, 0))
    inner = (
        b"TIT2"
        + struct.pack(">IH", rng.choice((5, *EXTREMES)), rng.choice((0, 0xFFFF)))
        + b"\3abcd"
    )
    head = b"ID3" + bytes([rng.choice((2, 3, 4, 255)), 0, rng.choice((0, 0x40, 0x80, 0x10, 255))])
    return head + synchsafe + (inner + bytes(size))[:size]


def _ape(rng: Random) -> bytes:
    numbers = (
        rng.choice((2_000, 1_000, 0)),
        *(rng.choice((0, 32, 1, *EXTREMES)) for _ in range(3)),
    )
    return b"APETAGEX" + struct.pack("<IIII", *numbers) + bytes(8)


# Formats of chunks, and FLAC


@dataclass(frozen=True)
class Chunks:
    """How a format of chunks is laid out: its head, and how a chunk tells its size."""

    n_head: int
    size: str
    pad: int = 2


LAYOUTS = {b"RIFF": Chunks(12, "<I"), b"FORM": Chunks(12, ">I"), b"caff": Chunks(8, ">Q", pad=1)}


def wrong_chunks(content: bytes, rng: Random) -> bytes:
    """Change the chunks of a WAV, AIFF or CAF: their sizes, their order, the numbers in them."""
    layout = LAYOUTS[content[:4]]
    head, chunks = content[: layout.n_head], list(_chunks(content, layout))
    kind = rng.randrange(5)
    if kind == 0:
        chunks = shuffled(chunks, rng)
    elif kind == 1:
        at = rng.randrange(len(chunks))
        chunks[at] = with_number(chunks[at], 4, layout.size, rng)
    elif kind == 2:  # the format: channels, rate, bits
        for _ in range(rng.randrange(1, 4)):
            place = layout.n_head - 4 + rng.randrange(4, 44)
            content = with_number(content, place, rng.choice(("<H", "<I", ">H", ">I", "B")), rng)
        return content
    elif kind == 3:
        odd = rng.choice(
            (b"LIST", b"fact", b"JUNK", b"cue ", b"id3 ", b"data", b"SSND", b"\0\0\0\0")
        )
        size = rng.choice((0, 1, 4, 300))
        told = rng.choice((size, size + 1, 2**32 - 1))
        chunk = odd + struct.pack(layout.size, told) + rng.randbytes(size)
        chunks.insert(rng.randrange(len(chunks) + 1), chunk)
    else:
        head = rng.choice((b"RIFX", b"RF64", b"FORM", b"RIFF", b"caff", b".snd")) + head[4:]
    return head + b"".join(chunks)


def _chunks(content: bytes, layout: Chunks) -> Iterator[bytes]:
    at, n_told = layout.n_head, struct.calcsize(layout.size)
    while at + 4 + n_told <= len(content):
        (size,) = struct.unpack_from(layout.size, content, at + 4)
        end = at + 4 + n_told + size + size % layout.pad
        yield content[at:end]
        at = end


def wrong_flac(content: bytes, rng: Random) -> bytes:
    """Change the blocks before the sound of a FLAC: sizes, order, and what the first one tells."""
    blocks, at, is_last = [], 4, False
    while not is_last and at + 4 <= len(content):
        is_last = bool(content[at] & 128)
        end = at + 4 + int.from_bytes(content[at + 1 : at + 4], "big")
        blocks.append(content[at:end])
        at = end
    kind = rng.randrange(4)
    if kind == 0:
        blocks = shuffled(blocks, rng)
    elif kind == 1:
        index = rng.randrange(len(blocks))
        told = blocks[index][0:1] + rng.choice((0, 1, 34, 2**24 - 1)).to_bytes(3, "big")
        blocks[index] = told + blocks[index][4:]
    elif kind == 2:  # block and frame sizes, rate, channels, bits, samples
        blocks[0] = with_number(
            blocks[0], 4 + rng.randrange(16), rng.choice(("B", ">H", ">I")), rng
        )
    else:
        size = rng.choice((0, 8, 300))
        block = bytes([rng.choice((1, 2, 3, 4, 5, 6, 126, 127))]) + size.to_bytes(3, "big")
        blocks.insert(rng.randrange(1, len(blocks) + 1), block + rng.randbytes(size))
    return content[:4] + b"".join(blocks) + content[at:]


def wrong_bytes(content: bytes, rng: Random) -> bytes:
    """Change some bytes, mostly of the header; or cut, repeat or fill up."""
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(max(1, len(changed) if rng.random() < 0.3 else min(256, len(changed))))
        kind = rng.randrange(6)
        if kind == 0 and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at : at + 1] = rng.randbytes(1)
        elif kind == 2:
            changed[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(EXTREMES))
        elif kind == 3:
            del changed[at : at + rng.randrange(1, 32)]
        elif kind == 4:
            changed[at:at] = rng.randbytes(rng.randrange(1, 32))
        else:
            changed[at:at] = changed[: rng.randrange(64)]
    return bytes(changed)


WRONG: dict[bytes, Callable[[bytes, Random], bytes]] = {
    b"OggS": wrong_ogg,
    b"fLaC": wrong_flac,
    **dict.fromkeys(LAYOUTS, wrong_chunks),
}


def wrong_structure(content: bytes, rng: Random) -> bytes:
    """Change a recording as its format is built; where nothing is known of that, some bytes."""
    if content[:2] in (b"\xff\xf3", b"\xff\xfb", b"\xff\xf2"):
        return wrong_mp3(content, rng)
    return WRONG.get(content[:4], wrong_bytes)(content, rng)
