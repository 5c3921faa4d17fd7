"""The one inference path: the same sound gives the same answer, whatever is around it."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

import emovox
from emovox.audio import NOISE_FLOOR, RATE, load_audio
from emovox.baseline import Baseline
from emovox.decoding import read_audio
from emovox.errors import AudioError, BaselineError, ModelError, NoSpeechError, SilenceError
from emovox.loudness import levelled, speech_level_db, without_edges
from emovox.model import shipped_models
from emovox.recognizer import Prediction, Recognizer
from emovox.training.export import with_card

TOLERANCE = 1e-4  # of a score: what other lengths may change in the last bits of a float32


@pytest.fixture(scope="module")
def clips(voice) -> list[np.ndarray]:
    """Give sounds of many lengths and pitches."""
    rng = np.random.default_rng(3)
    lengths = [1, 10, 700, 1_024, 5_000, 16_000, 40_000, 63_999, 64_000, 64_001, 150_000]
    clips = []
    for length in lengths:
        time = np.arange(length) / RATE
        tone = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 3_000) * time + 1)
        clips.append((tone + rng.normal(0, 0.02, length)).astype(np.float32))
    return [*clips, voice]


@pytest.fixture(scope="module")
def anna(recognizer, clips) -> Baseline:
    """Give a speaker of whom something was heard."""
    return learned(recognizer, recognizer.new_baseline("anna"), clips[4:8])


def learned(recognizer: Recognizer, baseline: Baseline, clips: list[np.ndarray]) -> Baseline:
    """Learn sounds in turn, whether or not anybody speaks in them."""
    for clip in clips:
        baseline = baseline.after(recognizer.hear(clip, baseline)[1])
    return baseline


def damaged(model_file: Path, path: Path, value: float) -> Recognizer:
    """Copy a model, with a value in its last layer that no network has."""
    model = onnx.load(model_file)
    bias = next(one for one in model.graph.initializer if list(one.dims) == [7])
    bias.CopyFrom(numpy_helper.from_array(np.full(7, value, np.float32), bias.name))
    onnx.save(model, path)
    return Recognizer.load(path)


def close(left: Prediction, right: Prediction) -> bool:
    """Tell whether two answers are the same up to rounding."""
    return all(abs(left.scores[key] - right.scores[key]) < TOLERANCE for key in left.scores)


def near(one: Prediction, other: Prediction) -> bool:
    """Whether two predictions are nearly the same: where a clip begins moves them a little."""
    return dict(one.scores) == pytest.approx(dict(other.scores), abs=0.02)


class TestPrediction:
    """What an answer holds."""

    def test_scores(self, recognizer, clips):
        """Scores are probabilities of all labels, and the label is the best of them."""
        for clip in clips:
            prediction, _ = recognizer.hear(clip)
            assert tuple(prediction.scores) == recognizer.labels
            assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-9)
            assert min(prediction.scores.values()) >= 0
            assert prediction.score == max(prediction.scores.values())
            assert prediction.scores[prediction.label] == prediction.score
            assert (prediction.start, prediction.end) == (0.0, round(len(clip) / RATE, 4))

    def test_different_sounds_differ(self, recognizer, clips):
        """The model under test hears something: not all answers are the same."""
        scores = [recognizer.hear(clip)[0].scores["angry"] for clip in clips]
        assert np.ptp(scores) > 0.01

    def test_certain(self, model_file, voice, tmp_path):
        """An answer is certain from the card's threshold on."""
        path = tmp_path / "model.onnx"
        path.write_bytes(model_file.read_bytes())
        score = Recognizer.load(path).predict(voice, RATE).score
        for threshold, certain in ((0.0, True), (score, True), (score + 1e-6, False), (1.0, False)):
            with_card(path, threshold=threshold)
            prediction = Recognizer.load(path).predict(voice, RATE)
            assert prediction.certain is certain
            assert prediction.score == pytest.approx(score, abs=1e-7)

    def test_temperature(self, model_file, voice, tmp_path):
        """A higher temperature makes the same answer less sure."""
        path = tmp_path / "model.onnx"
        path.write_bytes(model_file.read_bytes())
        answers = []
        for temperature in (0.5, 1.0, 10.0):
            with_card(path, temperature=temperature)
            answers.append(Recognizer.load(path).predict(voice, RATE))
        assert len({answer.label for answer in answers}) == 1
        assert answers[0].score > answers[1].score > answers[2].score

    def test_to_dict(self, recognizer, voice):
        """As JSON carries it: nine keys, and nothing JSON does not know."""
        prediction = recognizer.predict(voice, RATE)
        data = prediction.to_dict()
        assert list(data) == [
            "label",
            "score",
            "scores",
            "start",
            "end",
            "certain",
            "final",
            "level_db",
            "level",
        ]
        assert json.loads(json.dumps(data)) == data
        assert data["scores"] == dict(prediction.scores)

    def test_to_list(self, recognizer, voice):
        """As a list: a label and a score each, best first."""
        prediction = recognizer.predict(voice, RATE)
        items = prediction.to_list()
        assert [set(item) for item in items] == [{"label", "score"}] * 7
        assert [item["score"] for item in items] == sorted(
            (item["score"] for item in items), reverse=True
        )
        assert (items[0]["label"], items[0]["score"]) == (prediction.label, prediction.score)

    def test_cannot_be_changed(self, recognizer, voice):
        """An answer is what it is."""
        prediction = recognizer.predict(voice, RATE)
        assert isinstance(prediction.scores, MappingProxyType)
        with pytest.raises(AttributeError):
            prediction.label = "happy"


