"""Behaviour tests of a model: what is chosen, changed, measured, kept, told and shown."""

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emovox.audio import RATE
from emovox.audit import suite, wording
from emovox.audit.fairness import fairness, languages, wordings
from emovox.audit.findings import Heard, correctness, of_change
from emovox.audit.ledger import NAME, open_ledger
from emovox.audit.measures import MEASURES, Answers, answers_of, rank_correlation
from emovox.audit.run import Request, audit
from emovox.audit.scene import Scene, noise_files, other_voices, scene_of
from emovox.audit.selection import selected
from emovox.audit.subjects import Answer, CallableModel, OwnModel, open_subject
from emovox.audit.words import MEASURES as WORDS
from emovox.audit.words import lead, threshold_text, value_text
from emovox.cli import run
from emovox.corpora import Utterance, load_corpus
from emovox.errors import ConfigError, CorpusError, MissingExtraError, ModelError
from emovox.evaluation.run import Console
from made_corpus import make_corpus

LABELS = ("angry", "happy", "sad")
PEERS = '''
"""Models whose answers depend on one thing that they should not listen to."""

import numpy as np

from emovox.errors import AudioError

def loudness(samples, rate):
    level = float(np.sqrt((samples ** 2).mean()))
    return {"Anger": level > 0.02, "happiness": level <= 0.02, "sad": 0.0}

def constant(samples, rate):
    assert rate == 16_000 and samples.dtype == np.float32 and samples.ndim == 1
    return {"angry": 2.0, "happy": 1.0, "sad": 1.0}

def broken(samples, rate):
    raise RuntimeError("no weights\\nat all")

def odd(samples, rate):
    return {"angry": -1.0}

def listed(samples, rate):
    return [0.2, 0.8]

def deaf(samples, rate):
    if len(samples) != rate:
        raise AudioError("nothing heard", "no speech")
    return {"angry": 1.0, "happy": 0.0, "sad": 0.0}

def fragile(samples, rate):
    if len(samples) % 2:
        raise ValueError("odd length")
    return {"angry": 1.0, "happy": 0.0, "sad": 0.0}

number = 3
'''


@pytest.fixture
def peers(tmp_path, monkeypatch) -> str:
    """Give the name of a module of models in the working directory."""
    name = f"peers_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(PEERS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture
def table(tmp_path) -> Path:
    """Give the table of a corpus of nine recordings of three speakers."""
    return make_corpus(tmp_path / "clips", n_sentences=1)


@pytest.fixture
def noise(tmp_path, rng) -> Path:
    """Give a folder of two noises from two places."""
    folder = tmp_path / "noise"
    folder.mkdir()
    for name in ("lake-1", "street-1"):
        soundfile.write(folder / f"{name}.wav", rng.normal(0, 0.05, 8_000), RATE)
    return folder


def utterance(number: int, **known: object) -> Utterance:
    """Make up an utterance."""
    fields = {
        "file": Path(f"/data/{number:03}.wav"), "emotion": "sad", "speaker": "", "sentence": "",
        "corpus": "own", "language": "", "sex": "", "digest": f"{number:08x}",
    }  # fmt: skip
    return Utterance(**{**fields, **known})  # type: ignore[arg-type]


def told(truth: str, answers: str, certain: bool = False) -> Answers:
    """Make up answers: a letter each for what was meant and answered, "-" for a refusal.

    The second score is that of the label before the one answered.
    """
    scores = {"a": (0.7, 0.1, 0.2), "h": (0.2, 0.7, 0.1), "s": (0.1, 0.2, 0.7)}
    found = [
        Answer((), refused="no speech") if letter == "-" else Answer(scores[letter], certain)
        for letter in answers
    ]
    return answers_of(found, ["ahs".index(letter) for letter in truth], len(LABELS))


def heard(truth: str, answers: str, **known: str) -> Heard:
    """Make up the answers to recordings; each keyword gives a letter of a group a recording."""
    utterances = tuple(
        utterance(index, emotion=LABELS["ahs".index(letter)],
                  **{name: letters[index] for name, letters in known.items()})
        for index, letter in enumerate(truth)
    )  # fmt: skip
    pitches = (0.0,) * len(truth)
    return Heard("own", LABELS, utterances, told(truth, answers), pitches)


