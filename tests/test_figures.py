"""Pictures: what they hold, that they are the same each time, and that everybody can read them."""

import itertools
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import soundfile

from emovox import figures
from emovox.audio import RATE
from emovox.corpora.utterance import Utterance
from emovox.emotions import EMOTIONS
from emovox.errors import CorpusError, EmovoxError
from emovox.figures.measurements import MAX_FRAMES, frames
from emovox.figures.style import DARK_COLOURS, EMOTION_MARKERS

LABELS = ("angry", "happy", "sad")
# Machado et al. 2009, severity 1.0: what is left of linear RGB.
SIGHTS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def history(n=12, best=8):
    """Losses that fall until the best epoch and rise after it."""
    return [
        {
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "train_accuracy": 1 - 0.8 / epoch,
            "val_loss": 0.2 + abs(epoch - best) / 10,
            "val_accuracy": 0.9 - abs(epoch - best) / 50,
        }
        for epoch in range(1, n + 1)
    ]


def tone(hertz, seconds=1.0, amplitude=0.5):
    """A sine of one pitch."""
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(
        np.float32
    )


def write_corpus(folder, n_speakers, n_clips=1, emotions=LABELS):
    """Tones as utterances: a pitch an emotion, a level a speaker."""
    utterances = []
    for speaker, emotion, clip in itertools.product(range(n_speakers), emotions, range(n_clips)):
        file = folder / f"S{speaker}_{emotion}_{clip}.wav"
        pitch = 120 + 80 * emotions.index(emotion)
        soundfile.write(file, tone(pitch, 0.3, 0.5 / (1 + speaker)), RATE)
        sex = "female" if speaker % 2 else "male"
        utterances.append(Utterance(file, emotion, f"S{speaker:02}", "", "own", "", sex, file.name))
    return utterances


def texts(figure):
    """Every text of a figure."""
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def perceived(colour, sight):
    """A colour in Oklab (Ottosson 2020) as an eye of this kind sees it."""
    encoded = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    axes = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return axes @ np.cbrt(cones @ np.clip(SIGHTS[sight] @ linear, 0, 1))


@pytest.mark.parametrize("sight", SIGHTS)
def test_emotion_colours_are_told_apart(sight):
    """Any two emotions differ clearly in colour, for colour-blind people too."""
    colours = {label: perceived(figures.EMOTION_COLOURS[label], sight) for label in EMOTIONS}
    for (one, a), (other, b) in itertools.combinations(colours.items(), 2):
        # About six times what is just noticeable; black to white is 1.
        assert np.linalg.norm(a - b) > 0.12, f"{one} and {other}"


@pytest.mark.parametrize("sight", SIGHTS)
def test_other_colours_are_told_apart(sight):
    """Own labels have colours that differ from one another, and from those of the emotions."""
    own = [f"own {number}" for number in range(8)]
    colours = {
        label: perceived(colour, sight)
        for label, colour in figures.colours_of([*EMOTIONS, *own]).items()
    }
    for (one, a), (other, b) in itertools.combinations(colours.items(), 2):
        assert np.linalg.norm(a - b) > 0.06, f"{one} and {other}"


@pytest.mark.parametrize("sight", SIGHTS)
def test_emotion_colours_on_a_dark_page(sight):
    """On a dark page they are told apart as well, and stand out, but for boredom's outline."""
    colours = {label: perceived(DARK_COLOURS[label], sight) for label in EMOTIONS}
    for (one, a), (other, b) in itertools.combinations(colours.items(), 2):
        assert np.linalg.norm(a - b) > 0.1, f"{one} and {other}"
    faint = [label for label in EMOTIONS if contrast(DARK_COLOURS[label], "#1b1e24") < 3]
    assert faint == ["boredom"]


