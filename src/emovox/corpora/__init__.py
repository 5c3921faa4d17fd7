"""Corpora: published ones by name, and your own as folders or tables."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import CorpusError
from .contents import describe
from .folder import load_folder
from .labelling import Labelling
from .published import SPECS
from .scan import scan
from .table import load_table
from .utterance import Corpus, CorpusSpec, Download, Parsed, Problem, Utterance

__all__ = [
    "SPECS",
    "Corpus",
    "CorpusSpec",
    "Download",
    "Labelling",
    "Parsed",
    "Problem",
    "Utterance",
    "describe",
    "load_corpora",
    "load_corpus",
    "parse_source",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def load_corpus(
    name: str,
    path: str | os.PathLike[str],
    *,
    labelling: Labelling = Labelling(),  # noqa: B008 (frozen)
    on_progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Load a published corpus by its name, or your own.

    Parameters
    ----------
    name : str
        A name of `SPECS`, or any other name for your own corpus.
    path : path
        The folder of the recordings, or a `.csv` table of them (see `load_table`).
    labelling : Labelling
        What the columns of a table and the labels are called; default: as in the documentation.
    on_progress : callable, optional
        Called with (files read, total files).

    Returns
    -------
    corpus : Corpus
        Utterances sorted by path, and the problems found.

    Raises
    ------
    CorpusError
        If the path is missing, holds no recording of the corpus or is malformed.
    """
    path = Path(path)
    if spec := SPECS.get(name):
        return scan(spec, path, on_progress, labelling)
    if path.suffix.lower() == ".csv":
        return load_table(name, path, on_progress, labelling)
    try:
        return load_folder(name, path, on_progress, labelling)
    except CorpusError as error:
        raise CorpusError(
            f'{error}; "{name}" is not a published corpus (expected one of {", ".join(SPECS)})'
        ) from None


def load_corpora(
    sources: Sequence[str],
    *,
    labelling: Labelling = Labelling(),  # noqa: B008 (frozen)
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Corpus]:
    """Load several corpora, each given as "NAME=PATH".

    Raises
    ------
    CorpusError
        As `load_corpus`; also if two corpora have the same name.
    """
    parsed = [parse_source(source) for source in sources]
    names = [name for name, _ in parsed]
    for name in names:
        if names.count(name) > 1:
            raise CorpusError(f'two corpora are named "{name}"; give each its own name')
    return [
        load_corpus(name, path, labelling=labelling, on_progress=on_progress)
        for name, path in parsed
    ]


def parse_source(source: str) -> tuple[str, Path]:
    """Split "NAME=PATH" into name and path.

    Examples
    --------
    >>> parse_source("tess=data/tess")[0]
    'tess'

    Raises
    ------
    CorpusError
        If it is not of that form.
    """
    name, equals, path = source.partition("=")
    if not equals or not path or not _NAME.fullmatch(name):
        raise CorpusError(
            f'expected a corpus as NAME=PATH, for example tess=data/tess, got "{source}"; a name '
            "is made of letters, digits, dots, hyphens and underscores"
        )
    return name.lower() if name.lower() in SPECS else name, Path(path)