class TestSelection:
    """Which recordings are tested."""

    def everything(self) -> list[Utterance]:
        """Make up 200 recordings of ten speakers, four fifths of them sad."""
        return [
            utterance(n, emotion="sad" if n % 5 else "angry", speaker=f"s{n % 10 + n // 100}")
            for n in range(200)
        ]

    def test_balanced(self):
        """Emotions, and the speakers of each, have equal shares as far as there are any."""
        chosen = selected(self.everything(), 20, seed=1)
        emotions = [one.emotion for one in chosen]
        assert len(set(chosen)) == 20
        assert emotions.count("sad") == emotions.count("angry") == 10
        assert len({one.speaker for one in chosen}) >= 9

    def test_seeded(self):
        """One seed chooses the same recordings, and a larger limit keeps them."""
        some, more = (selected(self.everything(), n, seed=2) for n in (10, 30))
        assert selected(self.everything(), 10, seed=2) == some
        assert set(some) < set(more)
        assert selected(self.everything(), 10, seed=3) != some

    def test_all(self):
        """Without a limit, and with one above what there is, all are taken."""
        assert (
            len(selected(self.everything(), None)) == len(selected(self.everything(), 999)) == 200
        )


class TestSuite:
    """The tests themselves."""

    def test_each_has_a_name_a_group_and_words(self):
        """Names are distinct, groups are known, and figures can be told."""
        tests = suite.changes()
        assert len({test.name for test in tests}) == len(tests) > 30
        assert {test.group for test in tests} == {*suite.ROBUSTNESS, "doors"}
        measures = {limit.measure for test in tests for limit in test.limits}
        assert measures == set(MEASURES)
        assert measures <= set(WORDS)
        assert set(suite.MEANINGS) == set(suite.GROUPS)

    def test_ten_small_changes(self):
        """Ten changes that nobody hears have the published threshold of 95 %."""
        small = suite.changes(["small"])
        assert len(small) == 10
        (limit,) = {limit for test in small for limit in test.limits}
        assert (limit.bound, limit.source) == (0.95, "ser-tests")

    def test_groups(self):
        """A group can be chosen, robustness is seven of them, and others are refused."""
        assert suite.chosen_groups([]) == suite.GROUPS
        assert suite.chosen_groups(["robustness"]) == suite.ROBUSTNESS
        with pytest.raises(ConfigError, match=r"expected a group of tests .* got 'speed'"):
            suite.changes(["speed"])

    @pytest.mark.parametrize("test", suite.changes(), ids=lambda test: test.name)
    def test_changes_are_drawn_from_the_scene(self, test, voice, noise):
        """Each change gives sound, the same each time for a recording, another for another."""
        files = noise_files(noise)

        def changed(number: int) -> np.ndarray:
            return test.apply(voice, scene_of(0, test.name, utterance(number), files, files))

        assert np.array_equal(changed(1), changed(1))
        assert changed(1).dtype == np.float32
        assert np.isfinite(changed(1)).all()
        assert changed(1).any()
        if test.group in ("small", "background", "rooms", "pauses"):
            assert not np.array_equal(changed(1), changed(2))

    def test_limits(self):
        """A bound is kept by what equals it, from the side that it names; none judges nothing."""
        low, high = suite.at_least("unchanged", 0.95), suite.at_most("uar_loss", 0.02)
        assert (low.kept(19 / 20), low.kept(0.94)) == (True, False)
        assert (high.kept(0.02), high.kept(-0.3), high.kept(0.03)) == (True, True, False)
        assert suite.Limit("certain").kept(1.0) is None

    def test_words(self):
        """Figures and thresholds read as shares, points or plain numbers."""
        assert value_text("unchanged", 0.953) == "95.3\xa0%"
        assert value_text("uar_loss", -0.0001) == "0.0 points"
        assert value_text("recall", None) == "–"
        assert threshold_text(suite.at_least("unchanged", 0.95)) == "≥ 95 %"
        assert threshold_text(suite.at_most("uar_loss", 0.02)) == "≤ 2 points"
        assert threshold_text(suite.at_least("rank_correlation", 0.7)) == "≥ 0.7"
        assert threshold_text(suite.Limit("certain")) == ""