def contrast(one, other):
    """The contrast of two colours as WCAG defines it, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    """The relative luminance of a colour, 0 to 1."""
    encoded = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def test_every_emotion_has_its_own_colour_and_marker():
    """Colour is never alone: markers differ as well."""
    assert (
        set(figures.EMOTION_COLOURS) == set(DARK_COLOURS) == set(EMOTION_MARKERS) == set(EMOTIONS)
    )
    assert len(set(EMOTION_MARKERS.values())) == len(EMOTIONS)


@pytest.mark.parametrize("dark", [False, True])
def test_training_curves_mark_the_best_epoch(dark):
    """Two panels with units; the epoch of lowest validation loss is named and marked."""
    figure = figures.training_curves(history(best=8), dark=dark)
    loss, accuracy = figure.axes
    assert "best epoch: 8" in texts(figure)
    for axes, value in ((loss, 0.2), (accuracy, 90.0)):
        stars = [line for line in axes.lines if line.get_marker() == "*"]
        assert [line.get_xydata().ravel().tolist() for line in stars] == [[8, pytest.approx(value)]]
    assert (loss.get_xlabel(), accuracy.get_ylabel()) == ("epoch", "right answers (%)")


def test_training_curves_mark_nothing_that_was_not_chosen():
    """Where the last epoch is used whatever its loss, no epoch is marked as the best."""
    figure = figures.training_curves(history(best=8), chosen=False)
    assert not any("best" in text for text in texts(figure))
    assert all(len(axes.lines) == 2 for axes in figure.axes)


def test_training_curves_show_small_losses():
    """A loss that falls far is drawn on a logarithmic axis, another on a linear one."""
    rows = history()
    assert figures.training_curves(rows).axes[0].get_yscale() == "linear"
    rows[-1]["train_loss"] = 0.001
    assert figures.training_curves(rows).axes[0].get_yscale() == "log"


def test_confusion_shows_counts_and_shares():
    """Each cell holds its count and its share of the row; a row without recordings is empty."""
    figure = figures.confusion(LABELS, [[3, 1, 0], [0, 0, 0], [0, 0, 5]])
    shown = texts(figure)
    assert "75.0 %\n3" in shown
    assert "25.0 %\n1" in shown
    assert "100.0 %\n5" in shown
    assert "nan" not in shown


SCORES = [
    {"low": 0.0, "high": 0.5, "n": 0, "score": None, "accuracy": None},
    {"low": 0.5, "high": 0.75, "n": 1_200, "score": 0.6, "accuracy": 0.8},
    {"low": 0.75, "high": 1.0, "n": 3, "score": 0.9, "accuracy": 0.0},
]
CURVE = [{"coverage": c, "accuracy": 1.3 - c / 2} for c in (1.0, 0.9, 0.8, 0.7)]


@pytest.mark.parametrize("dark", [False, True])
def test_reliability_shows_filled_bins_and_all_counts(dark):
    """A point for each bin with answers, the diagonal, the counts below, the error in the title."""
    figure = figures.reliability(SCORES, 0.204, dark=dark)
    top, below = figure.axes
    diagonal, points = (line.get_xydata().tolist() for line in top.lines)
    assert diagonal == [[0, 0], [100, 100]]
    assert points == [[60, pytest.approx(80)], [90, 0]]
    assert [bar.get_height() for bar in below.patches] == [0, 1_200, 3]
    assert {"1,200", "3"} <= {text.get_text() for text in below.texts}
    assert "calibration error 20.4 points" in texts(figure)


def test_coverage_marks_80_percent_and_the_threshold():
    """The share answered falls to the right; 80 % and the model's own threshold are read out."""
    figure = figures.coverage(CURVE, (0.874, 0.608))
    (axes,) = figure.axes
    left, right = axes.get_xlim()
    assert left > 100 > 70 > right
    marks = {line.get_marker(): line.get_xydata()[0].tolist() for line in axes.lines[2:]}
    assert marks == {"o": pytest.approx([80, 90]), "*": pytest.approx([87.4, 60.8])}
    shown = texts(figure)
    assert "surest 80 %: 90.0 % right" in shown
    assert "its own threshold: 87.4 % answered, 60.8 % right" in shown


def test_coverage_of_a_model_that_is_never_certain():
    """Without a certain answer there is no threshold to mark; no axis goes far beyond 100 %."""
    curve = [{**point, "accuracy": 1.0} for point in CURVE]
    figure = figures.coverage(curve)
    assert "threshold" not in texts(figure)
    assert figure.axes[0].get_ylim()[1] <= 103


def test_recording_has_one_time_axis_in_seconds():
    """All five panels span the recording's seconds."""
    figure = figures.recording(tone(220, 1.5), "a.wav")
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    titles = [axes.get_title(loc="left").split()[0] for axes in panels]
    assert titles == ["Waveform", "Mel", "MFCC", "Chroma", "Spectral"]
    assert all(axes.get_xlim() == (0, 1.5) for axes in panels)
    assert panels[-1].get_xlabel() == "time (s)"


def test_recording_features_find_a_tone():
    """A tone of 440 Hz is an A in every frame, and sits at the right place of the mel picture."""
    features = frames(tone(440))
    assert (features.chroma.argmax(axis=0) == 9).mean() > 0.9
    figure = figures.recording(tone(1_000), "tone")
    mel = next(axes for axes in figure.axes if axes.get_title(loc="left") == "Mel spectrogram")
    strongest = int(mel.images[0].get_array().mean(axis=1).argmax())
    tick = dict(zip((t.get_text() for t in mel.get_yticklabels()), mel.get_yticks(), strict=True))
    assert abs(tick["1"] - strongest) <= 0.75


@pytest.mark.parametrize("audio", [tone(200, 0.005), np.zeros(800, dtype=np.float32), tone(90, 90)])
def test_recording_of_any_length(audio, tmp_path):
    """Very short, silent and long recordings are drawn too, the long one with a larger step."""
    assert frames(audio).mel.shape[1] <= MAX_FRAMES + 1
    assert figures.save(figures.recording(audio, "odd $x_1$"), tmp_path / "odd", ("png",))


