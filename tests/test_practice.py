"""Practice: a person's usual voice, takes towards a target, and what is told of them."""

import importlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from emovox.audio import RATE, load_audio
from emovox.cli import run
from emovox.errors import AudioError, ConfigError
from emovox.journal.store import Journal
from emovox.live.playback import Playback
from emovox.practice.aims import Aim, Wanted, emotion_aim, known_changes, loudness_aim, pitch_aim
from emovox.practice.changes import DIMENSIONS
from emovox.practice.cutter import Cutter, Moment
from emovox.practice.exercise import Exercise, outcome, read_sentences
from emovox.practice.hints import blended, closeness, hint
from emovox.practice.learn import Spoken, learn
from emovox.practice.session import Attempt, Practice, Usual, hear_usual
from emovox.practice.view import View
from emovox.prosody import Prosody
from emovox.recognizer import Recognizer

command = importlib.import_module("emovox.cli.practice")  # the package has a function of its name
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
USUAL = Prosody(
    pitch_st=24.0, pitch_range_st=6.0, level_db=-30.0, rate_hz=4.0, pause_share=0.0,
    voiced_share=0.7,
)  # fmt: skip


@pytest.fixture(scope="module")
def even() -> np.ndarray:
    """Read a sentence of a synthesised, even voice."""
    return load_audio(EXAMPLES / "even.flac")


@pytest.fixture(scope="module")
def reading(even: np.ndarray) -> np.ndarray:
    """Make a reading of an even voice: its sentence, over and over, with pauses."""
    pause = np.random.default_rng(5).normal(0, 1e-4, RATE).astype(np.float32)
    n = int(np.ceil(14 * RATE / len(even)))
    return np.concatenate([part for _ in range(n) for part in (even, pause)])


@pytest.fixture(scope="module")
def usual(reading: np.ndarray) -> Usual:
    """Measure the even voice."""
    return hear_usual([(reading, RATE)])