class TestScene:
    """What is mixed into a recording."""

    def test_noise_files(self, noise):
        """A folder's recordings are found, those of some places alone, or the error tells."""
        assert [file.name for file in noise_files(noise)] == ["lake-1.wav", "street-1.wav"]
        assert [file.name for file in noise_files(noise, ["lake"])] == ["lake-1.wav"]
        assert noise_files(None) == ()
        with pytest.raises(ConfigError, match="no noise recording whose name begins with sea"):
            noise_files(noise, ["sea"])
        with pytest.raises(ConfigError, match="expected a folder of noise recordings"):
            noise_files(noise / "lake-1.wav")

    def test_other_voices(self):
        """A babble is of others; where nobody else speaks, of other recordings."""
        one, same, other = (utterance(n, speaker=who) for n, who in enumerate("aab"))
        assert other_voices(one, [one, same, other]) == (other.file,)
        assert other_voices(one, [one, same]) == (same.file,)

    def test_broken_files_are_passed_over(self, noise, rng):
        """A noise that cannot be read costs no run; with none at all, the error says so."""
        broken = noise / "broken.wav"
        broken.write_bytes(b"no sound")
        scene = Scene(rng, (broken, noise / "lake-1.wav"))
        assert all(scene.real_noise(1_000).any() for _ in range(5))
        with pytest.raises(ConfigError, match="none that can be read"):
            Scene(rng, (broken,)).real_noise(1_000)