class TestNoNumbers:
    """An answer is a number, or there is none."""

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_damaged_model(self, model_file, voice, tmp_path, value):
        """A model whose weights are no numbers is a ModelError, by whatever way it is asked."""
        recognizer = damaged(model_file, tmp_path / "a.onnx", value)
        for ask in (
            lambda: recognizer.predict(voice, RATE),
            lambda: list(recognizer.segments(voice, RATE)),
            lambda: recognizer.infer(voice),
            lambda: recognizer.hear(voice),
            lambda: recognizer.enrol("anna", [voice], RATE),
        ):
            with pytest.raises(ModelError, match="the model tiny does not give finite numbers"):
                ask()

    def test_large_logits(self, model_file, voice, tmp_path):
        """Logits as large as floats can be still make scores, at the lowest temperature."""
        recognizer = damaged(model_file, tmp_path / "a.onnx", 3e38)
        with_card(tmp_path / "a.onnx", temperature=0.01)
        recognizer = Recognizer.load(tmp_path / "a.onnx")
        assert sum(recognizer.predict(voice, RATE).scores.values()) == pytest.approx(1)

    @settings(max_examples=30)
    @given(size=st.floats(-1e6, 1e6), seconds=st.floats(1e-3, 1e6), first=st.booleans())
    def test_any_baseline(self, recognizer, voice, size, seconds, first):
        """Whatever a baseline holds, the scores are numbers, or it is refused."""
        total = np.full(59, size * seconds)
        total[1:] *= 0 if first else 1
        baseline = Baseline(recognizer.fingerprint, total, seconds)
        try:
            prediction = recognizer.predict(voice, RATE, baseline=baseline)
        except BaselineError:
            return
        assert all(0 <= score <= 1 for score in prediction.scores.values())

    @pytest.mark.parametrize("name", shipped_models())
    @pytest.mark.parametrize("size", [1e6, -1e6, 1e3])
    def test_shipped_models(self, name, voice, size):
        """So it is with the models that come with emovox."""
        recognizer = Recognizer.load(name)
        width = len(recognizer.card.baseline)
        rng = np.random.default_rng(0)
        for signs in (np.ones(width), rng.choice([-1.0, 1.0], width)):
            baseline = Baseline(recognizer.fingerprint, signs * size, 1.0)
            try:
                scores = recognizer.predict(voice, RATE, baseline=baseline).scores
            except BaselineError:
                continue
            assert all(0 <= score <= 1 for score in scores.values())

    def test_clips_that_are_none(self, recognizer, voice):
        """What `load_audio` would never return is refused in one line, not heard wrongly."""
        spoiled = [voice.copy() for _ in range(3)]
        spoiled[0][5_000], spoiled[1][5_000], spoiled[2][5_000] = np.nan, np.inf, 1e30
        others = [voice.astype(np.float64), np.stack([voice, voice]), voice.tolist(), None]
        whole = np.full(RATE, np.nan, np.float32)
        for clip in (*spoiled, *others, whole, np.zeros(0, np.float32), voice[0]):
            for ask in (recognizer.hear, recognizer.infer):
                with pytest.raises(AudioError, match="expected clips ") as caught:
                    ask(clip)
                assert "\n" not in str(caught.value)

    def test_samples_that_are_none(self, recognizer, voice):
        """Samples that no door can use are refused by each of them."""
        for samples in (np.full(RATE, np.nan), voice * np.float32(1e9), np.zeros(0), None, "x"):
            for ask in (
                lambda samples=samples: recognizer.predict(samples, RATE),
                lambda samples=samples: recognizer.enrol("anna", [voice, samples], RATE),
            ):
                with pytest.raises(AudioError):
                    ask()

    @pytest.mark.parametrize("baseline", ["x", {}, 5, ["x"], np.zeros(59)])
    def test_baselines_that_are_none(self, recognizer, voice, baseline):
        """What is no baseline is a BaselineError by every way."""
        for ask in (
            lambda: recognizer.predict(voice, RATE, baseline=baseline),
            lambda: recognizer.segments(voice, RATE, baseline=baseline),
            lambda: recognizer.stream(baseline=baseline),
            lambda: recognizer.predict_and_learn(voice, RATE, baseline=baseline),
            lambda: recognizer.infer(voice, baseline),
            lambda: recognizer.hear(voice, baseline),
        ):
            with pytest.raises(BaselineError, match="expected a"):
                ask()