@pytest.fixture
def recordings(tmp_path: Path, even: np.ndarray, reading: np.ndarray) -> dict[str, Path]:
    """Write recordings: the usual voice, the same again, 6 dB louder, silence, no audio."""
    sounds = {
        "usual": reading,
        "same": even,
        "louder": np.float32(2) * even,
        "silent": np.zeros(2 * RATE, np.float32),
    }
    for name, samples in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, "FLOAT")
    (tmp_path / "text.wav").write_text("not audio")
    return {name: tmp_path / f"{name}.wav" for name in (*sounds, "text")}


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, dict[str, object]]]:
    """Return the JSON lines that a command printed."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class TestAims:
    """What a take is to change."""

    @pytest.mark.parametrize("word", ["happy", "Joyful", "anger", "surprised"])
    def test_an_emotion_by_any_of_its_words(self, word):
        """An emotion wants what people agree in changing, in their direction."""
        aim = emotion_aim(word)
        assert aim.emotion in known_changes()
        assert aim.wanted["loudness"].by > 3

    def test_each_wanted_change_is_shared_and_clear(self):
        """Nothing is wanted that speakers do in different directions."""
        table = known_changes()
        for emotion, by_name in table.items():
            for name in emotion_aim(emotion).wanted:
                assert by_name[name].agree >= 0.8
                assert by_name[name].n_speakers >= 20

    @pytest.mark.parametrize("word", ["neutral", "contempt", ""])
    def test_other_words_are_refused(self, word):
        """The error names the targets that there are."""
        with pytest.raises(ConfigError, match=r"angry, .*happy"):
            emotion_aim(word)

    def test_loudness_and_pitch_have_bands(self):
        """An exact aim is reached within a tolerance on both sides."""
        assert loudness_aim("6dB").wanted["loudness"] == Wanted(6, 4, 8, 2)
        assert loudness_aim("-6 db").wanted["loudness"] == Wanted(-6, -8, -4, 2)
        assert pitch_aim("up").wanted["pitch"] == Wanted(3, 2, 4, 1)
        assert pitch_aim("-2.5st").wanted["pitch"] == Wanted(-2.5, -3.5, -1.5, 1)

    @pytest.mark.parametrize("text", ["6", "louder", "1dB", "60dB", "nandB", "6st", ""])
    def test_impossible_loudness_is_refused(self, text):
        """The error says what is expected."""
        with pytest.raises(ConfigError, match="expected a loudness of more than 2"):
            loudness_aim(text)

    def test_json_has_no_infinity(self):
        """A bound that is not there is null."""
        text = json.dumps(emotion_aim("happy").to_dict(), allow_nan=False)
        assert '"high": null' in text


class TestCloseness:
    """How close a take came."""

    def test_usual_voice_and_target_are_the_ends(self):
        """The usual voice is 0 %, the whole change 100 %, half of it 50 %."""
        aim = emotion_aim("happy")
        for share, expected in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (2.0, 1.0), (-1.0, 0.0)):
            made = {name: share * wanted.by for name, wanted in aim.wanted.items()}
            assert closeness(made, aim) == pytest.approx(expected)

    def test_too_much_of_an_exact_aim_is_less_close(self):
        """Louder than asked for is no better: at twice the aim and more nothing is left."""
        aim = loudness_aim("6dB")
        found = [closeness({"loudness": db}, aim) for db in (4.0, 8.0, 11.0, 14.0, 20.0)]
        assert found == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])

    def test_what_could_not_be_measured_does_not_count(self):
        """A dimension without a value is left out; without any there is no closeness."""
        aim = emotion_aim("happy")
        assert closeness({"loudness": aim.wanted["loudness"].by, "pitch": None}, aim) == 1.0
        assert closeness({"pitch": None}, aim) is None

    @given(st.floats(-40, 40), st.sampled_from(["6dB", "-6dB", "20dB"]))
    def test_never_beyond_the_ends(self, db, text):
        """Whatever was measured, it lies between 0 and 1."""
        assert 0 <= closeness({"loudness": db}, loudness_aim(text)) <= 1

    def test_blend(self):
        """With emotion, it is the mean of both; the score alone where nothing is wanted."""
        assert blended(0.5, 0.9) == pytest.approx(0.7)
        assert blended(None, 0.9) == 0.9


class TestHints:
    """The one hint."""

    def test_names_what_is_missing_most(self):
        """Of two changes, the one further from the aim is named, with its amount."""
        aim = emotion_aim("happy")
        loud = hint({"pitch": aim.wanted["pitch"].by, "loudness": 0.0}, aim)
        high = hint({"pitch": 0.0, "loudness": aim.wanted["loudness"].by}, aim)
        assert loud.dimension == "loudness"
        assert loud.text.startswith("speak louder, by about")
        assert high.dimension == "pitch"
        assert high.by == pytest.approx(aim.wanted["pitch"].by, abs=0.01)

    def test_none_at_the_target_or_close_to_it(self):
        """Nothing is asked for that nobody would notice."""
        aim = emotion_aim("happy")
        reached = {name: wanted.by for name, wanted in aim.wanted.items()}
        nearly = {name: by - 0.9 * DIMENSIONS[name].step for name, by in reached.items()}
        assert hint(reached, aim) is None
        assert hint(nearly, aim) is None

    def test_too_much_is_told(self):
        """Beyond the band of an exact aim, the hint goes the other way."""
        assert hint({"loudness": 12.0}, loudness_aim("6dB")).text == "speak softer, by about 6 dB"
        assert hint({"pitch": -6.0}, pitch_aim("down")).text == "speak higher, by about 3 st"

    @given(st.floats(-11, 11), st.sampled_from(["up", "down", "+5st", "-2st"]))
    def test_following_it_reaches_the_aim(self, change, text):
        """Who does what the hint says is there, and needs no other."""
        aim = pitch_aim(text)
        if given := hint({"pitch": change}, aim):
            after = {"pitch": change + given.by}
            assert closeness(after, aim) == pytest.approx(1.0)
            assert hint(after, aim) is None


class TestLearning:
    """What people change, learned speaker by speaker."""

    @staticmethod
    def spoken(speaker: str, emotion: str, pitch: float, sentence: str = "a") -> Spoken:
        """Return a sentence said at a pitch."""
        return Spoken(speaker, sentence, emotion, replace(USUAL, pitch_st=24.0 + pitch))

    def test_speakers_count_alike(self):
        """The median over speakers of each one's median; who says more weighs no more."""
        said = [self.spoken(who, "neutral", own) for own, who in enumerate("abc")]
        said += [self.spoken("a", "happy", 2.0)] * 9
        said += [self.spoken("b", "happy", 1 + 3.0), self.spoken("c", "happy", 2 - 1.0)]
        change = learn(said)["happy"]["pitch"]
        assert change.by == 2.0
        assert change.agree == pytest.approx(2 / 3, abs=1e-3)
        assert change.n_speakers == 3

    def test_only_the_same_sentence_is_compared(self):
        """An emotion said in other words tells nothing."""
        said = [self.spoken(who, "neutral", 0.0) for who in "abc"]
        said += [self.spoken(who, "happy", 5.0, "b") for who in "abc"]
        assert learn(said) == {}

    def test_left_out_dimensions(self):
        """A corpus whose loudness means nothing teaches none."""
        said = [
            replace(self.spoken(who, emotion, 0.0), left_out=frozenset({"loudness"}))
            for who in "abc"
            for emotion in ("neutral", "happy")
        ]
        assert "loudness" not in learn(said)["happy"]
        assert "pitch" in learn(said)["happy"]


