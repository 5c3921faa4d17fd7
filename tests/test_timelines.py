"""The timeline of a recording: what it draws, and from the command line."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile

from emovox import figures
from emovox.audio import RATE
from emovox.cli import run
from emovox.figures.measurements import tracks
from emovox.prediction import Moment, Prediction

pytestmark = [pytest.mark.needs("matplotlib"), pytest.mark.needs("librosa")]

LABELS = ("angry", "happy", "curious")


def segment(start: float, end: float, label: str, **options) -> Prediction:
    """Make a prediction; `curious` is a label of a user's own."""
    scores = dict.fromkeys(LABELS, 0.2) | {label: 0.6}
    return Prediction(label, 0.6, scores, start, end, **{"certain": True, **options})


SEGMENTS = [
    segment(0.5, 1.1, "happy", final=False),
    segment(0.5, 1.6, "angry", final=False),
    segment(0.5, 2.0, "angry", moments=(Moment(0.5, 0.75, 0.3), Moment(0.75, 2.0, -0.1))),
    segment(3.0, 4.0, "curious", certain=False),
]


@pytest.fixture
def sound(talk):
    """Five seconds of talk."""
    return talk[: 5 * RATE]


class TestFigure:
    """What is drawn."""

    def test_panels(self, sound):
        """Waveform, emotions, labels, loudness and pitch; the strip where moments are known."""
        titles = [axes.get_title("left") for axes in figures.timeline(sound, SEGMENTS, "a").axes]
        assert titles[:5] == ["Waveform", "Emotions", "Label of each segment", "Loudness", "Pitch"]
        assert titles[5].startswith("What carried the label")
        plain = [one for one in SEGMENTS if not one.moments]
        assert len(figures.timeline(sound, plain, "a").axes) == 5

    def test_stacked_scores(self, sound):
        """The areas of a segment span it, and add up to 1."""
        axes = figures.timeline(sound, SEGMENTS, "a").axes[1]
        areas = axes.collections[: len(LABELS)]
        boxes = [area.get_paths()[0].get_extents() for area in areas]
        assert min(box.x0 for box in boxes) == 0.5
        assert max(box.x1 for box in boxes) == 2.0
        assert max(box.y1 for box in boxes) == pytest.approx(1)

    def test_uncertain_is_hatched(self, sound):
        """A segment of which the model is not certain is hatched, and the legend says so."""
        figure = figures.timeline(sound, SEGMENTS, "a")
        hatched = [one for one in figure.axes[1].collections if one.get_hatch()]
        assert len(hatched) == 1
        words = [text.get_text() for text in figure.legends[0].get_texts()]
        assert words == [*LABELS, "uncertain"]

    def test_own_labels_have_colours(self, sound):
        """Labels that emovox does not know have colours of their own."""
        patches = figures.timeline(sound, SEGMENTS, "a").legends[0].get_patches()
        assert len({patch.get_facecolor() for patch in patches[:3]}) == 3

    @pytest.mark.parametrize(
        ("n", "told"), [(0, "0 segments"), (1, "1 segment"), (2, "2 segments")]
    )
    def test_title(self, sound, n, told):
        """The title says how many segments of speech there are."""
        final = [one for one in SEGMENTS if one.final][:n]
        assert (
            figures.timeline(sound, final, "a")._suptitle.get_text().endswith(f"{told} of speech")
        )

    def test_no_speech(self, sound):
        """A recording in which nobody speaks is drawn without emotions."""
        figure = figures.timeline(sound, [], "a")
        assert len(figure.axes) == 5
        assert figures.rendered(figure, "png")

    def test_same_bytes(self, sound):
        """The same recording gives the same file."""
        one, other = (
            figures.rendered(figures.timeline(sound, SEGMENTS, "$a$"), "svg") for _ in range(2)
        )
        assert one == other


class TestTracks:
    """Loudness and pitch."""

    def test_tone(self):
        """A tone of 220 Hz at -20 dB is heard as such."""
        time = np.arange(2 * RATE) / RATE
        tone = (0.1 * np.sqrt(2) * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
        seconds, loudness, pitch = tracks(tone)
        assert np.median(loudness) == pytest.approx(-20, abs=0.1)
        assert np.nanmedian(pitch) == pytest.approx(220, rel=0.02)
        assert all(before < after for before, after in pairwise(seconds))

    def test_short(self):
        """A few samples are drawn, too."""
        assert len(tracks(np.full(10, 0.1, np.float32))[0]) == 1

    def test_long(self):
        """A long recording gets no more than 4,000 frames."""
        long = np.random.default_rng(0).normal(0, 0.1, 100 * RATE).astype(np.float32)
        assert len(tracks(long)[0]) <= 4_000


class TestCommand:
    """`emovox plot timeline`."""

    def test_file(self, talk, model_file, tmp_path, capsys):
        """It draws a recording with what carried its labels, and prints the path."""
        soundfile.write(tmp_path / "talk.wav", talk[: 5 * RATE], RATE)
        out = tmp_path / "talk.png"
        words = ["plot", "timeline", str(tmp_path / "talk.wav"), "--out", str(out)]
        assert run([*words, "--model", str(model_file)]) == 0
        assert capsys.readouterr().out == f"{out}\n"
        first = out.read_bytes()
        assert run([*words, "--model", str(model_file), "--no-explain"]) == 0
        assert out.read_bytes() != first

    def test_bad_file(self, tmp_path, capsys):
        """What is no recording is one line."""
        assert run(["plot", "timeline", str(tmp_path / "no.wav")]) == 1
        assert "no such file" in capsys.readouterr().err