class TestSurroundings:
    """What is around a sound has no effect."""

    @settings(max_examples=40)
    @given(before=st.integers(0, 20_000), after=st.integers(0, 20_000), data=st.data())
    def test_silence_around(self, recognizer, voice, before, after, data):
        """Zeros of any length before and after do not matter."""
        start = data.draw(st.integers(0, 10_000))
        clip = voice[start:]
        padded = np.concatenate([np.zeros(before), clip, np.zeros(after)]).astype(np.float32)
        one, other = (recognizer.hear(sound)[0] for sound in (clip, padded))
        assert near(one, other)
        assert other.end == round(len(padded) / RATE, 4)

    @pytest.mark.parametrize(("before", "after"), [(0, 70_000), (70_000, 0), (100_001, 33_333)])
    def test_more_silence_than_a_window(self, recognizer, voice, before, after):
        """Silence so long that the whole no longer fits into one window does not matter, either."""
        padded = np.pad(np.tile(voice, 3), (before, after))
        whole = recognizer.predict(np.tile(voice, 3), RATE)
        assert near(whole, recognizer.predict(padded, RATE))

    def test_faint_noise_around(self, recognizer, voice):
        """What lies below the noise floor counts as silence."""
        noise = np.random.default_rng(0).uniform(-0.9, 0.9, 5_000).astype(np.float32) * NOISE_FLOOR
        sound = voice[np.abs(voice).argmax() :]
        with_noise, _ = recognizer.hear(np.concatenate([noise, sound]))
        assert close(recognizer.hear(sound)[0], with_noise)

    def test_input_is_left_alone(self, recognizer, voice):
        """The samples are not written to."""
        clip = voice.copy()
        clip.setflags(write=False)
        recognizer.predict(clip, RATE)
        np.testing.assert_array_equal(clip, voice)

    def test_threads(self, recognizer, clips):
        """Many threads sharing a recogniser get the answers each would get alone."""
        alone = [recognizer.hear(clip)[0] for clip in clips]
        with ThreadPoolExecutor(8) as pool:
            answers = [prediction for prediction, _ in pool.map(recognizer.hear, clips * 4)]
        assert all(map(close, answers, alone * 4))


class TestLong:
    """Recordings longer than the model's window."""

    def test_mean_of_windows(self, recognizer, clips):
        """A long recording is cut into equal windows, and their scores are averaged."""
        clip = clips[-2]
        parts = np.array_split(clip, 3)  # 150,000 samples; a window holds 64,000
        each = [recognizer.hear(part)[0] for part in parts]
        whole, windows = recognizer.hear(clip)
        assert len(windows) == 3
        for label in recognizer.labels:
            mean = np.mean([part.scores[label] for part in each])
            assert whole.scores[label] == pytest.approx(mean, abs=TOLERANCE)
        assert whole.end == pytest.approx(150_000 / RATE)

    def test_windows_without_sound(self, recognizer, voice):
        """A pause as long as a window does not count."""
        sound = np.tile(voice, 4)
        clip = np.concatenate([sound, np.zeros(64_000, np.float32), sound])
        one, other = (recognizer.predict(samples, RATE) for samples in (sound, clip))
        assert dict(one.scores) == pytest.approx(dict(other.scores), abs=0.01)

    def test_very_long(self, recognizer, voice):
        """Ten minutes go through window by window, and agree with the minute they repeat."""
        one, many = (recognizer.predict(np.tile(voice, times), RATE) for times in (4, 600))
        assert near(one, many)


