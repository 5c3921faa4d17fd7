"""`emovox plot`: pictures of a recording or of a corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import progress_bar, say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