def test_measure_finds_level_pitch_and_spectrum(tmp_path):
    """Tones are measured as loud, high and long as they were made."""
    measured = figures.measure(write_corpus(tmp_path, 2))
    assert measured.emotions == LABELS
    assert measured.counts.tolist() == [[1, 1]] * 3
    assert measured.seconds == pytest.approx(0.3)
    assert measured.pitch_hz[:3] == pytest.approx([120, 200, 280], rel=0.02)
    expected = 20 * np.log10(0.5 / np.sqrt(2))
    assert measured.loudness_db == pytest.approx([expected] * 3 + [expected - 6.02] * 3, abs=0.3)
    peaks = measured.band_hz[measured.spectra_db.argmax(axis=1)]
    assert np.abs(peaks[:3] - [120, 200, 280]).max() < 110


def test_measure_takes_an_even_sample(tmp_path, monkeypatch):
    """Of a big corpus every speaker and emotion is measured alike, and the figure says so."""
    monkeypatch.setattr("emovox.figures.measurements.MAX_CLIPS", 12)
    utterances = write_corpus(tmp_path, 2, n_clips=5)
    calls = []
    measured = figures.measure(utterances, lambda done, total: calls.append((done, total)))
    assert sorted(measured.emotion) == sorted(LABELS * 4)
    assert measured.counts.sum() == 30
    assert calls == [(done, 12) for done in range(1, 13)]
    assert "30 clips, 2 speakers (12 clips measured)" in texts(figures.corpus(measured, "own"))


def test_measure_leaves_out_what_cannot_be_read(tmp_path):
    """Broken files are counted; a corpus of nothing else is refused."""
    utterances = write_corpus(tmp_path, 1)
    utterances[0].file.write_text("no audio")
    measured = figures.measure(utterances)
    assert (measured.n_unreadable, len(measured.emotion)) == (1, 2)
    assert "1 unreadable" in texts(figures.corpus(measured, "own"))
    with pytest.raises(CorpusError, match="none of 1"):
        figures.measure(utterances[:1])


def test_measure_of_silence(tmp_path):
    """A silent clip has a length but no pitch, and is drawn without a warning."""
    utterances = write_corpus(tmp_path, 1)
    soundfile.write(utterances[0].file, np.zeros(8_000), RATE)
    measured = figures.measure(utterances)
    assert np.isnan(measured.pitch_hz[0])
    assert measured.seconds[0] == 0.5
    figures.save(figures.corpus(measured, "own"), tmp_path / "silent", ("png",))


@pytest.mark.parametrize("n_speakers", [1, 24, 40, 60])
def test_corpus_labels_do_not_overlap(tmp_path, n_speakers):
    """From one speaker to many, no two names on an axis lie on each other."""
    figure = figures.corpus(figures.measure(write_corpus(tmp_path, n_speakers)), "own")
    figure.draw_without_rendering()
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            boxes = [
                label.get_window_extent()
                for label in labels
                if label.get_text() and label.get_visible()
            ]
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


def test_save_is_deterministic_and_clean(tmp_path):
    """The same figure gives the same bytes; nothing but the two files is left."""
    first = figures.save(figures.training_curves(history()), tmp_path / "run.v1")
    before = [path.read_bytes() for path in first]
    again = figures.save(figures.training_curves(history()), tmp_path / "run.v1")
    assert [path.name for path in again] == ["run.v1.png", "run.v1.svg"]
    assert [path.read_bytes() for path in again] == before
    assert sorted(tmp_path.iterdir()) == sorted(first)
    assert before[0].startswith(b"\x89PNG")
    assert ElementTree.fromstring(before[1]).tag.endswith("svg")
    assert b"dc:date" not in before[1]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_figure_tells_its_kind(tmp_path, suffix):
    """A saved figure is known as of its kind, and of no other, as no other file is."""
    figure = figures.training_curves(history())
    (path,) = figures.save(figure, tmp_path / "a", (suffix,), kind="curves")
    assert figures.is_of_kind(path, "curves")
    assert not figures.is_of_kind(path, "curve")
    (plain,) = figures.save(figure, tmp_path / "b", (suffix,))
    assert not figures.is_of_kind(plain, "curves")


def test_save_to_where_one_cannot_write(tmp_path):
    """A folder that is a file gives one plain error."""
    (tmp_path / "file").touch()
    with pytest.raises(EmovoxError, match="cannot be written"):
        figures.save(figures.confusion(LABELS, np.eye(3, dtype=int)), tmp_path / "file" / "a")


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """A disk that fills up leaves the file of before, and no rest of the new one."""
    figures.write_file(tmp_path / "a.txt", b"old")

    def full(path, data):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EmovoxError, match="No space left"):
        figures.write_file(tmp_path / "a.txt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"old"


def test_matplotlib_is_loaded_on_use_only():
    """Importing the figures loads neither matplotlib nor librosa, and drawing never pyplot."""
    code = (
        "import sys, emovox.figures as f; "
        "assert not {'matplotlib', 'librosa', 'torch'} & set(sys.modules); "
        "f.rendered(f.confusion(['a'], [[1]]), 'png'); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
