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


def drawn(sound, predictions, title="a"):
    """The picture of one speaker."""
    return figures.timeline([figures.Heard(sound, predictions)], title)


class TestFigure:
    """What is drawn."""

    def test_panels(self, sound):
        """Waveform, segments, scores, loudness and pitch; the strip where moments are known."""
        titles = [axes.get_title("left") for axes in drawn(sound, SEGMENTS).axes]
        assert titles[:2] == ["Waveform", "Segments"]
        assert titles[2].startswith("Scores of each segment")
        assert titles[3:5] == ["Loudness", "Pitch"]
        assert titles[5].startswith("What carried the label")
        plain = [one for one in SEGMENTS if not one.moments]
        assert len(drawn(sound, plain).axes) == 5

    def test_lanes(self, sound):
        """Each final segment is a bar in the lane of its label, from its start to its end."""
        axes = drawn(sound, SEGMENTS).axes[1]
        assert [label.get_text() for label in axes.get_yticklabels()] == list(LABELS)
        boxes = [path.get_extents() for bars in axes.collections for path in bars.get_paths()]
        assert [(box.x0, box.x1) for box in boxes] == [(0.5, 2.0), (3.0, 4.0)]
        assert [round((box.y0 + box.y1) / 2) for box in boxes] == [0, 2]

    def test_final_before_interim(self, sound):
        """Final scores are bars over their segment; interim ones are thinner, and end in them."""
        axes = drawn(sound, SEGMENTS).axes[2]
        bars = [bar for bar in axes.collections if bar.get_segments()[0][0][0] == 0.5]
        assert max(bar.get_linewidth()[0] for bar in bars) == 4
        lines = [line for line in axes.lines if len(line.get_xdata()) > 1]
        assert all(line.get_linewidth() < 1 for line in lines)
        assert {tuple(line.get_xdata()) for line in lines} == {(1.1, 1.6, 2.0)}
        angry = next(line for line in lines if line.get_ydata()[-1] == 0.6)
        assert list(angry.get_ydata()) == [0.2, 0.6, 0.6]

    def test_uncertain_is_hatched(self, sound):
        """A segment of which the model is not certain is hatched, and the legend says so."""
        figure = drawn(sound, SEGMENTS)
        hatched = [one for one in figure.axes[1].collections if one.get_hatch()]
        assert [len(one.get_paths()) for one in hatched if one.get_paths()] == [1]
        words = [text.get_text() for text in figure.legends[0].get_texts()]
        assert words == [*LABELS, "uncertain"]

    def test_own_labels_have_colours(self, sound):
        """Labels that emovox does not know have colours of their own."""
        patches = drawn(sound, SEGMENTS).legends[0].get_patches()
        assert len({patch.get_facecolor() for patch in patches[:3]}) == 3

    @pytest.mark.parametrize(
        ("n", "told"), [(0, "0 segments"), (1, "1 segment"), (2, "2 segments")]
    )
    def test_title(self, sound, n, told):
        """The title says how many segments of speech there are."""
        final = [one for one in SEGMENTS if one.final][:n]
        assert drawn(sound, final)._suptitle.get_text().endswith(f"{told} of speech")

    def test_no_speech(self, sound):
        """A recording in which nobody speaks is drawn without emotions."""
        figure = drawn(sound, [])
        assert len(figure.axes) == 5
        assert figures.rendered(figure, "png")

    def test_long(self, talk):
        """Above five minutes shares of the speech are drawn, uncertain ones apart, and a clock."""
        long = np.tile(talk[: 5 * RATE], 80)
        moved = [
            segment(one.start + at, one.end + at, one.label, certain=one.certain)
            for at in range(0, 400, 5)
            for one in SEGMENTS
            if one.final
        ]
        figure = drawn(long, moved)
        assert figure.axes[2].get_title("left") == "Share of the speech in each 10 s"
        heights = [[bar.get_height() for bar in bars] for bars in figure.axes[2].containers]
        assert np.sum(heights, axis=0) == pytest.approx(1)
        assert np.mean(heights, axis=1) == pytest.approx([0.6, 0, 0, 0.4])
        ticks = [label.get_text() for label in figure.axes[4].get_xticklabels()]
        assert ticks[:2] == ["0:00", "1:00"]
        assert "6:40 min" in figure._suptitle.get_text()

    def test_channels(self, sound):
        """Each channel has panels of its own, all on the same time."""
        heard = [figures.Heard(sound, SEGMENTS[:3]), figures.Heard(sound, SEGMENTS[3:])]
        figure = figures.timeline(heard, "call")
        titles = [axes.get_title("left") for axes in figure.axes]
        assert [title for title in titles if "Waveform" in title] == [
            "Channel 0: Waveform",
            "Channel 1: Waveform",
        ]
        assert figure._suptitle.get_text().endswith("2 segments of speech")

    def test_same_bytes(self, sound):
        """The same recording gives the same file."""
        one, other = (figures.rendered(drawn(sound, SEGMENTS, "$a$"), "svg") for _ in range(2))
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

    def test_channels(self, talk, model_file, tmp_path, capsys):
        """Channels are drawn apart if asked for: a taller picture."""
        call = np.stack([talk[: 5 * RATE], talk[5 * RATE : 10 * RATE]], 1)
        soundfile.write(tmp_path / "call.wav", call, RATE)
        heights = []
        for how in ("mix", "separate"):
            out = tmp_path / f"{how}.png"
            words = ["plot", "timeline", str(tmp_path / "call.wav"), "--no-explain"]
            words += ["--channels", how, "--model", str(model_file), "--out", str(out)]
            assert run(words) == 0
            heights.append(int.from_bytes(out.read_bytes()[20:24], "big"))
        assert heights[1] > 1.7 * heights[0]

    def test_bad_file(self, tmp_path, capsys):
        """What is no recording is one line."""
        assert run(["plot", "timeline", str(tmp_path / "no.wav")]) == 1
        assert "no such file" in capsys.readouterr().err
