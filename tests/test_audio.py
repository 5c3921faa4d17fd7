"""Audio in: every format, rate and number of channels ends as mono float32 at 16 kHz."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emovox.audio import (
    AUDIO_SUFFIXES,
    MAX_AMPLITUDE,
    NOISE_FLOOR,
    RATE,
    audio_files,
    check_audible,
    check_audio,
    load_audio,
    no_audio,
)
from emovox.errors import AudioError, SilenceError

LOSSLESS = [
    ("WAV", "PCM_U8", 8e-3),
    ("WAV", "PCM_16", 4e-5),
    ("WAV", "PCM_24", 2e-7),
    ("WAV", "PCM_32", 2e-7),
    ("WAV", "FLOAT", 1e-7),
    ("WAV", "DOUBLE", 1e-7),
    ("WAV", "ULAW", 1e-2),
    ("WAVEX", "PCM_16", 4e-5),
    ("FLAC", "PCM_16", 4e-5),
    ("FLAC", "PCM_24", 2e-7),
    ("AIFF", "PCM_16", 4e-5),
    ("AIFF", "FLOAT", 1e-7),
    ("AU", "PCM_16", 4e-5),
    ("CAF", "PCM_16", 4e-5),
    ("W64", "PCM_16", 4e-5),
    ("RF64", "PCM_16", 4e-5),
]
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]


def encoded(samples, rate=RATE, container="WAV", subtype=None) -> bytes:
    """Encode samples to the bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def tone(hz, rate=RATE, seconds=1.0, amplitude=0.5) -> np.ndarray:
    """Make a sine."""
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def level_db(samples) -> float:
    """Return the root mean square in decibels of full scale, away from the edges."""
    inner = np.asarray(samples, np.float64)[len(samples) // 8 : -len(samples) // 8]
    return float(10 * np.log10(np.mean(inner**2) + 1e-30))


class TestFormats:
    """Whatever libsndfile reads."""

    @pytest.mark.parametrize(("container", "subtype", "tolerance"), LOSSLESS)
    def test_lossless(self, voice, container, subtype, tolerance):
        """A format without a lossy codec gives the samples back to its resolution."""
        heard = load_audio(encoded(voice, RATE, container, subtype))
        assert heard.dtype == np.float32
        assert heard.shape == voice.shape
        np.testing.assert_allclose(heard, voice, atol=tolerance)

    @pytest.mark.parametrize(("container", "subtype"), LOSSY)
    def test_lossy(self, voice, container, subtype):
        """A lossy codec gives the same sound: as long, as loud, and in step."""
        heard = load_audio(encoded(voice, RATE, container, subtype))
        assert heard.shape == voice.shape
        assert level_db(heard) == pytest.approx(level_db(voice), abs=0.5)
        assert np.corrcoef(heard, voice)[0, 1] > 0.97

    def test_aiff_named_wav(self, voice, tmp_path):
        """The content decides, not the name: AIFF in a .wav name is read."""
        path = tmp_path / "clip.wav"
        path.write_bytes(encoded(voice, RATE, "AIFF"))
        np.testing.assert_allclose(load_audio(path), voice, atol=4e-5)

    @pytest.mark.parametrize("suffix", [".txt", ".raw", ".gsm", ".vox", ".au", ".mp3", ""])
    def test_any_name(self, voice, tmp_path, suffix):
        """A FLAC file is read under any name, also one that libsndfile has ideas about."""
        path = tmp_path / f"clip{suffix}"
        path.write_bytes(encoded(voice, RATE, "FLAC"))
        np.testing.assert_allclose(load_audio(path), voice, atol=4e-5)

    @pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
    def test_every_kind_of_source(self, voice, tmp_path, container):
        """A path, its text, its bytes and a file object give the same samples."""
        content = encoded(voice, RATE, container)
        path = tmp_path / "clip"
        path.write_bytes(content)
        expected = load_audio(content)
        with path.open("rb") as file:
            for source in (path, str(path), file, io.BytesIO(content)):
                np.testing.assert_array_equal(load_audio(source), expected)

    def test_source_that_cannot_seek(self, voice):
        """A file object needs nothing but `read`, so a pipe or a download will do."""

        class Pipe:
            def read(self):
                return encoded(voice)

        np.testing.assert_array_equal(load_audio(Pipe()), load_audio(encoded(voice)))

    def test_own_file_object_stays_open(self, voice):
        """A file object is its owner's to close."""
        file = io.BytesIO(encoded(voice))
        load_audio(file)
        assert not file.closed

    def test_streamed_wav(self, voice):
        """A WAV written to a pipe announces an unknown size, and is read to its end."""
        content = bytearray(encoded(voice))
        for size in (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
            content[4:8] = content[40:44] = size.to_bytes(4, "little")
            np.testing.assert_allclose(load_audio(bytes(content)), voice, atol=4e-5)

    def test_streamed_flac(self, voice):
        """A FLAC written to a pipe does not tell its length, and is read to its end."""
        content = bytearray(encoded(voice, RATE, "FLAC"))
        content[21] &= 0xF0
        content[22:26] = bytes(4)
        np.testing.assert_allclose(load_audio(bytes(content)), voice, atol=4e-5)
        with pytest.raises(AudioError, match="the file is cut off or damaged"):
            load_audio(bytes(content[:9_000]))

    def test_careless_sizes(self, voice):
        """A header that counts itself into its size is forgiven."""
        content = bytearray(encoded(voice))
        size = int.from_bytes(content[40:44], "little") + 44
        content[40:44] = size.to_bytes(4, "little")
        np.testing.assert_allclose(load_audio(bytes(content)), voice, atol=4e-5)


class TestRates:
    """Any rate becomes 16 kHz."""

    @pytest.mark.parametrize(
        "rate", [8_000, 11_025, 22_050, 24_414, 44_100, 48_000, 96_000, 192_000]
    )
    def test_tone_keeps_pitch_and_level(self, rate):
        """A tone of 1 kHz is one of 1 kHz afterwards, as loud and as long."""
        heard = load_audio(encoded(tone(1_000, rate), rate, "WAV", "FLOAT"))
        assert abs(len(heard) - RATE) <= 2
        expected = tone(1_000)[: len(heard)]
        np.testing.assert_allclose(heard[800:-800], expected[800 : len(heard) - 800], atol=2e-3)

    @pytest.mark.parametrize(("hz", "rate"), [(10_000, 48_000), (9_000, 44_100), (30_000, 96_000)])
    def test_no_aliases(self, hz, rate):
        """A tone above 8 kHz vanishes; it is not folded into the band of the voice."""
        assert level_db(check_audio(tone(hz, rate), rate)) < -60

    def test_same_rate_is_untouched(self, voice):
        """Audio at 16 kHz comes through bit by bit."""
        np.testing.assert_array_equal(check_audio(voice, RATE), voice)

    def test_rate_of_any_number_type(self, voice):
        """A rate may be an integer or a float of Python's or NumPy's."""
        for rate in (16_000, 16_000.0, np.int32(16_000), np.float32(16_000)):
            np.testing.assert_array_equal(check_audio(voice, rate), voice)


class TestChannels:
    """Any number of channels becomes one."""

    @pytest.mark.parametrize("n_channels", [1, 2, 6])
    def test_mean(self, voice, n_channels):
        """Channels are averaged."""
        channels = np.stack([voice * (k + 1) / n_channels for k in range(n_channels)], axis=1)
        heard = load_audio(encoded(channels, RATE, "WAV", "FLOAT"))
        np.testing.assert_allclose(heard, channels.mean(1), atol=1e-6)

    def test_opposite_channels_do_not_overflow(self):
        """Full-scale channels of opposite sign are silence, and of the same sign full scale."""
        full = np.ones((100, 2), np.float32)
        assert check_audio(full * [1, -1]).max() == 0
        assert check_audio(full).max() == 1


class TestSamples:
    """Arrays that are already decoded."""

    @pytest.mark.parametrize(
        "dtype", ["int8", "int16", "int32", "float16", "float32", "float64", ">f4", ">i2"]
    )
    def test_types(self, dtype):
        """Integers are scaled by their type's range, floats are taken as they are."""
        signal = tone(440)
        scale = 2.0 ** (8 * np.dtype(dtype).itemsize - 1) if np.dtype(dtype).kind == "i" else 1.0
        heard = check_audio((signal * scale).astype(dtype), RATE)
        assert heard.dtype == np.float32
        np.testing.assert_allclose(heard, signal, atol=1e-2 if dtype == "int8" else 5e-4)

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_full_scale_does_not_wrap(self, subtype, sign):
        """A sine that touches full scale stays a sine, at either sign."""
        signal = sign * tone(100, amplitude=1.0)
        heard = load_audio(encoded(signal, RATE, "WAV", subtype))
        np.testing.assert_allclose(heard, signal, atol=1.6e-2)

    @pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
    def test_integer_extremes(self, dtype):
        """The lowest integer is -1, the highest just below 1."""
        limits = np.iinfo(dtype)
        low, high = check_audio(np.array([limits.min, limits.max], dtype))
        assert low == -1
        assert 0.99 < high <= 1

    def test_a_list(self):
        """A list of floats is as good as an array."""
        np.testing.assert_array_equal(check_audio([0.5, -0.5]), np.float32([0.5, -0.5]))

    def test_overshoot_is_kept(self):
        """Floats a little beyond full scale, as resamplers make them, are taken."""
        np.testing.assert_array_equal(check_audio([1.5, -1.5]), np.float32([1.5, -1.5]))

    def test_result_is_contiguous(self, voice):
        """A strided view comes back as a plain array."""
        assert check_audio(np.stack([voice, voice])[:, ::2].T[:, 0]).flags.c_contiguous


class TestLimits:
    """How long a recording may be."""

    def test_limit_is_inclusive(self, voice):
        """A recording of just the limit is taken, one sample more is not."""
        assert len(load_audio(encoded(voice), max_seconds=1.0)) == RATE
        longer = np.append(voice, 0.1)
        with pytest.raises(AudioError, match=r"expected at most 1 s of audio, got 1\.0 s"):
            load_audio(encoded(longer), max_seconds=1.0)

    def test_no_limit(self, voice):
        """Infinity is no limit."""
        assert len(load_audio(encoded(voice), max_seconds=float("inf"))) == RATE

    def test_header_is_believed_when_it_says_too_long(self):
        """A recording whose header tells of hours is refused before it is decoded."""
        content = bytearray(encoded(np.zeros(100), RATE, "FLAC"))
        n_samples = RATE * 3600 * 5
        content[21:26] = (content[21] & 0xF0 | n_samples >> 32).to_bytes(1, "big") + (
            n_samples & 0xFFFFFFFF
        ).to_bytes(4, "big")
        with pytest.raises(AudioError, match=r"at most 3600 s of audio, got 18000\.0 s"):
            load_audio(bytes(content))

    def test_mp3_is_measured_by_what_it_holds(self, voice):
        """An MP3 tells no length that could be trusted: the limit holds while it is decoded."""
        with pytest.raises(AudioError, match=r"at most 0\.5 s"):
            load_audio(encoded(voice, RATE, "MP3"), max_seconds=0.5)


class TestAudible:
    """Silence is told from sound."""

    @pytest.mark.parametrize("peak", [0.0, 1e-5, NOISE_FLOOR * 0.99])
    def test_silence(self, peak):
        """Nothing at or above the noise floor is silence, and the error says how loud it was."""
        with pytest.raises(SilenceError, match="no sound above the noise floor"):
            check_audible(np.full(100, -peak, np.float32))

    def test_sound(self):
        """One sample at the floor, of either sign, is sound."""
        check_audible(np.float32([0, -NOISE_FLOOR, 0]))

    def test_nothing(self):
        """No samples at all are silence, too."""
        with pytest.raises(SilenceError):
            check_audible(np.zeros(0, np.float32))


class TestFolders:
    """Which files in a folder are recordings."""

    def test_by_suffix(self, tmp_path):
        """Audio files are found at any depth in any case, sorted; hidden and other ones are not."""
        wanted = ["a.wav", "b/C.FLAC", "b/d/e.Opus"]
        for name in (*wanted, "x.txt", ".hidden.wav", ".git/f.wav", "__MACOSX/g.wav", "b/._h.wav"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "folder.wav").mkdir()
        assert audio_files(tmp_path) == sorted(tmp_path / name for name in wanted)

    def test_to_be_converted(self, tmp_path):
        """Of a folder with recordings of other formats alone it is said what to do with them."""
        assert no_audio(tmp_path) == f"{tmp_path}: no audio files in this folder"
        (tmp_path / "calls").mkdir()
        (tmp_path / "calls" / "One.M4A").touch()
        assert no_audio(tmp_path) == (
            f"{tmp_path}: no audio files that can be read in this folder; "
            f"{Path('calls/One.M4A')}: convert it first, e.g. with: ffmpeg -i voice.m4a voice.wav"
        )

    def test_suffixes_are_what_can_be_read(self, voice):
        """Every container a suffix stands for can be decoded."""
        formats = soundfile.available_formats()
        assert {"WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF"} <= formats.keys()
        assert {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff"} <= AUDIO_SUFFIXES


class TestAnything:
    """Nothing but an AudioError, whatever comes."""

    @settings(max_examples=150)
    @given(
        samples=hnp.arrays(
            dtype=st.one_of(
                hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(),
                hnp.boolean_dtypes(), hnp.complex_number_dtypes(), hnp.unicode_string_dtypes(),
            ),
            shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=70),
        ),
        rate=st.one_of(
            st.integers(), st.floats(), st.booleans(), st.text(), st.none(), st.complex_numbers(),
            st.floats(1_000, 768_000),
        ),
    )  # fmt: skip
    def test_arrays(self, samples, rate):
        """Arrays of any type, shape and content at any rate are audio, or an AudioError."""
        try:
            heard = check_audio(samples, rate)
        except AudioError:
            return
        assert heard.dtype == np.float32
        assert heard.ndim == 1
        assert heard.size > 0
        assert np.abs(heard).max() < 2 * MAX_AMPLITUDE

    @settings(max_examples=150)
    @given(
        samples=st.one_of(
            st.lists(st.floats()), st.lists(st.integers()), st.lists(st.lists(st.floats())),
            st.text(), st.none(), st.floats(), st.lists(st.one_of(st.text(), st.none())),
        )
    )  # fmt: skip
    def test_lists(self, samples):
        """Lists of anything are audio, or an AudioError."""
        try:
            check_audio(samples)
        except AudioError:
            return

    @settings(max_examples=150)
    @given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda b: b"RIFF" + b)))
    def test_random_bytes(self, content):
        """Random bytes are an AudioError."""
        with pytest.raises(AudioError):
            load_audio(content)

    @settings(max_examples=300)
    @given(
        container=st.sampled_from(["WAV", "FLAC", "AIFF", "AU", "CAF", "OGG"]),
        changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6),
        keep=st.floats(0, 1),
        cut=st.booleans(),
    )
    def test_mutated_files(self, container, changes, keep, cut):
        """A file with some bytes changed, or its end cut off, is audio or an AudioError."""
        content = bytearray(encoded(tone(440, seconds=0.1), RATE, container))
        for place, value in changes:
            content[place] = value
        if cut:
            content = content[: int(keep * len(content))]
        try:
            heard = load_audio(bytes(content))
        except AudioError:
            return
        assert np.isfinite(heard).all()


