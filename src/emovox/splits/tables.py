"""Splits and groups of speakers as CSV tables that anyone can use again."""

import csv
import io
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..corpora.scan import absolute
from ..corpora.table import Row, read_csv
from ..corpora.utterance import Utterance
from ..errors import CorpusError, SplitError
from ..files import write_text
from ..tracks import csv_table
from .fold import OTHER_SPEAKERS, PARTS, SAME_SPEAKERS, Fold, check_fold, place, speaker_of

COLUMNS = ("file", "emotion", "speaker", "sentence", "subset", "corpus", "digest")


def write_split(fold: Fold, path: str | os.PathLike[str]) -> None:
    """Write a fold as a CSV table with the columns of `COLUMNS`, sorted by corpus and file.

    Raises
    ------
    SplitError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        write_text(path, _text_of(fold))
    except OSError as error:
        raise SplitError(f"cannot write the split to {path}: {error.strerror}") from None


def count_changes(fold: Fold, path: str | os.PathLike[str]) -> int:
    """Count the recordings by which a fold differs from a table written by `write_split`.

    Recordings are compared by content, labels and part, not by path.

    Raises
    ------
    SplitError
        If the table cannot be read.
    """
    try:
        before = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SplitError(f"cannot read the split {path}: {error}") from None
    then = _contents(before)
    now = _contents(_text_of(fold).encode(errors="backslashreplace").decode())
    return max((now - then).total(), (then - now).total())


def _text_of(fold: Fold) -> str:
    clips = [(clip, part) for part in PARTS for clip in getattr(fold, part)]
    clips.sort(key=lambda one: place(one[0]))
    rows = [
        (one.file.as_posix(), one.emotion, one.speaker, one.sentence, part, one.corpus, one.digest)
        for one, part in clips
    ]
    return csv_table(COLUMNS, rows)


def _contents(table: str) -> "Counter[tuple[str, ...]]":
    """Count the rows of a split table by all columns but the file's path."""
    place_of_file = COLUMNS.index("file")
    rows = csv.reader(io.StringIO(table, newline=""))
    return Counter((*row[:place_of_file], *row[place_of_file + 1 :]) for row in rows)


def read_split(
    path: str | os.PathLike[str], utterances: Iterable[Utterance], protocol: str
) -> Fold:
    """Read a fold from a table written by `write_split` or by hand.

    A row is matched to an utterance by its digest, else by its file (as written or from the
    table's folder), else by the file's name without suffix if that is unambiguous: a table made
    from WAV files also serves their FLAC copies elsewhere. Needed columns: file, subset.

    Raises
    ------
    SplitError
        If the table is malformed, names recordings that are not there, leaves some out,
        contradicts itself, or breaks the protocol's promise.
    """
    path = Path(path)
    clips = tuple(sorted(utterances, key=place))
    parts = _parts_of(_read_table(path, ("file", "subset")), path, clips)
    chosen = {
        part: tuple(c for c, p in zip(clips, parts, strict=True) if p == part) for part in PARTS
    }
    apart = {speaker_of(clip) for clip in chosen["train"]}.isdisjoint(
        map(speaker_of, chosen["val"])
    )
    words = OTHER_SPEAKERS if apart and all(clip.speaker for clip in clips) else SAME_SPEAKERS
    fold = Fold(path.stem, protocol, **chosen, validation=words)
    check_fold(fold)
    return fold


def read_groups(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read groups of speakers from a CSV table with the columns group and speaker.

    Raises
    ------
    SplitError
        If the table is missing or malformed, or a cell is empty.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for line, row in _read_table(Path(path), ("group", "speaker")):
        if not row["group"] or not row["speaker"]:
            raise SplitError(f"expected a group and a speaker in line {line} of {path}")
        groups[row["group"]].append(row["speaker"])
    return dict(groups)


def _read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    try:
        return read_csv("split", path, columns)
    except CorpusError as error:
        raise SplitError(str(error)) from None


def _parts_of(rows: Sequence[Row], path: Path, clips: Sequence[Utterance]) -> list[str]:
    """Return the part of each clip according to the table."""
    finders = _finders(path.parent, clips)
    parts = [""] * len(clips)
    unknown = []
    for line, row in rows:
        if row["subset"] not in PARTS:
            raise SplitError(
                f'expected train, val or test in line {line} of {path}, got "{row["subset"]}"'
            )
        matches = next((hits for find in finders if (hits := find(row))), [])
        if not matches:
            unknown.append(row["file"])
        for index in matches:
            if parts[index] not in ("", row["subset"]):
                raise SplitError(
                    f"{path} puts {clips[index].file} in {parts[index]} and in {row['subset']}"
                )
            parts[index] = row["subset"]
    left = [clip.file for clip, part in zip(clips, parts, strict=True) if not part]
    for files, fault in ((unknown, "are in none of the corpora"), (left, "are not in the table")):
        if files:
            raise SplitError(f"{path}: {len(files):,} recordings {fault}, for example {files[0]}")
    return parts


def _finders(
    folder: Path, clips: Sequence[Utterance]
) -> list[Callable[[dict[str, str]], list[int]]]:
    """Make the ways to find a row's clips, the surest first; each gives positions in `clips`."""
    by_digest, by_file, by_stem = (defaultdict(list) for _ in range(3))
    for index, clip in enumerate(clips):
        by_digest[clip.digest or None].append(index)
        by_file[clip.file].append(index)
        by_stem[clip.file.stem].append(index)

    def same_file(row: dict[str, str]) -> list[int]:
        try:
            return by_file.get(absolute("split", folder / row["file"]), [])
        except CorpusError:  # written elsewhere, where such a path can be
            return []

    def same_stem(row: dict[str, str]) -> list[int]:
        hits = by_stem.get(Path(row["file"]).stem, [])
        corpus = row.get("corpus")
        hits = [index for index in hits if not corpus or clips[index].corpus == corpus]
        return hits if len(hits) == 1 else []

    return [
        lambda row: by_digest.get(row.get("digest", ""), []),
        same_file,
        same_stem,
    ]