class TestUsual:
    """A person's own voice."""

    def test_measures_and_learns(self, reading, recognizer):
        """Prosody of its segments; with a recogniser a baseline as well."""
        heard = hear_usual([(reading, RATE)], recognizer)
        assert heard.speech_s > 10
        assert 80 < heard.prosody.pitch_hz < 300
        assert heard.baseline.seconds > 8
        assert hear_usual([(reading, RATE)]).baseline is None

    def test_too_little_is_refused(self, even):
        """One sentence does not tell how a person usually sounds."""
        with pytest.raises(AudioError, match="expected 10 s of your usual voice"):
            hear_usual([(even, RATE)])

    def test_too_quiet_is_refused(self, reading):
        """A usual voice in the microphone's noise gives no level to compare with."""
        with pytest.raises(AudioError, match="too quiet; move closer"):
            hear_usual([(reading * np.float32(0.003), RATE)])


class TestAttempts:
    """What is told of a take."""

    def test_louder_by_as_much_as_asked(self, usual, even):
        """Twice the amplitude is 6 dB more, in one dimension alone."""
        before = Practice(loudness_aim("6dB"), usual).attempt(even, RATE)
        after = Practice(loudness_aim("6dB"), usual).attempt(np.float32(2) * even, RATE)
        assert before.closeness == pytest.approx(0.0, abs=0.2)
        assert after.closeness == 1.0
        assert after.changes["loudness"] - before.changes["loudness"] == pytest.approx(6, abs=0.2)
        assert after.changes["pitch"] == pytest.approx(before.changes["pitch"], abs=0.05)
        assert before.hint.text == "speak louder, by about 6 dB"
        assert after.hint is None

    @pytest.mark.parametrize(
        ("spoil", "why"),
        [
            (lambda voice: np.zeros_like(voice), "no speech"),
            (lambda voice: voice[: int(0.55 * RATE)], "too short"),
            (lambda voice: voice * np.float32(0.002), "too quiet"),
            (lambda voice: np.clip(voice * np.float32(30), -1, 1), "too loud"),
        ],
    )
    def test_what_cannot_be_told_costs_no_take(
        self, usual, even, spoil: Callable[[np.ndarray], np.ndarray], why
    ):
        """It says why, and has no closeness."""
        attempt = Practice(loudness_aim("6dB"), usual).attempt(spoil(even), RATE)
        assert why in attempt.untold
        assert attempt.closeness is None
        assert Exercise("", 3, [attempt]).n_told == 0

    def test_an_uncertain_emotion_costs_no_take(self, reading, even, model_file):
        """The measured changes are told all the same."""
        recognizer = Recognizer.load(model_file)
        recognizer.card = replace(recognizer.card, threshold=1.0)
        practice = Practice(
            emotion_aim("happy"), hear_usual([(reading, RATE)], recognizer), recognizer
        )
        attempt = practice.attempt(even, RATE)
        assert not attempt.prediction.certain
        assert attempt.untold == "the emotion was uncertain"
        assert attempt.closeness is None
        assert attempt.changes is not None
        assert attempt.hint is not None

    def test_a_certain_one_is_blended(self, reading, even, recognizer):
        """What was measured and the model's score count alike."""
        usual = hear_usual([(reading, RATE)], recognizer)
        attempt = Practice(emotion_aim("happy"), usual, recognizer).attempt(even, RATE)
        measured = closeness(attempt.changes, emotion_aim("happy"))
        score = attempt.prediction.scores["happy"]
        assert attempt.closeness == pytest.approx((measured + score) / 2)

    def test_nothing_infers_without_a_recogniser(self, usual, even):
        """An emotion can be practised by measurements alone."""
        attempt = Practice(emotion_aim("angry"), usual).attempt(even, RATE)
        assert attempt.prediction is None
        assert "emotion" not in attempt.to_dict()
        assert attempt.closeness is not None

    def test_an_aim_that_nothing_can_judge(self, usual):
        """People sound sad in many ways: without a model nobody can tell."""
        with pytest.raises(ConfigError, match="people do not agree"):
            Practice(Aim("sad", {}, "sad"), usual)