class TestDoors:
    """A result never depends on the door it came in by."""

    def test_file_bytes_array(self, recognizer, voice, tmp_path):
        """A path, its text, bytes, a file object and samples give the same answer."""
        stereo = np.repeat(np.stack([voice, voice * 0.5], axis=1), 3, axis=0)
        path = tmp_path / "clip.wav"
        soundfile.write(path, stereo, 44_100, "PCM_16")
        samples, rate = soundfile.read(path, dtype="int16")
        expected = recognizer.predict(path)
        for source in (str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
            assert recognizer.predict(source) == expected
        assert close(recognizer.predict(samples, rate), expected)
        assert close(recognizer.predict((samples / 32768).tolist(), float(rate)), expected)
        assert recognizer.predict(load_audio(path), RATE) == expected

    def test_array_without_rate(self, recognizer, voice):
        """Samples without their rate are refused, not guessed."""
        with pytest.raises(AudioError, match="expected a sample rate in Hz with an array"):
            recognizer.predict(voice)

    def test_file_with_rate(self, recognizer):
        """A recording knows its rate; another one beside it is refused."""
        for source in ("clip.wav", b"RIFF", io.BytesIO()):
            with pytest.raises(AudioError, match="a recording has its own rate"):
                recognizer.predict(source, 16_000)

    def test_silence(self, recognizer):
        """A recording without sound is an error of its own kind."""
        for clip in (np.zeros(RATE), np.full(RATE, 5e-5), np.zeros((RATE, 2))):
            with pytest.raises(SilenceError, match="no sound above the noise floor"):
                recognizer.predict(clip, RATE)

    def test_no_speech(self, recognizer, voice, tmp_path):
        """Where nobody speaks, every door says so; nothing is answered, and nothing learned."""
        noise = np.random.default_rng(0).normal(0, 0.05, 3 * RATE).astype(np.float32)
        soundfile.write(tmp_path / "noise.wav", noise, RATE, "FLOAT")
        baseline = recognizer.new_baseline()
        for audio, rate in ((noise, RATE), (tmp_path / "noise.wav", None)):
            for ask in (
                lambda audio=audio, rate=rate: recognizer.predict(audio, rate),
                lambda audio=audio, rate=rate: recognizer.enrol("anna", [audio], rate),
                lambda audio=audio, rate=rate: recognizer.predict_and_learn(
                    audio, rate, baseline=baseline
                ),
            ):
                with pytest.raises(NoSpeechError, match=r"no speech in 3\.0 s of audio"):
                    ask()
            assert list(recognizer.segments(audio, rate)) == []

    def test_pausing(self, recognizer, voice):
        """A pause comes before each piece of work, and may end it."""
        times = []
        waited = recognizer.pausing(lambda: times.append(1))
        assert waited.predict(voice, RATE) == recognizer.predict(voice, RATE)
        assert len(times) > 2

        def end() -> None:
            raise InterruptedError

        for ask in (
            lambda given_up: given_up.predict(voice, RATE),
            lambda given_up: list(given_up.segments(voice, RATE)),
            lambda given_up: given_up.enrol("anna", [voice], RATE),
        ):
            with pytest.raises(InterruptedError):
                ask(recognizer.pausing(end))

    def test_limit(self, recognizer, voice):
        """A limit on the length holds for samples and files."""
        file = io.BytesIO()
        soundfile.write(file, voice, RATE, format="WAV")
        for source, rate in ((voice, RATE), (file.getvalue(), None)):
            with pytest.raises(AudioError, match=r"at most 0\.5 s"):
                recognizer.predict(source, rate, max_seconds=0.5)

    def test_one_sample(self, recognizer):
        """One sample is a sound, if a short one, but no speech."""
        prediction, _ = recognizer.hear(np.array([0.5], np.float32))
        assert sum(prediction.scores.values()) == pytest.approx(1)
        with pytest.raises(NoSpeechError, match=r"^no speech in 0\.0 s of audio"):
            recognizer.predict([0.5], RATE)

    @pytest.mark.parametrize("amplitude", [0.001, 1.0, 30.0])
    def test_any_level(self, recognizer, voice, amplitude):
        """From the noise floor to far above full scale, the scores are numbers."""
        loud = voice / np.abs(voice).max() * amplitude * 1.001
        assert np.isfinite(list(recognizer.predict(loud, RATE).scores.values())).all()

    @settings(max_examples=60)
    @given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=2_000))
    def test_any_samples(self, recognizer, samples):
        """Any samples in [-1, 1] have an answer, or are silence."""
        try:
            prediction, _ = recognizer.hear(np.array(samples, np.float32))
        except SilenceError:
            assert max(map(abs, samples)) < NOISE_FLOOR
        else:
            assert sum(prediction.scores.values()) == pytest.approx(1)

    def test_read_audio(self, voice):
        """Reading alone is open to other parts of emovox, with the same rules."""
        np.testing.assert_array_equal(read_audio(voice, RATE), voice)
        with pytest.raises(AudioError):
            read_audio(voice)


