"""`emovox plot`: pictures of a recording or of a corpus."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import EmovoxError
from ..files import is_special
from .console import Progress, progress_bar, say, warn
from .inputs import Channels
from .outputs import check_outputs
from .predict import ModelOption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..audio import Samples
    from ..baseline import Baseline
    from ..prediction import Prediction
    from ..recognizer import Recognizer

plot_app = typer.Typer(help="Draw a recording or a corpus.", no_args_is_help=True)

Out = Annotated[
    Path | None,
    typer.Option(
        help="Output: NAME.png, NAME.svg, or NAME or a folder for both.", show_default=False
    ),
]


@dataclass(frozen=True)
class Pictures:
    """The files of one picture: `path` with a suffix for each of the formats.

    A picture may replace an older one of its kind, but no other file.
    """

    kind: str
    path: Path
    formats: tuple[str, ...]

    @classmethod
    def of(cls, kind: str, name: str, out: Path | None) -> "Pictures":
        """Choose PNG, SVG or both by the suffix of `out`; `name` is theirs by default."""
        if out is None or out.is_dir():
            return cls(kind, Path(name) if out is None else out / name, ("png", "svg"))
        suffix = out.suffix.lower()
        if suffix in (".png", ".svg"):
            return cls(kind, out.with_suffix(""), (suffix[1:],))
        return cls(kind, out, ("png", "svg"))

    @property
    def files(self) -> list[Path]:
        """The files that will be written."""
        return [self.path.with_name(f"{self.path.name}.{suffix}") for suffix in self.formats]

    def check(self, inputs: Iterable[Path | None]) -> None:
        """Refuse early to overwrite an input, or a file that is not such a picture."""
        from ..figures import is_of_kind

        check_outputs({f"--out {file.suffix}": file for file in self.files}, inputs)
        for file in self.files:
            if file.exists() and not is_special(file) and not is_of_kind(file, self.kind):
                raise EmovoxError(
                    f"{file}: exists and is not a picture by `emovox {self.kind}`; "
                    "choose another name with --out, or delete it"
                )

    def write(self, figure: "Figure") -> None:
        """Write the files, print their paths, and warn of each that replaced an older one."""
        from ..figures import save

        older = [file for file in self.files if file.exists()]
        for file in save(figure, self.path, self.formats, kind=self.kind):
            say(str(file))
            if file in older:
                warn(f"replaced {file}")


@plot_app.command("recording")
def plot_recording(
    file: Annotated[Path, typer.Argument(help="An audio file.", show_default=False)],
    out: Out = None,
) -> None:
    """Draw a recording: waveform, mel spectrogram, MFCC, chroma and spectral contrast."""
    from ..audio import load_audio
    from ..figures import recording

    pictures = Pictures.of("plot recording", f"{file.stem}.recording", out)
    pictures.check([file])
    pictures.write(recording(load_audio(file), file.name))


@plot_app.command("timeline")
def plot_timeline(
    file: Annotated[Path, typer.Argument(help="An audio file.", show_default=False)],
    out: Out = None,
    model: ModelOption = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="JSON", help="The speaker's baseline, from enrol.")
    ] = None,
    channels: Annotated[
        Channels, typer.Option(help="Mix the channels, or draw each as a speaker.")
    ] = Channels.MIX,
    explain: Annotated[
        bool, typer.Option(help="Draw how much each moment contributed to the label (slow).")
    ] = True,
) -> None:
    """Draw the emotions recognised along a recording, with loudness and pitch."""
    from ..baseline import Baseline
    from ..figures import Heard, timeline
    from ..model import find_model
    from ..recognizer import Recognizer

    pictures = Pictures.of("plot timeline", f"{file.stem}.timeline", out)
    pictures.check([file, baseline, find_model(model)])
    recognizer = Recognizer.load(model)
    speaker = Baseline.load(baseline) if baseline else None
    heard = []
    for audio in _speakers(file, separate=channels is Channels.SEPARATE):
        with progress_bar("listening") as progress:
            decisions = _decisions(recognizer, audio, speaker, explain, progress)
        heard.append(Heard(audio, decisions))
    pictures.write(timeline(heard, file.name))


def _speakers(file: Path, *, separate: bool) -> "list[Samples]":
    """Read a recording, as one or channel by channel: mono at 16 kHz, at most an hour."""
    from ..audio import load_audio
    from ..decoding import read_channels

    return read_channels(file) if separate else [load_audio(file)]


def _decisions(
    recognizer: "Recognizer",
    audio: "Samples",
    baseline: "Baseline | None",
    explain: bool,
    progress: Progress,
) -> "list[Prediction]":
    """Feed a recording to a stream; return all its decisions."""
    from ..audio import RATE

    stream = recognizer.stream(RATE, baseline=baseline, explain=explain)
    decisions: list[Prediction] = []
    blocks = [audio[first : first + RATE] for first in range(0, len(audio), RATE)]
    for done, block in enumerate(blocks, start=1):
        decisions += stream.feed(block)
        progress(done, len(blocks) + 1)
    return decisions + stream.flush()


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
    pictures = Pictures.of("plot corpus", f"{name}.corpus", out)
    pictures.check([path, *(utterance.file for utterance in utterances)])
    with progress_bar("measuring") as progress:
        measurements = measure(utterances, progress)
    pictures.write(corpus(measurements, name))
