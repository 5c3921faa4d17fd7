"""Who spoke when: speakers told apart on one channel, their turns, and the error rate."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import REPOSITORY
from emovox import Turn
from emovox.audio import RATE, load_audio
from emovox.cli import run
from emovox.errors import AudioError, ConfigError
from emovox.turns.clustering import cluster
from emovox.turns.finding import find_turns
from emovox.turns.reading import read_turns
from emovox.turns.voiceprints import voiceprints

WOMAN, MAN = ("even", "slow-and-low"), ("man-even", "man-fast")


def said(name):
    """Return what somebody says in an example."""
    return load_audio(REPOSITORY / "examples" / f"{name}.flac")


@pytest.fixture(scope="module")
def dialogue():
    """Return a talk of two people, once with no pause between them, and who speaks until when."""
    rng = np.random.default_rng(5)
    order = [WOMAN[0], MAN[0], WOMAN[0], MAN[1], WOMAN[0], MAN[0], WOMAN[0], MAN[1]]
    sound, spans = [], []
    for number, name in enumerate(order):
        at = sum(map(len, sound))
        clip = said(name)
        sound.append(clip)
        spans.append((at / RATE, (at + len(clip)) / RATE, "woman" if name in WOMAN else "man"))
        if number != 1:
            sound.append(np.zeros(int(0.8 * RATE), np.float32))
    samples = np.concatenate(sound)
    return samples + rng.normal(0, 1e-4, len(samples)).astype(np.float32), spans


def at(turns, second):
    """Return who speaks at a second."""
    return next((one.speaker for one in turns if one.start <= second < one.end), None)


class TestVoiceprints:
    """What tells a speaker from others."""

    def test_alike_for_one_speaker(self):
        """Two sentences of one voice are more alike than those of two."""
        woman, other, man = (voiceprints(said(n)).mean(0) for n in (WOMAN[0], WOMAN[1], MAN[0]))
        assert woman @ other > woman @ man + 0.2

    def test_windows(self):
        """Windows are half a second apart at most, of length 1, whatever the gain."""
        clip = said(WOMAN[1])
        prints = voiceprints(clip)
        assert prints.shape == (int(np.ceil((len(clip) / RATE - 1.615) / 0.5)) + 1, 256)
        assert np.allclose(np.linalg.norm(prints, axis=1), 1, atol=1e-5)
        assert np.allclose(voiceprints(clip * np.float32(0.1)), prints, atol=0.02)

    @pytest.mark.parametrize("n_samples", [1, 3_000, 25_839, 25_840, 25_841])
    def test_short(self, n_samples):
        """What is shorter than a window is one."""
        prints = voiceprints(said(WOMAN[0])[4_000 : 4_000 + n_samples])
        assert len(prints) == 1 + (n_samples > 25_999)
        assert np.isfinite(prints).all()


class TestClusters:
    """Which stretches belong together."""

    @pytest.mark.parametrize("n", [2, 3])
    def test_told(self, rng, n):
        """As many clusters as are asked for, those that are there."""
        means = np.eye(8, dtype=np.float32)[:n]
        truth = rng.integers(n, size=60)
        vectors = means[truth] + rng.normal(0, 0.1, (60, 8)).astype(np.float32)
        found = cluster(vectors, np.full(60, 2.0), n)
        assert len({*zip(truth, found, strict=True)}) == n
        assert np.array_equal(cluster(vectors, np.full(60, 2.0), None), found)

    def test_one(self, rng):
        """One voice is one speaker."""
        vectors = np.eye(8, dtype=np.float32)[:1] + rng.normal(0, 0.1, (40, 8)).astype(np.float32)
        assert set(cluster(vectors, np.full(40, 2.0), None)) == {0}

    def test_few(self):
        """More speakers than stretches are as many as there are stretches."""
        vectors = np.eye(4, dtype=np.float32)[:2]
        assert sorted(cluster(vectors, np.ones(2), 5)) == [0, 1]
        assert list(cluster(vectors[:1], np.ones(1), 5)) == [0]

    def test_many(self, rng):
        """Of more stretches than are merged, each still gets its speaker."""
        truth = rng.integers(2, size=1_500)
        vectors = np.eye(8, dtype=np.float32)[truth]
        vectors += rng.normal(0, 0.05, vectors.shape).astype(np.float32)
        found = cluster(vectors, rng.uniform(1, 3, 1_500), 2)
        assert len({*zip(truth, found, strict=True)}) == 2


class TestTurns:
    """Who spoke when."""

    @pytest.mark.parametrize("speakers", [2, None])
    def test_two_people(self, dialogue, speakers):
        """Each sentence has its speaker, told or counted, with a pause between or without."""
        sound, spans = dialogue
        turns = find_turns(sound, RATE, speakers=speakers)
        names = {"woman": "speaker 1", "man": "speaker 2"}
        found = [at(turns, (start + end) / 2) for start, end, _ in spans]
        assert found == [names[who] for *_, who in spans]
        assert all(a.end <= b.start for a, b in itertools.pairwise(turns))
        change = spans[1][1]
        assert at(turns, change - 0.5) == "speaker 2"
        assert at(turns, change + 0.5) == "speaker 1"

    def test_one_person(self, dialogue, recognizer):
        """With one speaker the turns are the segments."""
        sound, _ = dialogue
        segments = [(one.start, one.end) for one in recognizer.segments(sound, RATE)]
        turns = find_turns(sound, RATE, speakers=1)
        assert [(one.start, one.end) for one in turns] == segments
        assert {one.speaker for one in turns} == {"speaker 1"}

    def test_sources(self, dialogue, tmp_path):
        """A file, its bytes and an array are alike; progress is told."""
        sound, _ = dialogue
        path = tmp_path / "talk.wav"
        soundfile.write(path, sound, RATE, "FLOAT")
        heard = []
        turns = find_turns(path, on_progress=lambda *seconds: heard.append(seconds))
        assert turns == find_turns(path.read_bytes()) == find_turns(sound, RATE)
        assert heard[-1] == pytest.approx((len(sound) / RATE, len(sound) / RATE))

    def test_nobody(self):
        """Where nobody speaks there are no turns."""
        assert find_turns(np.zeros(3 * RATE, np.float32), RATE) == []

    @pytest.mark.parametrize("speakers", [0, 11, -1, True, 2.0, "auto"])
    def test_numbers(self, speakers):
        """A number that cannot be looked for is refused."""
        with pytest.raises(ConfigError, match="expected 1 to 10 speakers"):
            find_turns(np.zeros(RATE, np.float32), RATE, speakers=speakers)

    def test_too_long(self, dialogue):
        """A recording that is too long is refused."""
        with pytest.raises(AudioError, match="at most 3"):
            find_turns(dialogue[0], RATE, max_seconds=3)


class TestCommand:
    """`emovox predict --segments --speakers`."""

    @pytest.fixture(autouse=True)
    def talk_file(self, dialogue, tmp_path, monkeypatch):
        """Work in a folder with the talk."""
        monkeypatch.chdir(tmp_path)
        soundfile.write("talk.wav", dialogue[0], RATE, "FLOAT")

    @pytest.fixture
    def call(self, capsys, model_file):
        """Give a function that runs predict: exit code, stdout, stderr."""

        def run_command(*arguments: object) -> tuple[int, str, str]:
            code = run(["predict", *map(str, arguments), "--model", str(model_file)])
            out, err = capsys.readouterr()
            assert "Traceback" not in out + err
            return code, out, err

        return run_command

    def test_outputs(self, call, recognizer):
        """Each segment has its speaker in JSON, CSV and RTTM, judged with their own baseline."""
        code, out, err = call(
            "talk.wav", "--segments", "--speakers", "auto", "--json",
            "--csv", "o.csv", "--rttm", "o.rttm",
        )  # fmt: skip
        assert (code, err) == (0, "wrote o.csv\nwrote o.rttm\n")
        turns = find_turns("talk.wav")
        expected = [one.to_dict() for one in recognizer.turns("talk.wav", turns)]
        found = json.loads(out)
        assert found["turns"] == expected
        assert [one["speaker"] for one in found["summaries"]] == ["speaker 1", "speaker 2"]
        speakers = [one["speaker"] for one in expected]
        with Path("o.csv").open(encoding="utf-8", newline="") as lines:
            assert [row["speaker"] for row in csv.DictReader(lines)] == speakers
        assert [one.speaker.replace("_", " ") for one in read_turns("o.rttm")] == speakers

    def test_table(self, call):
        """A table names the speakers; of a recording without speech it says so."""
        code, out, _ = call("talk.wav", "--segments", "--speakers", "2")
        assert code == 0
        assert "speaker 2" in out
        soundfile.write("noise.wav", np.random.default_rng(1).normal(0, 1e-3, RATE), RATE)
        code, out, _ = call("noise.wav", "--segments", "--speakers", "2")
        assert (code, out) == (0, "no speech found\n")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--segments", "--speakers", "11"], "expected --speakers of 1 to 10, or auto"),
            (["--segments", "--speakers", "many"], "expected --speakers of 1 to 10, or auto"),
            (["--speakers", "2"], "--speakers goes with --segments"),
            (["--segments", "--speakers", "2", "--channels", "separate"], "with one channel"),
        ],
    )
    def test_mistakes(self, call, options, message):
        """Options that do not go together are refused."""
        code, _, err = call("talk.wav", *options)
        assert code == 2
        assert message in " ".join(err.split())

    def test_damaged(self, call):
        """A file that is no recording gives one line."""
        Path("bad.wav").write_bytes(b"no audio")
        code, out, err = call("bad.wav", "--segments", "--speakers", "2")
        assert (code, out) == (1, "")
        assert err.startswith("emovox: bad.wav")


class TestErrorRate:
    """The error rate that benchmarks/speakers.py measures, by hand."""

    def test_known_cases(self, benchmarks):
        """Missed, false and confused seconds, overlap counted; names do not matter."""
        errors_of = benchmarks("diarisation").errors_of
        truth = [Turn(0, 10, "a"), Turn(8, 20, "b")]
        assert errors_of(truth, [Turn(0, 10, "x"), Turn(8, 20, "y")]).rate == 0
        one = errors_of(truth, [Turn(0, 20, "x")])
        assert (one.missed, one.false, one.confused) == pytest.approx((2, 0, 8))
        assert one.rate == pytest.approx(10 / 22)
        late = errors_of(truth, [Turn(0, 10, "x"), Turn(10, 21, "y")])
        assert (late.missed, late.false, late.confused) == pytest.approx((2, 1, 0))
        split = errors_of([Turn(0, 10, "a")], [Turn(0, 6, "x"), Turn(6, 10, "y")])
        assert split.rate == pytest.approx(0.4)
        assert errors_of(truth, []).rate == 1

    def test_collar(self, benchmarks):
        """Seconds beside the true beginnings and ends do not count."""
        errors_of = benchmarks("diarisation").errors_of
        truth = [Turn(1, 5, "a")]
        assert errors_of(truth, [Turn(0.8, 5.2, "x")], 0.25).rate == 0
        assert errors_of(truth, [Turn(0.8, 5.2, "x")]).rate == pytest.approx(0.1)
        assert errors_of(truth, [Turn(0.5, 5, "x")], 0.25).rate == pytest.approx(0.25 / 3.5)
