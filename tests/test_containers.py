"""Ogg and MP3 files: whole ones are heard whole, joined ones as one, and the rest is told."""

import io

import numpy as np
import pytest
import soundfile

from emovox.audio import RATE, load_audio
from emovox.decoding import read_blocks
from emovox.errors import AudioError
from emovox.sound.containers import Layout, layout_of, other_format

KINDS = {
    "Vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "Opus": {"format": "OGG", "subtype": "OPUS"},
    "MP3": {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.5},
    "MP3 of variable rate": {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.5},
}
ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\0\0\0\0\0\x14" + bytes(20)
APE = b"APETAGEX" + bytes(200)


@pytest.fixture(scope="module")
def spoken(talk) -> np.ndarray:
    """Give five seconds of talk."""
    return talk[: 5 * RATE]


def encoded(samples, kind="MP3", rate=RATE) -> bytes:
    """Encode samples to the bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **KINDS[kind])
    return file.getvalue()


def heard(content: bytes) -> tuple[np.ndarray, str]:
    """Return what can be heard of a file block by block, and why no more."""
    blocks = list(read_blocks(content))
    return np.concatenate([block.samples for block in blocks]), blocks[-1].broken


def without_header(content: bytes) -> bytes:
    """Take away the first frame of an MP3, which tells how many there are."""
    return content[layout_of(io.BytesIO(content)).links[0].ranges[0][0] :]


def pages(content: bytes) -> list[bytes]:
    """Cut an Ogg file into its pages."""
    starts = [at for at in range(len(content)) if content.startswith(b"OggS", at)]
    return [content[a:b] for a, b in zip(starts, [*starts[1:], len(content)], strict=True)]


class TestWhole:
    """A whole file raises no alarm, whatever an encoder, a recorder or a tagger did to it."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_plain(self, spoken, kind):
        """It is heard whole, in one go and block by block alike."""
        content = encoded(spoken, kind)
        whole = load_audio(content)
        assert abs(len(whole) - len(spoken)) < 2_000
        found, broken = heard(content)
        assert broken == ""
        np.testing.assert_array_equal(found, whole)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("end", [ID3V1, APE, APE + ID3V1, bytes(3_000), b"written by me"])
    def test_something_appended(self, spoken, kind, end):
        """Tags and filling behind the sound change nothing."""
        content = encoded(spoken, kind)
        np.testing.assert_array_equal(load_audio(content + end), load_audio(content))

    def test_tag_before_mp3(self, spoken):
        """Tags in front, also ones that are longer than they say, change nothing."""
        content = encoded(spoken)
        for front in (ID3V2, ID3V2 + bytes(500), ID3V2 + ID3V2):
            np.testing.assert_array_equal(load_audio(front + content), load_audio(content))

    @pytest.mark.parametrize("kind", ["MP3", "MP3 of variable rate"])
    def test_mp3_without_header(self, spoken, kind):
        """An MP3 that was written to a pipe does not tell its length, and is heard to its end."""
        content = without_header(encoded(spoken, kind))
        assert b"Info" not in content[:200]
        assert b"Xing" not in content[:200]
        found = load_audio(content)
        assert len(spoken) <= len(found) < len(spoken) + 4_000
        np.testing.assert_array_equal(heard(content)[0], found)

    @pytest.mark.parametrize("told", [0, 3])
    def test_mp3_header_that_tells_too_little(self, spoken, told):
        """An encoder that wrote its header before the sound is not believed."""
        content = bytearray(encoded(spoken))
        at = max(content.find(b"Info"), content.find(b"Xing")) + 8
        content[at : at + 4] = told.to_bytes(4, "big")
        assert len(load_audio(bytes(content))) >= len(spoken)

    @pytest.mark.parametrize("kind", ["Vorbis", "Opus"])
    def test_ogg_without_an_end(self, spoken, kind):
        """A live recorder that was stopped leaves no mark of an end; all its pages are heard."""
        content = b"".join(pages(encoded(spoken, kind))[:-1])
        found, broken = heard(content)
        assert len(found) > RATE
        assert broken == ""
        np.testing.assert_array_equal(load_audio(content), found)

    def test_ogg_with_a_stream_beside(self, spoken):
        """What is no sound beside the sound, as an index or a picture, is left out."""
        content = encoded(spoken, "Vorbis")
        first, *rest = pages(content)
        beside = page(b"fishead\0" + bytes(56), stream=7, flags=2)
        end = page(b"", stream=7, flags=4, number=1)
        mixed = first + beside + rest[0] + end + b"".join(rest[1:])
        np.testing.assert_array_equal(load_audio(mixed), load_audio(content))

    @pytest.mark.corpora
    @pytest.mark.parametrize("corpus", ["noise", "ravdess", "nemo", "emodb"])
    def test_real_files(self, corpora_root, corpus):
        """Real Opus files are whole."""
        files = sorted((corpora_root / corpus).rglob("*.opus"))[::50]
        assert files
        for file in files:
            assert heard(file.read_bytes())[1] == ""