class TestBaseline:
    """What was heard of a speaker before moves the answer, and nothing else."""

    def test_nothing_heard_is_no_baseline(self, recognizer, clips):
        """A baseline that has heard nothing gives the answers of none, to the last bit."""
        empty = recognizer.new_baseline("anna")
        assert (empty.name, empty.seconds, empty.model) == ("anna", 0.0, recognizer.fingerprint)
        for clip in clips:
            assert recognizer.hear(clip, empty)[0] == recognizer.hear(clip)[0]

    def test_answers_depend_on_it(self, recognizer, voice, anna):
        """With a baseline the answer is another, by whichever door."""
        without = recognizer.predict(voice, RATE)
        given = recognizer.predict(voice, RATE, baseline=anna)
        assert not close(without, given)
        assert recognizer.hear(voice, anna)[0] == given
        assert recognizer.predict(voice, RATE) == without

    def test_learns_embeddings_by_seconds(self, recognizer, clips):
        """What is learned is the sum of embeddings, each times its seconds of sound."""
        chosen = clips[4:8]
        baseline = learned(recognizer, recognizer.new_baseline(), chosen)
        # Of this kind of model they ask no baseline.
        heard = [without_edges(levelled(clip, speech_level_db(clip))) for clip in chosen]
        embeddings = np.stack([recognizer.infer(clip)[1] for clip in heard])
        seconds = [len(clip) / RATE for clip in heard]
        assert baseline.seconds == pytest.approx(sum(seconds))
        expected = np.array(seconds) @ embeddings.astype(np.float64)
        np.testing.assert_allclose(baseline.total, expected, rtol=1e-4, atol=1e-4)

    def test_in_one_go_or_one_by_one(self, recognizer, voice):
        """Recordings learned one by one or in enrolling are the same, to the last bit."""
        recordings = [voice, np.tile(voice, 9), voice[4_000:]]
        baseline = recognizer.new_baseline("anna")
        for recording in recordings:
            _, baseline = recognizer.predict_and_learn(recording, RATE, baseline=baseline)
        assert baseline == recognizer.enrol("anna", recordings, RATE)
        assert recognizer.enrol("anna", []) == recognizer.new_baseline("anna")

    def test_one_after_the_other(self, recognizer, voice, monkeypatch):
        """Each clip is heard with the baseline of those before it, which serves all its windows."""
        heard = []
        infer = Recognizer.infer

        def listen(self, clip, baseline=None):
            heard.append(round(baseline.seconds, 2))
            return infer(self, clip, baseline)

        monkeypatch.setattr(Recognizer, "infer", listen)
        recognizer.enrol("anna", [voice, np.tile(voice, 6), voice], RATE)  # a window holds four
        assert heard == [0, 1, 1, 7]

    def test_predict_and_learn(self, recognizer, voice, anna):
        """It gives what `predict` gives with that baseline, and the baseline that heard it too."""
        for clip in (voice, np.tile(voice, 9)):
            prediction, after = recognizer.predict_and_learn(clip, RATE, baseline=anna)
            assert prediction == recognizer.predict(clip, RATE, baseline=anna)
            assert after.seconds > anna.seconds
            assert after == learned(recognizer, anna, [clip])

    @settings(max_examples=20)
    @given(before=st.integers(0, 20_000), after=st.integers(0, 20_000))
    def test_silence_around_is_not_heard(self, recognizer, voice, before, after):
        """Silence before and after a clip counts neither as time nor as voice."""
        one = recognizer.enrol("", [voice], RATE)
        other = recognizer.enrol("", [np.pad(voice, (before, after))], RATE)
        assert one.seconds == pytest.approx(other.seconds, abs=0.21)  # a tenth on either side
        mean, other_mean = one.total / one.seconds, other.total / other.seconds
        np.testing.assert_allclose(mean, other_mean, atol=0.5)

    def test_silence(self, recognizer, voice):
        """Silence teaches nothing, and is refused."""
        with pytest.raises(SilenceError):
            recognizer.enrol("anna", [voice, np.zeros(RATE, np.float32)], RATE)
        with pytest.raises(SilenceError):
            recognizer.hear(np.zeros(RATE, np.float32))

    def test_of_another_model(self, recognizer, model_file, voice, tmp_path):
        """A baseline of another model is refused, and both models are named."""
        path = tmp_path / "other.onnx"
        path.write_bytes(model_file.read_bytes())
        with_card(path, name="other")
        other = Recognizer.load(path)
        baseline = other.enrol("anna", [voice], RATE)
        for use in (
            lambda: recognizer.predict(voice, RATE, baseline=baseline),
            lambda: recognizer.predict_and_learn(voice, RATE, baseline=baseline),
            lambda: recognizer.segments(voice, RATE, baseline=baseline),
            lambda: recognizer.hear(voice, baseline),
            lambda: recognizer.infer(voice, baseline),
        ):
            with pytest.raises(BaselineError, match="anna was learned with the model") as caught:
                use()
            assert other.fingerprint in str(caught.value)
            assert f"tiny ({recognizer.fingerprint})" in str(caught.value)

    def test_odd_names(self, recognizer, voice):
        """A name with new lines and escapes does not break the line of an error."""
        odd = Baseline("a\x1b", np.zeros(59), 0.0, "Zo\u00eb\nb")
        with pytest.raises(BaselineError) as caught:
            recognizer.predict(voice, RATE, baseline=odd)
        assert "the baseline of Zo\u00eb\\nb was learned with the model a\\x1b," in str(
            caught.value
        )

    def test_of_another_width(self, recognizer, voice):
        """A baseline that claims to be of this model, but has other numbers, is refused."""
        odd = Baseline(recognizer.fingerprint, np.zeros(3), 0.0)
        with pytest.raises(BaselineError, match="expected a baseline of 59 numbers, got 3"):
            recognizer.predict(voice, RATE, baseline=odd)

    def test_threads(self, recognizer, clips, anna):
        """Many threads with different speakers get the answers each would get alone."""
        tasks = [(clip, baseline) for clip in clips for baseline in (anna, None)] * 3
        alone = [recognizer.hear(*task)[0] for task in tasks]
        with ThreadPoolExecutor(8) as pool:
            answers = [
                prediction for prediction, _ in pool.map(recognizer.hear, *zip(*tasks, strict=True))
            ]
        assert all(map(close, answers, alone))