class TestRealCorpora:
    """The recordings this is made for."""

    @pytest.mark.corpora
    def test_quirks_of_tess(self, corpora_root: Path):
        """AIFF in .wav names, 96 kHz and 24,414 Hz are all read to the same kind of audio."""
        files = sorted((corpora_root / "tess").rglob("*germ_angry*"))
        files += sorted((corpora_root / "tess").rglob("*food_fear*"))
        assert len(files) == 4, files
        for file in files:
            audio = load_audio(file)
            check_audible(audio)
            assert 0.8 * RATE < len(audio) < 4 * RATE


class TestSources:
    """What is no recording at all."""

    def test_closed_file(self, voice):
        """A file object that is closed already says so."""
        file = io.BytesIO(encoded(voice))
        file.close()
        with pytest.raises(AudioError, match="file object: cannot be read: I/O operation on clos"):
            load_audio(file)

    def test_text_file(self):
        """A file object opened for text is no recording."""
        with pytest.raises(AudioError, match="expected a file opened in binary mode"):
            load_audio(io.StringIO("hello"))

    @pytest.mark.parametrize("source", [None, 3, ["clip.wav"], np.zeros(3)])
    def test_other_objects(self, source):
        """Anything else is told what was expected."""
        with pytest.raises(AudioError, match="expected a path, bytes or a binary file object"):
            load_audio(source)

    @pytest.mark.parametrize("source", ["", "\0", "x" * 5_000, "none.wav", b""])
    def test_nothing_there(self, source):
        """Names that are no file, and no bytes, are no recording."""
        with pytest.raises(AudioError):
            load_audio(source)

    def test_folder(self, tmp_path):
        """A folder is no recording."""
        with pytest.raises(AudioError, match="expected an audio file, got a folder"):
            load_audio(tmp_path)

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
    def test_no_permission(self, tmp_path):
        """A file that may not be read says so."""
        (tmp_path / "a.wav").touch(mode=0)
        with pytest.raises(AudioError, match="no permission to read it"):
            load_audio(tmp_path / "a.wav")

    def test_too_short_for_a_sample(self):
        """So little audio that nothing is left at 16 kHz is refused."""
        with pytest.raises(AudioError, match="expected audio, got only 1 samples at 768000 Hz"):
            check_audio([0.5], 768_000)

    @pytest.mark.parametrize("limit", [0, -1, float("nan"), True, "long", None])
    def test_limits_that_are_none(self, voice, limit):
        """A limit must be a number of seconds above 0."""
        for read in (lambda: load_audio(b"", max_seconds=limit), lambda: check_audio(
            voice, max_seconds=limit
        )):  # fmt: skip
            with pytest.raises(AudioError, match="expected a limit of more than 0 seconds"):
                read()

    @pytest.mark.parametrize(
        "rate", [0, -16_000, 999, 1_000_000, np.nan, np.inf, True, "16000", None, 1j, [16_000]]
    )
    def test_rates_that_are_none(self, voice, rate):
        """A rate must be a number from 1 kHz to 768 kHz."""
        with pytest.raises(AudioError, match="expected a sample rate"):
            check_audio(voice, rate)

    @pytest.mark.parametrize(
        ("samples", "reason"),
        [
            ([], "zero samples"),
            (np.zeros((0, 2)), "zero samples"),
            (np.zeros((5, 0)), "expected samples of shape"),
            (np.zeros((2, 16_000)), "expected samples of shape"),
            (np.zeros((2, 2, 2)), "expected samples of shape"),
            (0.5, "expected samples of shape"),
            ([0.5, np.nan, np.inf], "2 that are NaN or infinite"),
            ([1e300], "1 that are NaN or infinite"),
            ([32_767.0], r"expected samples in \[-1, 1\], got up to 32767; divide"),
            (np.zeros(9, np.uint8), "int8, int16 or int32, got uint8"),
            (np.zeros(9, np.int64), "int8, int16 or int32, got int64"),
            (np.zeros(9, bool), "got bool"),
            (np.zeros(9, complex), "got complex128"),
            ("clip.wav", "got <U8"),
            ([[1.0], [1.0, 2.0]], "expected an array of samples"),
            ([None], "got object"),
        ],
    )
    def test_samples_that_are_none(self, samples, reason):
        """What is no array of samples is told what was expected."""
        with pytest.raises(AudioError, match=reason):
            check_audio(samples)


@pytest.mark.skipif(os.name == "nt", reason="no such modes there")
class TestPipes:
    """What is no regular file."""

    def test_named_pipe(self, tmp_path):
        """A named pipe is refused instead of waited for."""
        os.mkfifo(tmp_path / "pipe.wav")
        with pytest.raises(AudioError, match="got a pipe or device"):
            load_audio(tmp_path / "pipe.wav")