class TestExercises:
    """Takes, and the best of them."""

    def test_best_of_those_that_count(self):
        """Takes are counted without those that could not be told."""
        attempts = [Attempt("", 0.2), Attempt("no speech"), Attempt("", 0.7), Attempt("", 0.5)]
        exercise = Exercise("Hello.", 3, attempts)
        assert exercise.is_over
        assert exercise.best == (2, attempts[2])
        done = outcome("happy", [exercise, Exercise("Bye.", 3)])
        assert done.to_dict() == {"target": "happy", "n_takes": 3, "n_untold": 1, "best": [0.7]}

    def test_nobody_is_stuck(self):
        """Three times as many attempts as takes end a sentence, whatever they were."""
        assert not Exercise("", 2, [Attempt("no speech")] * 5).is_over
        assert Exercise("", 2, [Attempt("no speech")] * 6).is_over

    def test_sentences_of_a_file(self, tmp_path):
        """One a line, without empty lines and remarks, whoever wrote the file."""
        file = tmp_path / "items.txt"
        file.write_bytes("\ufeff# first\r\nÉté.\r\n\r\n Two. \r\n".encode())
        assert read_sentences(file) == ["Été.", "Two."]

    @pytest.mark.parametrize("content", [b"", b"# only a remark\n", b"\xff\xfe\x00"])
    def test_files_without_sentences(self, tmp_path, content):
        """The error says what is expected."""
        (tmp_path / "items.txt").write_bytes(content)
        with pytest.raises(ConfigError, match="expected sentences"):
            read_sentences(tmp_path / "items.txt")


