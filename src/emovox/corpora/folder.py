"""Your own corpus as folders: one for each label, with speaker folders inside or around it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..audio import audio_files
from ..emotions import EMOTIONS
from ..errors import CorpusError
from .labelling import Labelling
from .scan import Progress, existing_folder, scan
from .utterance import Corpus, CorpusSpec, Parsed


def load_folder(
    name: str,
    root: Path,
    on_progress: Progress | None = None,
    labelling: Labelling = Labelling(),  # noqa: B008 (frozen)
) -> Corpus:
    """Load recordings sorted into folders named for emotions.

    Three layouts are read: `label/file`, `label/speaker/…/file`, and, where no folder at the top
    is named for an emotion, `speaker/label/…/file`. Labels are any words of
    `emovox.emotions.ALIASES`, or those that `labelling` knows.

    Parameters
    ----------
    name : str
        The name the corpus gets.
    root : Path
        The folder that holds the label folders.
    on_progress : callable, optional
        Called with (files read, total files).
    labelling : Labelling

    Returns
    -------
    corpus : Corpus
        Speakers are "" if no folder names them; sentences and language are "".

    Raises
    ------
    CorpusError
        If the folder is missing, holds no audio, or has no folder named for an emotion.
    """
    root = existing_folder(name, root)
    folders = {file.relative_to(root).parts[:-1] for file in audio_files(root)}
    if not folders:
        raise CorpusError(f"{name}: expected recordings below {root}, found no audio file")
    level = _level(folders, labelling)
    if level is None:
        raise CorpusError(
            f"{name}: expected folders named for emotions ({', '.join(EMOTIONS)}) in {root}, "
            f"found {_folder_names(folders)}"
        )
    words = {parts[level].lower() for parts in folders if parts[level:]}
    return scan(
        CorpusSpec(
            name=name,
            title="your own recordings",
            language="",
            labels={word: word for word in words if labelling.label(word)},
            parse=lambda path: _parse(path.parts[:-1], level),
        ),
        root,
        on_progress,
        labelling,
    )


def _level(folders: Iterable[tuple[str, ...]], labelling: Labelling) -> int | None:
    """Return how deep the folders named for emotions lie; None if there are none."""
    known = replace(labelling, own=False)
    for level in (0, 1):
        if any(known.label(parts[level]) for parts in folders if parts[level:]):
            return level
    return 0 if labelling.own and any(folders) else None


def _parse(folders: tuple[str, ...], level: int) -> Parsed | None:
    if len(folders) <= level:
        return None
    if level == 1:
        return Parsed(label=folders[1], speaker=folders[0])
    return Parsed(label=folders[0], speaker=folders[1] if len(folders) > 1 else "")


def _folder_names(folders: Iterable[tuple[str, ...]]) -> str:
    tops = sorted({parts[0] for parts in folders if parts})
    if not tops:
        return "audio files but no folder"
    return ", ".join(f'"{top}"' for top in tops[:5]) + (" and more" if len(tops) > 5 else "")