class TestLoad:
    """Opening a model."""

    def test_facts(self, recognizer, model_file):
        """A recogniser tells its labels, its card, its fingerprint, and who it is."""
        assert recognizer.labels == recognizer.card.labels
        assert recognizer.card.name == "tiny"
        assert repr(recognizer) == (
            f"<Recognizer tiny ({recognizer.fingerprint}): "
            "angry, disgust, fear, happy, neutral, sad, surprise>"
        )
        assert Recognizer.load(str(model_file)).fingerprint == recognizer.fingerprint

    @pytest.mark.parametrize("path", ["none.onnx", "", "\0", 3, b"model.onnx"])
    def test_nonsense(self, path):
        """Whatever is no model is a ModelError."""
        with pytest.raises(ModelError):
            Recognizer.load(path)

    def test_recording_instead_of_a_model(self, tmp_path, voice):
        """A recording given as a model is refused."""
        soundfile.write(tmp_path / "clip.wav", voice, RATE)
        with pytest.raises(ModelError, match="not a readable ONNX model"):
            Recognizer.load(tmp_path / "clip.wav")

    def test_public_names(self):
        """The names of the package are those of the modules."""
        assert emovox.Recognizer is Recognizer
        assert emovox.Prediction is Prediction
        assert emovox.load_audio is load_audio