class TestLive:
    """Live sound, cut into takes."""

    @staticmethod
    def cut(cutter: Cutter, sound: np.ndarray, n_block: int, rate: int = RATE) -> list[np.ndarray]:
        """Feed sound in blocks; return the recordings that came out."""
        blocks = [sound[first : first + n_block] for first in range(0, len(sound), n_block)]
        found = [cutter.feed(block, rate) for block in blocks]
        return [one for one in found if one is not None]

    def test_a_take_lasts_until_it_is_quiet(self, even):
        """Each sentence is a recording, with all that was said in it."""
        quiet = np.zeros(2 * RATE, np.float32)
        sound = np.concatenate([quiet, even, quiet, even, quiet])
        takes = self.cut(Cutter(), sound, 800)
        assert len(takes) == 2
        for take in takes:
            assert len(even) < len(take) < len(even) + 3 * RATE

    def test_a_take_is_judged_as_its_file_is(self, usual, even):
        """Live or from a file, the same was said."""
        quiet = np.zeros(2 * RATE, np.float32)
        (take,) = self.cut(Cutter(), np.concatenate([quiet, even, quiet]), 800)
        practice = Practice(pitch_aim("up"), usual)
        live, file = practice.attempt(take, RATE), practice.attempt(even, RATE)
        assert live.changes["pitch"] == pytest.approx(file.changes["pitch"], abs=0.1)
        assert live.changes["loudness"] == pytest.approx(file.changes["loudness"], abs=0.1)

    def test_the_usual_voice_needs_enough_speech(self, reading):
        """Pauses do not end it before enough was said."""
        sound = np.concatenate([reading, np.zeros(2 * RATE, np.float32)])
        (recording,) = self.cut(Cutter(least_s=10.0, most_s=60.0), sound, 1_600)
        assert len(recording) > 10 * RATE

    def test_it_ends_in_any_case(self, reading):
        """Who never stops talking is cut off."""
        takes = self.cut(Cutter(least_s=100.0, most_s=5.0), reading, 1_600)
        assert len(takes) >= 2
        assert max(map(len, takes)) < 7 * RATE

    def test_a_gap_drops_what_was_said(self, even):
        """A take with a hole in it is none."""
        cutter = Cutter()
        half = len(even) // 2
        assert self.cut(cutter, even[:half], 800) == []
        assert cutter.feed(np.zeros(RATE, np.float32), RATE, gap=True) is None
        assert self.cut(cutter, np.zeros(3 * RATE, np.float32), 800) == []

    def test_a_moment_is_measured(self, even):
        """Pitch and level of the latest sound, for the eye."""
        cutter = Cutter()
        self.cut(cutter, even[:RATE], 800)
        moment = cutter.moment()
        assert moment.speaking
        assert moment.level_db > -40
        assert Cutter().moment().pitch_st is None