class TestMeasures:
    """Numbers of made-up answers."""

    def test_unchanged(self):
        """A refusal changes the label; what was refused from the start does not count."""
        clean, changed = told("aahs", "aas-"), told("aahs", "ah--")
        assert MEASURES["unchanged"](clean, changed) == pytest.approx(1 / 3)
        assert MEASURES["refused"](clean, changed) == pytest.approx(1 / 3)

    def test_uar_loss(self):
        """Recall is averaged over what was meant, and refusals are mistakes."""
        clean, changed = told("aaaahs", "aaaahs"), told("aaaahs", "aaaa-h")
        assert MEASURES["uar_loss"](clean, changed) == pytest.approx(2 / 3)

    def test_certain_wrong_rise(self):
        """Only certain mistakes count."""
        clean, changed = told("aahs", "aahs", certain=True), told("aahs", "hahs", certain=True)
        assert MEASURES["certain_wrong_rise"](clean, changed) == pytest.approx(0.25)
        unsure = told("aahs", "hhhh", certain=False)
        assert MEASURES["certain_wrong_rise"](clean, unsure) == 0.0

    def test_rank_correlation(self):
        """Ranks count, not sizes; equal ones share theirs; without any order there is none."""
        assert rank_correlation(np.array([1.0, 2, 9]), np.array([0.1, 0.2, 0.3])) == 1.0
        assert rank_correlation(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == -1.0
        assert np.isnan(rank_correlation(np.ones(3), np.array([1.0, 2, 3])))


class TestFindings:
    """What is made of the answers."""

    def test_worst_recordings_of_a_change(self):
        """Those whose label changed are named, with both answers."""
        test = suite.changes(["tilt"])[0]
        unchanged, loss = of_change(heard("aahs", "aahs"), test, told("aahs", "ahh-"))
        assert (unchanged.value, unchanged.n, unchanged.passed) == (0.5, 4, False)
        assert loss.value == pytest.approx(0.5)
        shown = {(case.file[-7:], case.truth, case.before, case.after) for case in unchanged.worst}
        assert shown == {
            ("001.wav", "angry", "angry", "happy"),
            ("003.wav", "sad", "sad", "refused"),
        }

    def test_correctness(self):
        """Recall, precision and shares of each emotion that was meant, each with its mistakes."""
        found = {
            (one.test, one.limit.measure): one for one in correctness(heard("aaaahh", "aahhhs"))
        }
        assert found["all emotions", "uar"].value == pytest.approx(0.5)
        assert found["angry", "recall"].value == pytest.approx(0.5)
        assert found["angry", "precision"].value == 1.0
        assert found["happy", "precision"].value == pytest.approx(1 / 3)
        assert found["angry", "share_error"].value == pytest.approx(2 / 6)
        assert {case.file[-7:] for case in found["angry", "recall"].worst} == {"002.wav", "003.wav"}
        assert ("sad", "recall") not in found
        assert found["the corpus's emotions alone", "uar"].value == 0.75

    def test_speakers(self):
        """Shares by speaker need enough of each; ranks need speakers who differ."""
        truth = "a" * 8 + "h" * 8 + "a" * 24 + "h" * 8
        found = {
            (one.test, one.limit.measure): one
            for one in correctness(heard(truth, truth, speaker="x" * 16 + "y" * 32))
        }
        assert found["angry, by speaker", "share_error"].value == 0.0
        assert found["angry, by speaker", "rank_correlation"].value == pytest.approx(1.0)
        few = {one.test: one for one in correctness(heard("ahs", "ahs", speaker="xyz"))}
        assert few["each emotion, by speaker"].value is None
        assert "no two speakers with 8 recordings" in few["each emotion, by speaker"].note

    def test_fairness(self):
        """A group that is served worse fails, and its gap is that to everybody."""
        truth = "a" * 20 + "h" * 20
        answers = "a" * 20 + "h" * 10 + "a" * 10
        sexes = (["female"] * 10 + ["male"] * 10) * 2
        one = heard(truth, answers)
        known = tuple(
            dataclasses.replace(each, sex=sex)
            for each, sex in zip(one.utterances, sexes, strict=True)
        )
        found = {
            (each.test, each.limit.measure): each
            for each in fairness(dataclasses.replace(one, utterances=known))
        }
        assert found["sex: male", "recall_gap"].value == pytest.approx(0.5)
        assert found["sex: male", "recall_gap"].passed is False
        assert found["sex: female", "uar_gap"].value == pytest.approx(0.25)

    def test_pitch_and_age_groups(self):
        """A speaker's usual pitch, and age, make the groups."""
        one = heard("ah" * 8, "ah" * 8, speaker="xxxxxxxxyyyyyyyy")
        known = tuple(
            dataclasses.replace(each, age=30 if each.speaker == "x" else 64)
            for each in one.utterances
        )
        pitches = (110.0,) * 7 + (300.0,) + (210.0,) * 8
        found = {each.test for each in fairness(Heard("own", LABELS, known, one.answers, pitches))}
        assert found == {
            "age: to 40 years", "age: above 40 years", "pitch: to 145 Hz", "pitch: above 190 Hz",
        }  # fmt: skip

    def test_languages(self):
        """A language whose answers lean to a label more than those of others fails."""
        level = dataclasses.replace(heard("aahh", "aahh"), corpus="one")
        leaning = heard("aahh", "aaaa")

        def speaking(which: Heard, language: str) -> Heard:
            known = tuple(dataclasses.replace(each, language=language) for each in which.utterances)
            return dataclasses.replace(which, utterances=known)

        found = [*languages([speaking(level, "en"), speaking(leaning, "de")])]
        assert [one.value for one in found] == pytest.approx([0.25, 0.25])
        assert not [*languages([level, leaning])]

    def test_wordings(self):
        """Wording that moves the answers is told with the label it moves most."""
        kinds = ["neutral"] * 4 + ["negative"] * 4
        neutral, negative = wordings(LABELS, told("a" * 8, "ssss" + "aass"), kinds, "en")
        assert neutral.value == negative.value == pytest.approx(0.25)
        assert negative.passed is False

    def test_lead(self):
        """The first sentence counts the thresholds that were kept."""
        found = [*correctness(heard("aaaahh", "aahhhs"))]
        n_judged = sum(one.passed is not None for one in found)
        assert lead("peer", found)[0].startswith("The model peer keeps ")
        assert f"of {n_judged} thresholds" in lead("peer", found)[0]


class TestSubjects:
    """Models of any kind."""

    def test_own_model(self, recognizer, voice):
        """A model of emovox answers as `predict` does, and its other doors answer, too."""
        subject = OwnModel(recognizer)
        answer = subject.answer(voice)
        assert answer.scores == pytest.approx([*recognizer.predict(voice, RATE).scores.values()])
        for door in subject.doors:
            other = subject.answer(voice, door)
            assert len(other.scores) == len(subject.labels)
            assert sum(other.scores) == pytest.approx(1.0)

    def test_refusals(self, recognizer):
        """Silence is refused at every door."""
        subject = OwnModel(recognizer)
        for door in ("predict", *subject.doors):
            answer = subject.answer(np.zeros(RATE, np.float32), door)
            assert (answer.index, answer.refused) == (-1, "no speech")

    def test_callable(self, peers, voice):
        """A function's words become emovox's labels, and its scores sum to 1."""
        subject = CallableModel(f"{peers}:constant", threshold=0.6)
        assert subject.labels == LABELS
        assert subject.answer(voice) == Answer((0.5, 0.25, 0.25), certain=False)
        assert CallableModel(f"{peers}:loudness").answer(voice).index == 0
        assert CallableModel(f"{peers}:deaf").answer(voice[:100]).refused == "no speech"

    @pytest.mark.parametrize(
        ("name", "error", "text"),
        [
            ("constant", ConfigError, "expected module:function"),
            ("{}:missing", ConfigError, "cannot be imported: AttributeError"),
            ("nowhere_at_all:f", ConfigError, "cannot be imported: ModuleNotFoundError"),
            ("{}:number", ConfigError, "expected a function, got int"),
            ("{}:broken", ModelError, r"failed: RuntimeError: no weights\\nat all"),
            ("{}:odd", ModelError, "expected scores of 0 or more"),
            ("{}:listed", ModelError, "expected a score by label, such as a dict, got list"),
        ],
    )
    def test_callables_that_cannot_be_used(self, name, error, text, peers):
        """What is wrong with a function is told in one line."""
        with pytest.raises(error, match=text) as caught:
            CallableModel(name.format(peers))
        assert "\n" not in str(caught.value)

    def test_one_of_both(self, peers, model_file):
        """A model and a function at once are refused."""
        with pytest.raises(ConfigError, match="expected a model or a function"):
            open_subject(model_file, f"{peers}:constant")
        assert open_subject(model_file, None).fingerprint


FACTS = {"model": "abc", "seed": 0}


class TestLedger:
    """Answers kept on the disk."""

    def test_kept(self, tmp_path):
        """What was added is there again; what a killed run left half-written is not."""
        answers = {("a", ""): Answer((0.25, 0.75), True), ("a", "tilt"): Answer((), False, "other")}
        with open_ledger(tmp_path, FACTS) as ledger:
            ledger.add(answers)
        with (tmp_path / NAME).open("a", encoding="utf-8") as file:
            file.write('["b", "", [0.1')
        with open_ledger(tmp_path, FACTS) as ledger:
            assert {key: ledger[key] for key in answers} == answers
            assert ("b", "") not in ledger
            ledger.add({("b", ""): Answer((1.0, 0.0))})
        with open_ledger(tmp_path, FACTS) as ledger:
            assert ledger["b", ""].scores == (1.0, 0.0)

    def test_of_something_else(self, tmp_path):
        """Answers of another model are not mixed with this one's, nor a damaged line with both."""
        with open_ledger(tmp_path, FACTS):
            pass
        with (
            pytest.raises(ConfigError, match="of a run with other model; use another --out"),
            open_ledger(tmp_path, {**FACTS, "model": "xyz"}),
        ):
            pass
        with (tmp_path / NAME).open("a", encoding="utf-8") as file:
            file.write("[1]\n")
        with pytest.raises(ConfigError, match="damaged at"), open_ledger(tmp_path, FACTS):
            pass


@pytest.mark.needs("matplotlib")
@pytest.mark.usefixtures("undrawn")
class TestRun:
    """Whole runs."""

    def test_a_model_that_listens_to_the_level(self, peers, table, tmp_path):
        """It fails the levels, keeps what leaves the level alone, and the page says both."""
        subject = CallableModel(f"{peers}:loudness")
        request = Request((f"own={table}",), groups=("levels", "small", "doors"))
        outcome = audit(subject, request, tmp_path / "out")
        values = {(one.test, one.limit.measure): one for one in outcome.findings}
        assert values["-40 dB", "unchanged"].value == 0.0
        assert values["-40 dB", "refused"].passed is True
        assert values["100 to 1,000 zeros after", "unchanged"].passed is True
        assert (
            values["stream as predict", "unchanged"].note == "only models of emovox have this door"
        )
        written = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
        assert written["summary"] == outcome.report["summary"]
        assert written["summary"]["doors"]["not measured"] == 2
        page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
        assert "Behaviour tests of" in page
        assert "-40 dB" in page
        assert "only models of emovox have this door" in page

    def test_interrupted_run_goes_on(self, peers, table, tmp_path, monkeypatch):
        """What was answered is not asked again, and the outcome is that of a straight run."""
        request = Request((f"own={table}",), groups=("tilt", "certainty"))
        straight = audit(CallableModel(f"{peers}:loudness"), request, tmp_path / "straight")

        @contextmanager
        def interrupting(text: str) -> Iterator[Callable[[int, int], None]]:
            def on_progress(done: int, total: int) -> None:
                if text.startswith("testing") and done == 5 * 3:
                    raise KeyboardInterrupt

            yield on_progress

        subject = CallableModel(f"{peers}:loudness")
        with pytest.raises(KeyboardInterrupt):
            audit(subject, request, tmp_path / "out", console=Console(bar=interrupting))
        asked = []
        answer = subject.answer
        monkeypatch.setattr(subject, "answer", lambda *given: asked.append(1) or answer(*given))
        resumed = audit(subject, request, tmp_path / "out")
        assert len(asked) == (9 - 5) * 3
        assert resumed.findings == straight.findings

    def test_own_model_with_everything(self, recognizer, table, noise, tmp_path, monkeypatch):
        """All groups run on a model of emovox; each figure is measured, or says why it is not."""
        monkeypatch.setattr(wording, "installed", lambda: False)
        request = Request((f"own={table}",), limit=3, noise=noise, prefixes=("lake",))
        outcome = audit(OwnModel(recognizer), request, tmp_path / "out")
        assert {one.group for one in outcome.findings} == {*suite.GROUPS} - {"wording"}
        assert all(one.note for one in outcome.findings if one.value is None)
        assert outcome.report["recordings"] == {"own": 3}
        names = {test.name for test in suite.changes()}
        assert names <= {one.test for one in outcome.findings}
        assert all(one.value is not None for one in outcome.findings if one.test in names)

    def test_without_noise(self, recognizer, table, tmp_path):
        """Without a folder of noise its tests are listed as not measured."""
        request = Request((f"own={table}",), limit=1, groups=("background",))
        outcome = audit(OwnModel(recognizer), request, tmp_path / "out")
        notes = {one.test: one.note for one in outcome.findings if one.value is None}
        assert notes == {"real noise at 20 dB": "no folder of noise was given"}

    def test_examples(self, peers, table, tmp_path):
        """Sounds are written where they are asked for alone, before and after the change."""
        subject = CallableModel(f"{peers}:loudness")
        request = Request((f"own={table}",), limit=2, groups=("levels",))
        audit(subject, request, tmp_path / "out")
        assert not (tmp_path / "out" / "examples").exists()
        audit(subject, dataclasses.replace(request, examples=True), tmp_path / "out")
        page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
        sounds = re.findall(r'src="(examples/[^"]+)"', page)
        assert sounds
        before = next(sound for sound in sounds if "dB" not in sound)
        after = next(sound for sound in sounds if "-40_dB" in sound)
        one, other = (soundfile.read(tmp_path / "out" / name)[0] for name in (before, after))
        assert np.abs(other).max() < 0.02 * np.abs(one).max()

    def test_unreadable_recordings_are_named(self, recognizer, table, tmp_path):
        """A recording that cannot be read is left out and told."""
        broken = load_corpus("own", table).utterances[0].file
        broken.write_bytes(b"no sound at all")
        request = Request((f"own={table}",), groups=("certainty",))
        outcome = audit(OwnModel(recognizer), request, tmp_path / "out")
        assert outcome.report["recordings"] == {"own": 8}
        assert any(broken.name in problem for problem in outcome.report["problems"])

    @pytest.mark.skipif(not wording.installed(), reason="espeak-ng is not installed")
    def test_wording(self, peers, table, tmp_path, monkeypatch):
        """Sentences are spoken and answered once; a model of no ear for words is not moved."""
        few = [one for one in wording.sentences() if one.voice == "de+f2"][::3]
        monkeypatch.setattr(wording, "sentences", lambda: iter(few))
        request = Request((f"own={table}",), limit=1, groups=("wording",))
        subject = CallableModel(f"{peers}:constant")
        outcome = audit(subject, request, tmp_path / "out")
        assert {one.test for one in outcome.findings} == {
            "neutral wording", "positive wording", "negative wording",
        }  # fmt: skip
        assert all(one.passed and one.corpus == "de" for one in outcome.findings)
        monkeypatch.setattr(wording, "speak", None)
        assert audit(subject, request, tmp_path / "out").findings == outcome.findings

    def test_function_that_fails(self, peers, table, tmp_path):
        """The error names the recording, and what was answered before is kept."""
        subject = CallableModel(f"{peers}:fragile")
        request = Request((f"own={table}",), groups=("certainty", "small"))
        with pytest.raises(ModelError, match=r"s0-angry-0\.wav: .* failed: ValueError: odd length"):
            audit(subject, request, tmp_path / "out")

    @pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
    def test_missing_libraries(self, recognizer, table, tmp_path, monkeypatch, library):
        """What the page needs is looked for before anything is asked."""
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(MissingExtraError, match=r"pip install 'emovox\[report\]'"):
            audit(OwnModel(recognizer), Request((f"own={table}",)), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_corpora_that_cannot_be_used(self, peers, recognizer, table, tmp_path):
        """No corpus, or none of the model's emotions, is an error before anything is asked."""
        with pytest.raises(ConfigError, match="expected at least one corpus"):
            audit(OwnModel(recognizer), Request(()), tmp_path / "out")
        (tmp_path / "other.py").write_text("def f(samples, rate):\n    return {'contempt': 1}\n")
        with pytest.raises(CorpusError, match="no recording of an emotion that the model knows"):
            audit(CallableModel("other:f"), Request((f"own={table}",)), tmp_path / "out")


@pytest.mark.skipif(not wording.installed(), reason="espeak-ng is not installed")
def test_sentences_are_spoken():
    """Each language has as many sentences of each wording, and the program speaks them."""
    for by_wording in wording.SENTENCES.values():
        assert len({len(texts) for texts in by_wording.values()}) == 1
    sound = wording.speak(next(wording.sentences()))
    assert len(sound) > RATE
    assert np.abs(sound).max() > 0.1


@pytest.mark.needs("matplotlib")
@pytest.mark.usefixtures("undrawn")
class TestCommand:
    """`emovox audit`."""

    @pytest.fixture
    def call(self, capsys):
        """Give a function that runs the command and returns exit code, stdout and stderr."""

        def run_command(*arguments: object) -> tuple[int, str, str]:
            code = run(["audit", *map(str, arguments)])
            out, err = capsys.readouterr()
            assert "Traceback" not in out + err
            return code, out, err

        return run_command

    def test_table_and_files(self, call, model_file, table, tmp_path):
        """It prints each figure with its threshold, and writes the page and the JSON."""
        out = tmp_path / "out"
        code, told, _ = call(
            model_file, "--corpus", f"own={table}", "--limit", 3, "--only", "tilt", "--out", out
        )
        assert code == 0
        assert "tilt up" in told
        assert "≥ 80 %" in told
        assert f"report: {out / 'audit.html'}" in told
        written = json.loads((out / "audit.json").read_text(encoding="utf-8"))
        assert {one["group"] for one in written["findings"]} == {"tilt"}
        one = written["findings"][0]
        assert (one["threshold"], one["at_least"], one["source"], one["n"]) == (
            0.8, True, "ser-tests", 3,
        )  # fmt: skip
        assert one["outcome"] == ("passed" if one["value"] >= 0.8 else "failed")
        assert written["settings"]["limit"] == 3

    def test_strict(self, call, peers, table, tmp_path):
        """With --strict a failed test is exit code 1, and a run without one is 0."""
        given = ("--corpus", f"own={table}", "--only", "levels", "--strict")
        failing = call("--callable", f"{peers}:loudness", *given, "--out", tmp_path / "a")
        keeping = call("--callable", f"{peers}:constant", *given, "--out", tmp_path / "b")
        assert (failing[0], keeping[0]) == (1, 0)
        assert "FAILS" in failing[1]
        assert "keeps 12 of 12 thresholds" in keeping[1]

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (("--only", "speed"), "expected a group of tests"),
            (("--noise", "nowhere"), "expected a folder of noise recordings"),
            (("--callable", "nowhere"), "expected module:function"),
        ],
    )
    def test_mistakes(self, arguments, text, call, table, tmp_path, monkeypatch):
        """A mistake is one line on stderr, and nothing is written."""
        monkeypatch.chdir(tmp_path)
        code, told, err = call("--corpus", f"own={table}", *arguments)
        assert (code, told) == (1, "")
        assert err.startswith("emovox: ")
        assert text in err
        assert err.count("\n") == 1
        assert not (tmp_path / "audit").exists()

    def test_output_is_no_input(self, call, table, tmp_path):
        """The table that names the recordings is not overwritten."""
        table = table.rename(table.with_name("audit.json"))
        code, _, err = call("--corpus", f"own={table}", "--out", table.parent)
        assert code == 1
        assert "would overwrite the input" in err
