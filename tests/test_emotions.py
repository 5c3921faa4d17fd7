"""The label vocabulary: every word leads to one emotion, however it is spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox.emotions import ALIASES, EMOTIONS, canonical


def test_vocabulary_is_sorted_and_distinct():
    """The emotions have one fixed order, without repeats."""
    assert list(EMOTIONS) == sorted(set(EMOTIONS))
    assert ALIASES.keys() == set(EMOTIONS)


def test_every_emotion_is_its_own_word():
    """The vocabulary maps to itself."""
    assert [canonical(emotion) for emotion in EMOTIONS] == list(EMOTIONS)


def test_no_word_means_two_emotions():
    """An alias belongs to one emotion, and is no emotion itself."""
    words = [word for aliases in ALIASES.values() for word in aliases]
    assert len(words) == len(set(words))
    assert not set(words) & set(EMOTIONS)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_aliases(emotion):
    """Each alias leads to its emotion."""
    assert {canonical(word) for word in ALIASES[emotion]} == {emotion}


@given(
    st.sampled_from([(word, label) for label, words in ALIASES.items() for word in words]),
    st.sampled_from([str.upper, str.title, str.lower]),
    st.sampled_from([" ", "_", "-", "  "]),
    st.sampled_from(["", " ", "_"]),
)
def test_spelling_does_not_matter(pair, case, gap, around):
    """Case, hyphens, underscores and spaces make no difference."""
    word, label = pair
    assert canonical(around + case(word).replace(" ", gap) + around) == label


@pytest.mark.parametrize("word", ["", " ", "contempt", "ANG RY", "happy sad", "0", "ärger"])
def test_unknown_words(word):
    """A word outside the vocabulary has no emotion; nothing is guessed."""
    assert canonical(word) is None


@given(st.text())
def test_any_text(text):
    """Any text is an emotion or none, and never an error."""
    assert canonical(text) in (*EMOTIONS, None)


def test_aliases_cannot_be_changed():
    """The table is read-only."""
    with pytest.raises(TypeError):
        ALIASES["angry"] = ()