class TestCommand:
    """`emovox practice` with recordings, and with live sound."""

    def practised(self, recordings: dict[str, Path], *takes: str) -> list[str]:
        """Return the arguments for some takes."""
        return ["--wav", str(recordings["usual"]), *(str(recordings[take]) for take in takes)]

    def test_takes_of_a_loudness(self, recordings, capsys):
        """Each take with its hint, and the best; silence costs none."""
        takes = self.practised(recordings, "same", "silent", "louder", "same", "louder")
        assert run(["practice", "--loudness", "6dB", "--json", *takes]) == 0
        told = lines(capsys)
        attempts = [line["attempt"] for line in told if "attempt" in line]
        assert [one["take"] for one in attempts] == [1, 1, 2, 3, 1]
        assert [one["told"] for one in attempts] == [True, False, True, True, True]
        assert attempts[0]["hint"]["text"] == "speak louder, by about 6 dB"
        assert attempts[2]["closeness"] == 1.0
        assert [line["best"]["take"] for line in told if "best" in line] == [2, 1]
        assert told[-1]["summary"] == {
            "target": "loudness +6 dB", "n_takes": 4, "n_untold": 1, "best": [1.0, 1.0],
        }  # fmt: skip

    def test_without_emotion_no_network_runs(self, recordings, capsys, monkeypatch):
        """With inference off, no model is even opened."""

        def load(*_: object) -> None:
            raise AssertionError("a model was opened")

        monkeypatch.setattr(Recognizer, "load", load)
        takes = self.practised(recordings, "louder")
        assert run(["practice", "--target", "happy", "--no-emotion", "--json", *takes]) == 0
        assert all("emotion" not in line["attempt"] for line in lines(capsys) if "attempt" in line)

    def test_with_emotion(self, recordings, capsys, model_file):
        """The emotion that was heard stands beside what was measured."""
        takes = self.practised(recordings, "same")
        assert run(["practice", "--target", "joy", "-m", str(model_file), *takes]) == 0
        out = capsys.readouterr().out
        assert "target: happy: pitch +3 st or more, loudness" in out
        assert "take 1 of 3: " in out
        assert "sounded fear" in out
        assert "hint: speak louder" in out

    def test_bad_recordings_do_not_stop_the_others(self, recordings, capsys):
        """What cannot be read is an error; the rest is judged."""
        takes = self.practised(recordings, "text", "same")
        assert run(["practice", "--pitch", "up", *takes, "missing.wav"]) == 1
        printed = capsys.readouterr()
        assert "text.wav" in printed.err
        assert "missing.wav: no such file" in printed.err
        assert "1 takes counted" not in printed.out
        assert "1 take counted" in printed.out

    def test_sentences_are_said_in_turn(self, recordings, tmp_path, capsys):
        """Each sentence gets its takes; a take without a sentence is told."""
        (tmp_path / "items.txt").write_text("One.\nTwo.\n")
        takes = self.practised(recordings, "same", "louder", "same")
        items = ["--items", str(tmp_path / "items.txt"), "--takes", "1"]
        assert run(["practice", "--loudness", "6dB", *items, *takes]) == 1
        printed = capsys.readouterr()
        assert printed.out.index("1. One.") < printed.out.index("2. Two.")
        assert "no sentence is left" in printed.err

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["--target", "happy", "--pitch", "up", "--wav", "a.wav", "b.wav"],
            ["--pitch", "up", "b.wav"],
            ["--pitch", "up", "--wav", "a.wav"],
            ["--pitch", "up", "--wav", "a.wav", "--device", "usb", "b.wav"],
            ["--pitch", "up", "--wav", "a.wav", "--takes", "0", "b.wav"],
        ],
    )
    def test_wrong_usage(self, arguments):
        """The exit code is 2."""
        assert run(["practice", *arguments]) == 2

    def test_sad_needs_the_model(self, recordings, capsys):
        """What people do not agree in cannot be measured alone."""
        takes = self.practised(recordings, "same")
        assert run(["practice", "--target", "sad", "--no-emotion", *takes]) == 1
        assert "do not agree" in capsys.readouterr().err

    def test_live_sound(self, tmp_path, even, capsys):
        """From a microphone: the usual voice first, then takes, each when it is quiet again."""
        quiet = np.zeros(2 * RATE, np.float32)
        usual = [even, quiet[: RATE // 4]] * 13  # no pause is long enough to end it
        said = [*usual, quiet, even, quiet, np.float32(2) * even, quiet]
        soundfile.write(tmp_path / "live.wav", np.concatenate(said), RATE, "FLOAT")
        aim = loudness_aim("6dB")
        plan = command._Plan(aim, ["One."], 2, None)
        command._live(plan, command._Teller(aim, True), Playback(tmp_path / "live.wav", 0))
        told = lines(capsys)
        assert [next(iter(line)) for line in told] == [
            "aim", "ask", "usual", "exercise", "attempt", "attempt", "best", "summary",
        ]  # fmt: skip
        assert told[-2]["best"]["take"] == 2


@pytest.mark.needs("platformdirs")
class TestJournal:
    """Progress over sessions, in the person's journal."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        """Keep journals in a folder of their own."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def practise(self, recordings, capsys, *takes: str, target=("--loudness", "6dB"), model=()):
        """Practise with a journal, and return the lines that were told."""
        arguments = ["--json", "--journal", "a.journal", *model, "--wav", str(recordings["usual"])]
        files = [str(recordings[take]) for take in takes]
        assert run(["practice", *target, *arguments, *files]) == 0
        return lines(capsys)

    def test_sessions_add_up(self, recordings, capsys):
        """Each session is kept; the earlier ones of the same target are told after it."""
        assert run(["journal", "new", "Anna", "--agree", "--journal", "a.journal"]) == 0
        capsys.readouterr()
        first = self.practise(recordings, capsys, "same", "silent", "louder")[-1]["progress"]
        other = self.practise(recordings, capsys, "same", target=("--pitch", "up"))
        last = self.practise(recordings, capsys, "same")[-1]["progress"]
        assert [one["mean"] for one in first] == [1.0]
        assert len(other[-1]["progress"]) == 1
        assert [one["mean"] for one in last] == [1.0, pytest.approx(0, abs=0.05)]
        assert run(["journal", "list", "--json", "--journal", "a.journal"]) == 0
        kept = json.loads(capsys.readouterr().out)["practice"]
        assert [one["target"] for one in kept] == [
            "loudness +6 dB", "pitch +3 st", "loudness +6 dB",
        ]  # fmt: skip
        assert [one["n_untold"] for one in kept] == [1, 0, 0]
        assert not any(one["inferred"] for one in kept)

    def test_told_to_people(self, recordings, capsys):
        """From the second session on, the last ones are listed."""
        assert run(["journal", "new", "Anna", "--agree"]) == 0
        told = []
        for take in ("same", "louder"):
            files = ["--wav", str(recordings["usual"]), str(recordings[take])]
            assert run(["practice", "--loudness", "6dB", "--person", "Anna", *files]) == 0
            told.append(capsys.readouterr().out)
        assert "your last sessions" not in told[0]
        assert told[1].rstrip().endswith("100%")
        assert run(["journal", "list"]) == 0
        assert "loudness +6 dB (measured)" in capsys.readouterr().out
        assert run(["journal", "show", "2", "--practice"]) == 0
        assert "measured alone; 1 take counted, 0 not" in capsys.readouterr().out
        assert run(["journal", "show", "3", "--practice"]) == 1
        assert "no session of practice 3" in capsys.readouterr().err
        assert run(["journal", "forget", "--practice", "1"]) == 0
        assert "deleted practice 1" in capsys.readouterr().out

    def test_nothing_told_nothing_kept(self, recordings, capsys):
        """A session without a take that counts leaves no trace."""
        assert run(["journal", "new", "Anna", "--agree", "--journal", "a.journal"]) == 0
        capsys.readouterr()
        assert self.practise(recordings, capsys, "silent")[-1] == {"progress": []}
        with Journal.open(Path("a.journal")) as journal:
            assert journal.practised() == []

    def test_consent(self, recordings, capsys, model_file):
        """A model judges only where the person agreed to inferring; measuring goes on."""
        assert run(["journal", "new", "Anna", "--agree", "--journal", "a.journal"]) == 0
        named = ["--journal", "a.journal", "--wav", str(recordings["usual"])]
        files = [*named, str(recordings["louder"])]
        words = ["practice", "--target", "happy", "-m", str(model_file)]
        assert run([*words, *files]) == 1
        assert "practise with --no-emotion" in capsys.readouterr().err
        assert run([*words, "--no-emotion", *files]) == 0
        agree = ["journal", "consent", "--emotion", "--agree", "--journal", "a.journal"]
        assert run(agree) == 0
        assert run([*words, *files]) == 0
        with Journal.open(Path("a.journal")) as journal:
            assert [one.is_inferred for one in journal.practised()][:1] == [False]


class TestView:
    """What a terminal shows."""

    def test_pitch_and_loudness_with_their_bands(self):
        """The line moves above the usual, the bar grows into the band."""
        console = Console(width=80, force_terminal=True, file=io.StringIO())
        view = View(console)
        moment = Moment(True, 3.0, USUAL.level_db + 6, USUAL.pitch_st + 4)
        with console.capture() as capture:
            console.print(view.drawn(moment, "Say it", USUAL, emotion_aim("happy")))
        rows = capture.get().splitlines()
        assert "Say it" in rows[0]
        assert [row for row in rows if "●" in row] == [row for row in rows if "+4 st" in row]
        assert any("░" in row for row in rows)
        assert "+6 dB" in rows[-1]

    def test_the_usual_voice_is_shown_without_bands(self):
        """Before there is a usual voice, there is nothing to compare with."""
        view = View(Console(width=80, file=io.StringIO()))
        drawn = view.drawn(Moment(False, 3.0, -50.0, None), "Your usual voice")
        assert len(drawn.renderables) == 2


@pytest.mark.corpora
def test_hints_of_real_speakers_point_the_right_way(corpora_root):
    """An actor's neutral sentence, as an attempt at happy, is told what their happy one did."""
    folder = corpora_root / "ravdess" / "Actor_21"
    reading = [(file, None) for file in sorted(folder.glob("03-01-0[12]-01-0?-0?-21.*"))]
    practice = Practice(emotion_aim("happy"), hear_usual(reading))
    (neutral,) = folder.glob("03-01-01-01-01-02-21.*")
    (happy,) = folder.glob("03-01-03-02-01-02-21.*")
    before, after = practice.attempt(neutral), practice.attempt(happy)
    given = before.hint
    assert given.by * (after.changes[given.dimension] - before.changes[given.dimension]) > 0
    assert after.closeness > before.closeness + 0.3