def page(body: bytes, stream: int, flags: int, number: int = 0) -> bytes:
    """Make an Ogg page of one short packet."""
    head = b"OggS\0" + bytes([flags]) + bytes(8) + stream.to_bytes(4, "little")
    head += number.to_bytes(4, "little")
    tail = bytes([1, len(body)]) + body
    return head + crc(head + bytes(4) + tail).to_bytes(4, "little") + tail


def crc(content: bytes) -> int:
    """Compute Ogg's checksum, bit by bit."""
    register = 0
    for byte in content:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1) ^ (0x04C11DB7 if register >> 31 else 0)
            register &= 0xFFFFFFFF
    return register


class TestBroken:
    """What is missing is told, and what came before is heard."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
    def test_cut_off(self, spoken, kind, share):
        """A file that was cut off is refused, and heard as far as it goes block by block."""
        content = encoded(spoken, kind)
        cut = content[: int(share * len(content))]
        with pytest.raises(AudioError, match="the file is cut off"):
            load_audio(cut)
        found, broken = heard(cut)
        assert "the file is cut off" in broken
        assert len(found) <= share * 1.5 * len(spoken)

    def test_cut_off_without_header(self, spoken):
        """An MP3 that tells no length is cut off where its last frame is not whole."""
        content = without_header(encoded(spoken))
        with pytest.raises(AudioError, match="the file is cut off in the middle of a frame"):
            load_audio(content[: len(content) // 2 + 7])

    def test_header_that_announces_hours(self, spoken):
        """An MP3 that holds less than it announces is cut off."""
        content = bytearray(encoded(spoken))
        at = max(content.find(b"Info"), content.find(b"Xing")) + 8
        content[at : at + 4] = (2**31).to_bytes(4, "big")
        with pytest.raises(AudioError, match="its header announces 2147483648 frames, it holds "):
            load_audio(bytes(content))

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("how", ["junk", "lost", "zeros"])
    def test_damaged(self, spoken, kind, how):
        """Damage in the middle gives one verdict, in one go and block by block."""
        content = encoded(spoken, kind)
        middle = len(content) // 2
        junk = np.random.default_rng(3).bytes(3_000)
        rest = {
            "junk": junk + content[middle:],
            "lost": content[middle + 1_111 :],
            "zeros": bytes(600) + content[middle + 600 :],
        }[how]
        damaged = content[:middle] + rest
        with pytest.raises(AudioError, match="damaged"):
            load_audio(damaged)
        found, broken = heard(damaged)
        assert "damaged" in broken
        assert len(found) < 0.8 * len(spoken)

    @pytest.mark.parametrize("kind", ["Vorbis", "Opus"])
    def test_lost_page(self, spoken, kind):
        """A page that is missing between two others is told."""
        content = pages(encoded(np.tile(spoken, 2), kind))
        with pytest.raises(AudioError, match="damaged"):
            load_audio(b"".join([*content[:4], *content[5:]]))

    def test_beginning_alone(self, spoken):
        """A file that was cut off before its sound begins is told as cut off, not as no audio."""
        content = encoded(spoken, "Vorbis")
        with pytest.raises(AudioError, match="cut off"):
            load_audio(content[:100])


class TestJoined:
    """Several recordings joined in one file are heard one after the other."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_twice(self, spoken, kind):
        """Both are heard, as if each were alone."""
        one, other = encoded(spoken, kind), encoded(spoken[::-1], kind)
        joined = np.concatenate([load_audio(one), load_audio(other)])
        np.testing.assert_array_equal(load_audio(one + other), joined)
        np.testing.assert_array_equal(heard(one + other)[0], joined)

    def test_tags_between(self, spoken):
        """Tags between two MP3s are passed over."""
        one = encoded(spoken)
        alone = load_audio(one)
        for tags in (ID3V1, ID3V2, ID3V1 + ID3V2, APE + ID3V1 + ID3V2):
            np.testing.assert_array_equal(load_audio(one + tags + one), np.tile(alone, 2))

    @pytest.mark.parametrize("kind", KINDS)
    def test_cut_off(self, spoken, kind):
        """If the last one is cut off, that is told, and all before is heard."""
        one = encoded(spoken, kind)
        joined = one + one[: len(one) // 2]
        with pytest.raises(AudioError, match="the file is cut off"):
            load_audio(joined)
        found, broken = heard(joined)
        assert "the file is cut off" in broken
        assert len(found) > 1.2 * len(spoken)

    @pytest.mark.parametrize("kind", ["Vorbis", "MP3"])
    def test_of_another_rate(self, spoken, kind):
        """What cannot be joined is refused with advice; block by block the first is heard."""
        joined = encoded(spoken, kind) + encoded(spoken, kind, rate=32_000)
        with pytest.raises(AudioError, match=r"at 16000 Hz .* then at 32000 Hz .* ffmpeg -i"):
            load_audio(joined)
        found, broken = heard(joined)
        assert "then at 32000 Hz" in broken
        assert abs(len(found) - len(spoken)) < 2_000

    def test_at_the_same_time(self, spoken):
        """Two recordings that run at the same time in one Ogg file are refused with advice."""
        one, other = pages(encoded(spoken, "Vorbis")), pages(encoded(spoken, "Opus"))
        mixed = b"".join([one[0], other[0], *one[1:], *other[1:]])
        with pytest.raises(AudioError, match=r"several recordings at the same time.*ffmpeg -i"):
            load_audio(mixed)

    def test_limit(self, spoken):
        """The limit counts them together."""
        content = encoded(spoken, "Opus") * 3
        with pytest.raises(AudioError, match="at most 12 s of audio"):
            load_audio(content, max_seconds=12)
        assert len(load_audio(content, max_seconds=15)) == 3 * len(spoken)


class TestLayout:
    """What is found in a file."""

    def test_others_are_one(self):
        """What is neither Ogg nor MP3 is one recording, whatever it is."""
        for content in (b"", b"RIFF", b"\xff\xfb\x90\x64" * 99, b"\xff" * 99, b"ID3", ID3V2):
            layout = layout_of(io.BytesIO(content))
            assert layout.links[0].ranges == ((0, len(content)),)
            assert layout == Layout(layout.links)

    def test_any_damage(self, spoken):
        """However a file is damaged, it is laid out, and what is read is audio or an AudioError."""
        rng = np.random.default_rng(5)
        for kind in KINDS:
            content = encoded(spoken[:RATE], kind)
            for _ in range(25):
                damaged = bytearray(content)
                for at in rng.integers(0, len(content), rng.integers(1, 9)):
                    damaged[at] = rng.integers(0, 256)
                try:
                    assert np.isfinite(load_audio(bytes(damaged))).all()
                except AudioError:
                    continue

    @pytest.mark.parametrize(
        ("head", "name"),
        [
            (b"\0\0\0\x1cftypM4A ", "MPEG-4 (M4A, MP4)"),
            (b"\x1a\x45\xdf\xa3\x9f", "WebM or Matroska"),
            (b"\xff\xf1\x50\x80", "AAC"),
            (b"#!AMR\n", "AMR"),
            (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (WMA)"),
            (b"RIFF\0\0\0\0WAVE", ""),
            (b"\xff\xfb\x90\x64", ""),
            (b"", ""),
        ],
    )
    def test_other_formats(self, head, name):
        """Formats that have to be converted first are known by their content."""
        assert other_format(head) == name
