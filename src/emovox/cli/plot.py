"""`emovox plot`: pictures of a recording or of a corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Progress, progress_bar, say
from .recognise import ModelOption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..audio import Samples
    from ..baseline import Baseline
    from ..prediction import Prediction
    from ..recognizer import Recognizer

plot_app = typer.Typer(help="Draw a recording or a corpus, to understand it.", no_args_is_help=True)

Out = Annotated[
    Path | None,
    typer.Option(
        help="Where to write: NAME.png, NAME.svg, or NAME or a folder for both.", show_default=False
    ),
]


@plot_app.command("recording")
def plot_recording(
    file: Annotated[Path, typer.Argument(help="An audio file.", show_default=False)],
    out: Out = None,
) -> None:
    """Draw a recording: waveform, mel spectrogram, MFCC, chroma and spectral contrast."""
    from ..audio import load_audio
    from ..figures import recording

    figure = recording(load_audio(file), file.name)
    _write(figure, out, default=file.stem)


@plot_app.command("timeline")
def plot_timeline(
    file: Annotated[Path, typer.Argument(help="An audio file.", show_default=False)],
    out: Out = None,
    model: ModelOption = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="JSON", help="The speaker's baseline, from enrol.")
    ] = None,
    explain: Annotated[
        bool, typer.Option(help="Draw which moments carried each label; this takes longest.")
    ] = True,
) -> None:
    """Draw a recording as it was heard: emotions, labels, loudness, pitch, what carried them."""
    from ..audio import load_audio
    from ..baseline import Baseline
    from ..figures import timeline
    from ..recognizer import Recognizer

    recognizer = Recognizer.load(model)
    known = Baseline.load(baseline) if baseline else None
    audio = load_audio(file)
    with progress_bar("listening") as progress:
        predictions = _heard(recognizer, audio, known, explain, progress)
    _write(timeline(audio, predictions, file.name), out, default=file.stem)


def _heard(
    recognizer: "Recognizer",
    audio: "Samples",
    baseline: "Baseline | None",
    explain: bool,
    progress: Progress,
) -> "list[Prediction]":
    """Feed a recording to a stream, and explain what it says in the end."""
    from ..audio import RATE
    from ..explanation import explained

    stream = recognizer.stream(RATE, baseline=baseline)
    heard: list[Prediction] = []
    half = RATE // 2  # samples: in half a second at most one part can end
    blocks = [audio[first : first + half] for first in range(0, len(audio), half)]
    for done, block in enumerate((*blocks, None), start=1):
        before = stream.baseline  # that the final part, if there is one, was heard with
        for one in stream.feed(block) if block is not None else stream.flush():
            if explain and one.final:
                clip = audio[round(one.start * RATE) : round(one.end * RATE)]
                one = explained(recognizer, clip, one, before)
            heard.append(one)
        progress(done, len(blocks) + 1)
    return heard


@plot_app.command("corpus")
def plot_corpus(
    source: Annotated[
        str, typer.Argument(metavar="NAME=PATH", help="A corpus.", show_default=False)
    ],
    out: Out = None,
) -> None:
    """Draw a corpus: clips by emotion and speaker, durations, loudness, pitch, mean spectrum."""
    from ..corpora import load_corpus, parse_source
    from ..figures import corpus, measure

    name, path = parse_source(source)
    with progress_bar("reading") as progress:
        utterances = load_corpus(name, path, on_progress=progress).utterances
    with progress_bar("measuring") as progress:
        measurements = measure(utterances, progress)
    _write(corpus(measurements, name), out, default=name)


def _write(figure: "Figure", out: Path | None, default: str) -> None:
    """Write PNG, SVG or both, as the suffix says, and print the paths."""
    from ..figures import save

    target = Path(default) if out is None else out / default if out.is_dir() else out
    suffix = target.suffix.lower()
    if target == out and suffix in (".png", ".svg"):
        written = save(figure, target.with_suffix(""), (suffix[1:],))
    else:
        written = save(figure, target)
    for path in written:
        say(str(path))
