"""The label vocabulary: nine emotions, and the words of corpora that mean them.

Labels of corpora differ in spelling ("fearful", "fear", "A"), not in kind. Each corpus maps its
own codes to this vocabulary; a user's own data may use any of the words in `ALIASES`.
"""

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


def canonical(label: str) -> str | None:
    """Return the vocabulary's word for `label`, or None if it has none.

    Examples
    --------
    >>> canonical("Pleasant_Surprise"), canonical("FEARFUL"), canonical("contempt")
    ('surprise', 'fear', None)
    """
    return _BY_WORD.get(" ".join(label.replace("_", " ").replace("-", " ").lower().split()))
