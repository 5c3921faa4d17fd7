"""The label vocabulary: nine emotions, the words of corpora that mean them, and words of one's own.

Labels of corpora differ in spelling ("fearful", "fear", "A"), not in kind. Each corpus maps its
own codes to this vocabulary; a user's own data may use any of the words in `ALIASES`. A model may
also have labels beyond the nine: any that `is_label`.
"""

import re
from types import MappingProxyType

EMOTIONS = (
    "angry",
    "boredom",
    "calm",
    "disgust",
    "fear",
    "happy",
    "neutral",
    "sad",
    "surprise",
)

ALIASES = MappingProxyType(
    {
        "angry": ("anger", "ang", "hot anger", "rage"),
        "boredom": ("bored", "bor"),
        "calm": ("calmness", "calmly", "relaxed"),
        "disgust": ("disgusted", "dis"),
        "fear": ("fearful", "fea", "afraid", "anxiety", "anxious", "scared"),
        "happy": ("happiness", "hap", "joy", "joyful"),
        "neutral": ("neu", "normal"),
        "sad": ("sadness", "unhappy"),
        "surprise": (
            "surprised",
            "sur",
            "ps",
            "pleasant surprise",
            "pleasant surprised",
            "pleasantly surprised",
        ),
    }
)
"""Other words for each emotion; case, hyphens and underscores do not matter."""

NEAREST = MappingProxyType({"boredom": "neutral", "calm": "neutral"})
"""What emotions count as for a model that does not know them apart, as for the shipped models."""

_BY_WORD = {word: label for label, words in ALIASES.items() for word in (label, *words)}


_MAX_LABEL = 40  # characters
# Letters and digits of any script, with spaces, dots and the like between them: a label stands in
# file names, tables, pages and addresses, and commas separate labels.
_LABEL = re.compile(r"[^\W_](?:[\w .'+]*[^\W_])?")


def plain(word: str) -> str:
    """Return a word in lower case, with single spaces for blanks, hyphens and underscores."""
    return " ".join(word.replace("_", " ").replace("-", " ").lower().split())


def is_label(word: str) -> bool:
    """Tell whether a word can be a label: plain, and of letters and digits, with spaces between.

    Examples
    --------
    >>> is_label("irritated"), is_label("très calme"), is_label("a,b"), is_label("Sad")
    (True, True, False, False)
    """
    return len(word) <= _MAX_LABEL and plain(word) == word and bool(_LABEL.fullmatch(word))


def is_own(label: str) -> bool:
    """Tell whether a label is one of the user's own, beyond the nine emotions."""
    return label not in EMOTIONS


def canonical(label: str) -> str | None:
    """Return the vocabulary's word for `label`, or None if it has none.

    Examples
    --------
    >>> canonical("Pleasant_Surprise"), canonical("FEARFUL"), canonical("contempt")
    ('surprise', 'fear', None)
    """
    return _BY_WORD.get(plain(label))
