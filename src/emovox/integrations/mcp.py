"""A server of the Model Context Protocol: assistants ask how recordings in some folders sound."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from ..baseline import Baseline
from ..errors import AudioError, ConfigError, EmovoxError, one_line, optional
from ..measuring import measure_recording
from ..prediction import Prediction, summarise
from ..recognizer import Recognizer
from ..version import __version__

with optional("mcp"):
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

__all__ = ["make_server"]

_Tool = TypeVar("_Tool", bound=Callable[..., dict[str, Any]])
_INSTRUCTIONS = (
    "Recognises how recorded speech sounds. It hears the tone of voice, not the words, and cannot "
    "tell what a person feels. Where `certain` is false the label is only a guess: say so. A "
    "speaker's baseline, made by `emovox enrol`, makes the answers about this speaker better."
)


def make_server(recognizer: Recognizer, folders: Sequence[Path]) -> MCPServer[Any]:
    """Return a server whose tools read files in these folders alone.

    Raises
    ------
    ConfigError
        If one of them is not a folder.
    """
    tools = _Tools(recognizer, _Folders(folders))
    server = MCPServer(
        "emovox", version=__version__, instructions=_INSTRUCTIONS, log_level="WARNING"
    )
    for tool in (tools.predict_file, tools.segments, tools.compare, tools.measure):
        server.tool()(_in_one_line(tool))
    return server


class _Folders:
    """The folders whose files may be read."""

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(f"expected a folder to read recordings from, got {folder}")
        self._folders = [folder.resolve() for folder in folders]

    def find(self, path: str) -> Path:
        """Return where a path leads, all links followed; a relative one is tried in each folder.

        Raises
        ------
        AudioError
            If that is outside the folders; whether there is anything is not told.
        """
        try:
            found = [(folder / path).resolve() for folder in self._folders]
        except (OSError, RuntimeError, ValueError):  # too long, a circle of links, a null byte
            raise AudioError("expected the path of a file", file=path) from None
        inside = [one for one in found if any(map(one.is_relative_to, self._folders))]
        if not inside:
            allowed = ", ".join(map(str, self._folders))
            raise AudioError(f"expected a file in {allowed}", "no permission", path)
        return next((one for one in inside if one.exists()), inside[0])


class _Tools:
    """The tools; their descriptions are read by language models."""

    def __init__(self, recognizer: Recognizer, folders: _Folders) -> None:
        self._recognizer, self._folders = recognizer, folders

    def predict_file(
        self, path: str, baseline: str | None = None, explain: bool = False, prosody: bool = False
    ) -> dict[str, Any]:
        """Recognise how a recording of one speaker sounds as a whole.

        `baseline` is the path of a speaker's baseline (JSON). `explain` adds which moments carried
        the answer, `prosody` adds pitch, loudness, tempo and pauses.
        """
        return self._recognizer.predict(
            self._folders.find(path),
            baseline=self._baseline(baseline),
            explain=explain,
            prosody=prosody,
        ).to_dict()

    def segments(self, path: str, baseline: str | None = None) -> dict[str, Any]:
        """Recognise each segment of speech in a recording of any length, and sum them up.

        `start` and `end` are seconds. `shares` is the share of the speech time of each label,
        `turning_points` tell where one emotion gave way to another.
        """
        found = self._recognizer.segments(
            self._folders.find(path), baseline=self._baseline(baseline)
        )
        predictions = list(found)
        return {
            "seconds": round(found.seconds, 3),
            "segments": [_brief(one) for one in predictions],
            "summary": summarise(predictions).to_dict(),
            "warning": str(found.broken or ""),
        }

    def compare(
        self, path: str, other: str | None = None, baseline: str | None = None
    ) -> dict[str, Any]:
        """Compare two recordings, or what a recording is with and without a speaker's baseline.

        Give `other`, the path of the second recording, or `baseline`, that of a speaker's baseline.
        `score_differences` are the second's scores minus the first's, `prosody_differences` its
        pitch (semitones), loudness (dB) and tempo minus the first's.
        """
        if (other is None) == (baseline is None):
            raise ConfigError("expected either `other` or `baseline` to compare with")
        first = self._recognizer.predict(self._folders.find(path), prosody=True)
        second = self._recognizer.predict(
            self._folders.find(other or path), baseline=self._baseline(baseline), prosody=True
        )
        assert first.prosody is not None
        assert second.prosody is not None
        return {
            "first": _brief(first),
            "second": _brief(second),
            "score_differences": {
                label: round(score - first.scores[label], 4)
                for label, score in second.scores.items()
            },
            "prosody_differences": second.prosody.relative_to(first.prosody),
        }

    def measure(self, path: str) -> dict[str, Any]:
        """Measure pitch, loudness, tempo and pauses of a recording; infers no emotion."""
        return measure_recording(self._folders.find(path)).to_dict()

    def _baseline(self, path: str | None) -> Baseline | None:
        return None if path is None else Baseline.load(self._folders.find(path))


def _brief(prediction: Prediction) -> dict[str, Any]:
    """Return what a language model needs of a prediction."""
    keys = ("start", "end", "label", "score", "certain", "level")
    fields = prediction.to_dict()
    return {key: fields[key] for key in keys}


def _in_one_line(tool: _Tool) -> _Tool:
    """Return a tool whose errors are told to the assistant in one line."""

    @wraps(tool)
    def call(**arguments: Any) -> dict[str, Any]:
        try:
            return tool(**arguments)
        except (EmovoxError, OSError, MemoryError) as error:
            raise ToolError(one_line(str(error) or "out of memory")) from None

    return call  # type: ignore[return-value] # of the same signature, as `wraps` tells
