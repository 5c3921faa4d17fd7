"""Adaptation: an encoder learns that channels do not matter, can be stopped, and is written."""

import numpy as np
import pytest
import torch

from emovox.errors import TrainingError
from emovox.training.speech import adapt as adaptation
from emovox.training.speech.adapt import Lesson, adapt, batch_of, begin, error_of, lesson_of, resume
from emovox.training.speech.channels import Backgrounds
from emovox.training.speech.encoder import SpeechConfig, SpeechStatistics, load_encoder
from made_corpus import EMOTIONS, make_corpus, voice

CONFIG = SpeechConfig(n_layers=1, max_seconds=4.0)
RATE = 3e-5  # for so small an encoder


def draw(rng: np.random.Generator) -> np.ndarray:
    """Draw a made-up voice."""
    return voice(EMOTIONS[rng.integers(3)], rng.uniform(90, 250), rng)


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    """Give a lesson with a small random encoder."""
    torch.manual_seed(0)
    teacher = SpeechStatistics(CONFIG, 64).eval().requires_grad_(False)
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(adaptation, "_N_FOR_SPREAD", 30)
        return lesson_of(teacher, draw, Backgrounds(), seed=3)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Learn at the pace of so small an encoder, from fewer clips."""
    monkeypatch.setattr(adaptation, "_WARM_STEPS", 1)
    monkeypatch.setattr(adaptation, "_BATCH", 4)


def steps(n: int, tmp_path, lesson, course):
    """Take some steps of a course, as if the time were long."""
    until = course.step + n
    return adapt(
        course, lesson, tmp_path / "course.state", 1e6, stopped=lambda: course.step >= until
    )


def mean_error(course, lesson) -> float:
    """Return the error on batches that were not learned from."""
    with torch.no_grad():
        batches = (batch_of(lesson, 10_000 + number) for number in range(8))
        return float(np.mean([error_of(course.student, lesson, batch) for batch in batches]))


def test_the_error_falls(lesson, tmp_path):
    """After some steps, channels change the statistics less; the teacher stays as it was."""
    before = [value.clone() for value in lesson.teacher.state_dict().values()]
    course = begin(lesson.teacher, RATE)
    untaught = mean_error(course, lesson)
    assert not steps(20, tmp_path, lesson, course)
    assert mean_error(course, lesson) < 0.95 * untaught
    for was, value in zip(before, lesson.teacher.state_dict().values(), strict=True):
        torch.testing.assert_close(was, value, atol=0, rtol=0)
    torch.testing.assert_close(course.student.conv1.weight, lesson.teacher.conv1.weight)


def test_a_stopped_course_goes_on_where_it_was(lesson, tmp_path):
    """Stopped and resumed, the student is the one that was taught in one go."""
    straight = begin(lesson.teacher, RATE)
    steps(6, tmp_path, lesson, straight)
    (tmp_path / "parts").mkdir()
    steps(3, tmp_path / "parts", lesson, begin(lesson.teacher, RATE))
    resumed = begin(lesson.teacher, RATE)
    resume(resumed, tmp_path / "parts" / "course.state", lesson.key)
    assert resumed.step == 3
    steps(3, tmp_path / "parts", lesson, resumed)
    for one, other in zip(straight.student.parameters(), resumed.student.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_another_lesson_is_not_resumed(lesson, tmp_path):
    """A state of other data, or a damaged one, is refused in one line."""
    course = begin(lesson.teacher, RATE)
    course.save(tmp_path / "course.state", "another key")
    with pytest.raises(TrainingError, match="remove it"):
        resume(course, tmp_path / "course.state", lesson.key)
    (tmp_path / "course.state").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="cannot resume"):
        resume(course, tmp_path / "course.state", lesson.key)


def test_batches_repeat_themselves(lesson):
    """A step's batch depends on the seed and the step; some clips are spoilt, not all."""
    one, again, other = (batch_of(lesson, step) for step in (1, 1, 2))
    torch.testing.assert_close(one.spoilt, again.spoilt, atol=0, rtol=0)
    torch.testing.assert_close(one.wanted, again.wanted, atol=0, rtol=0)
    assert not torch.equal(one.wanted, other.wanted)
    with torch.no_grad():
        away = (lesson.teacher(one.spoilt, one.lengths) - one.wanted).abs().amax(1)
    assert (away > 1e-4).sum() > 0


def test_the_command_line_writes_an_encoder(tmp_path, capsys, monkeypatch):
    """From weights and a corpus to weights that `load_encoder` reads; errors are one line."""
    monkeypatch.setattr(adaptation, "_N_FOR_SPREAD", 4)
    torch.manual_seed(0)
    made = SpeechStatistics(SpeechConfig(), 64)
    adaptation.write_encoder(made, tmp_path / "whisper.safetensors")
    corpus = f"made={make_corpus(tmp_path / 'made', 1, 2)}"
    out = tmp_path / "adapted.safetensors"
    options = ["--corpus", corpus, "--out", str(out), "--minutes", "0.01"]
    assert adaptation.main([str(tmp_path / "whisper.safetensors"), *options]) == 0
    adapted = load_encoder(out, SpeechConfig())
    assert not torch.equal(adapted.layers[0].fc1.weight, made.layers[0].fc1.weight)
    torch.testing.assert_close(adapted.conv1.weight, made.conv1.weight, atol=1e-3, rtol=1e-2)
    assert not out.with_name("adapted.safetensors.state").exists()
    assert adaptation.main([str(tmp_path / "nothing.safetensors"), *options]) == 1
    assert "cannot read the encoder's weights" in capsys.readouterr().err
