"""How a user's data names things: columns of other names, words mapped to labels, own labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..emotions import EMOTIONS, canonical, is_label, is_own, plain
from ..errors import ConfigError, one_line

ANY = "any"  # among labels: all that the data has
REQUIRED = ("file", "emotion")
OPTIONAL = ("speaker", "sentence", "split", "subset", "sex", "language", "age")
COLUMNS = (*REQUIRED, *OPTIONAL)


@dataclass(frozen=True)
class Labelling:
    """What the columns and the labels of a corpus are called.

    Parameters
    ----------
    columns : mapping of str to str
        The table's own name for each of some columns of `COLUMNS`, such as {"file": "path"}.
    words : mapping of str to str
        The label that each of some words stands for, such as {"furious": "angry"}. A word may be
        an emotion, and then stands for all other words for it, too.
    own : bool
        Whether other words than those for the nine emotions are labels as they are.

    Raises
    ------
    ConfigError
        If a column is unknown or there twice, or a word is mapped to what cannot be a label.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    own: bool = False

    def __post_init__(self) -> None:
        """Refuse columns that no table has, and labels that no model can have."""
        for column in self.columns:
            if column not in COLUMNS:
                expected = ", ".join(COLUMNS)
                raise ConfigError(f"columns: expected {expected}, got {one_line(column)!r}")
        names = [plain(name) for name in self.columns.values()]
        if twice := [name for name in names if not name or names.count(name) > 1]:
            raise ConfigError(
                f"columns: expected a different column of the table for each, got {twice[0]!r}"
            )
        for label in self.words.values():
            self._check(label)

    def _check(self, label: str) -> None:
        if label in EMOTIONS or (self.own and is_label(label)):
            return
        hint = "" if self.own else "; for labels of your own add --labels any"
        wanted = "a label of letters and digits in lower case" if self.own else ", ".join(EMOTIONS)
        raise ConfigError(f"map: expected {wanted}, got {one_line(label)!r}{hint}")

    def label(self, word: str) -> str | None:
        """Return the label that a word of the data stands for, None if it is none."""
        mapped = {plain(key): label for key, label in self.words.items()}
        name = plain(word)
        emotion = canonical(word)
        if name in mapped:
            return mapped[name]
        if emotion is not None:
            return mapped.get(emotion, emotion)
        return name if self.own and is_label(name) else None

    def maps(self, word: str) -> bool:
        """Tell whether a word is mapped by its own name."""
        return plain(word) in map(plain, self.words)


def labelling(
    columns: Mapping[str, str], words: Mapping[str, str], labels: Iterable[str]
) -> Labelling:
    """Return the labelling for a choice of labels: with one beyond the nine, or "any", own ones."""
    return Labelling(columns, words, own=any(map(is_own, labels)))


def only(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels to choose; empty for all, which "any" asks for.

    Raises
    ------
    ConfigError
        If one cannot be a label, or "any" is not alone.
    """
    for label in labels:
        if not is_label(label):
            raise ConfigError(
                f"labels: expected labels of letters and digits in lower case, got {label!r}"
            )
    if ANY in labels and len(labels) > 1:
        raise ConfigError(f"labels: expected {ANY} alone, got {', '.join(labels)}")
    return () if ANY in labels else tuple(labels)
