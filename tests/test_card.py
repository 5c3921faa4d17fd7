"""The model card: every key is there and makes sense, or the card is refused."""

import dataclasses
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.card import Card
from emovox.errors import ModelError
from emovox.model import Model, shipped_models

KEYS = [field.name for field in dataclasses.fields(Card)]
WRONG = {"schema": 1.5, "rate": "16000", "window_s": "4", "temperature": True, "threshold": None}
CORPUS = {"name": "a", "title": "A", "licence": "free", "utterances": 3, "speakers": 2}


def refused(card: Card, **changes: object) -> str:
    """Change keys of a card's JSON, and return why it is refused."""
    data = {**json.loads(card.to_json()), **changes}
    with pytest.raises(ModelError) as caught:
        Card.from_json(json.dumps(data))
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestCard:
    """Every key is needed, checked, and no other is allowed."""

    def test_round_trip(self, card):
        """A card reads back the same from its JSON."""
        assert Card.from_json(card.to_json()) == card

    @pytest.mark.parametrize("key", [key for key in KEYS if key != "merged"])
    def test_missing_key(self, card, key):
        """A missing key is named."""
        data = json.loads(card.to_json())
        del data[key]
        with pytest.raises(ModelError, match=f"the model card lacks {key}"):
            Card.from_json(json.dumps(data))

    def test_older_card(self, card):
        """A card from before `merged` reads as one that merged nothing."""
        data = json.loads(card.to_json())
        del data["merged"]
        assert Card.from_json(json.dumps(data)).merged == {}

    def test_own_labels(self, card):
        """Labels beyond the nine are read; they are plain words."""
        labels = ("irritated", "très calme", *card.labels[2:])
        own = dataclasses.replace(card, labels=labels, merged={"angry": "irritated"})
        assert Card.from_json(own.to_json()) == own
        for wrong in ("Sad", "a,b", "<b>", "", " sad", "x" * 41, "two\nlines", "-sad"):
            with pytest.raises(ModelError, match="expected labels of at most 40 letters"):
                dataclasses.replace(card, labels=(wrong, *card.labels[1:]))

    def test_unknown_key(self, card):
        """An unknown key is named: a newer version may mean something by it."""
        assert "unknown keys: gain" in refused(card, gain=3)

    def test_odd_key(self, card):
        """An unknown key cannot break the line, nor make it endless."""
        reason = refused(card, **{"a\nb\x1b": 1, "c" * 9_999: 2})
        assert r"unknown keys: a\nb\x1b, ccc" in reason
        assert len(reason) < 300

    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize("value", [None, True, {"a": []}, [[]], [None], [True]])
    def test_wrong_type(self, card, key, value):
        """A value of the wrong type is named, whatever the key."""
        if key == "features" and isinstance(value, dict):
            return  # these may hold anything but what is no number
        assert "corpus" in (reason := refused(card, **{key: value})) or key in reason

    @pytest.mark.parametrize(("key", "value"), WRONG.items())
    def test_wrong_kind_of_number(self, card, key, value):
        """A number that is a text, a boolean, nothing, or not whole is refused."""
        assert f"{key} is of the wrong type" in refused(card, **{key: value})

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"schema": 1}, "expected a card of schema 2, got 1"),
            ({"schema": 3}, "expected a card of schema 2, got 3"),
            ({"rate": 8_000}, "expected a model for 16000 Hz"),
            ({"labels": []}, "at least two different labels"),
            ({"labels": ["sad"]}, "at least two different labels"),
            ({"labels": ["sad", "sad"]}, "at least two different labels"),
            ({"labels": ["sad", "a;b"]}, "expected labels of"),
            ({"temperature": 0}, "temperature: expected 0.01 to 100"),
            ({"temperature": 1e-320}, "temperature: expected 0.01 to 100, got 1e-320"),
            ({"temperature": 1e300}, "temperature: expected 0.01 to 100"),
            ({"window_s": 1e308}, "window_s: expected 0.1 to 3600"),
            ({"baseline": [0.0, -1e308]}, "baseline: expected numbers up to 1e+06, got 1e+308"),
            ({"features": json.loads("[" * 900 + "]" * 900)}, "more than 16 deep"),
            ({"features": {"kind": {"gain": float("inf")}}}, "features is of the wrong type"),
            ({"features": {"kind": ["a", 10**400]}}, "features is of the wrong type"),
            ({"temperature": float("inf")}, "temperature is of the wrong type"),
            ({"temperature": float("nan")}, "temperature is of the wrong type"),
            ({"temperature": 10**400}, "temperature is of the wrong type"),
            ({"threshold": -0.1}, "threshold: expected 0 to 1"),
            ({"threshold": 1.1}, "threshold: expected 0 to 1"),
            ({"window_s": 0}, "window_s: expected 0.1 to 3600"),
            ({"window_s": 1e-9}, "window_s: expected 0.1 to 3600"),
            ({"baseline": [float("nan")] * 59}, "baseline is of the wrong type"),
            ({"baseline_seconds": 0}, "baseline_seconds: expected more than 0"),
            ({"baseline_seconds": -4.0}, "baseline_seconds: expected more than 0"),
            ({"figures": {"uar": "high"}}, "figures is of the wrong type"),
            ({"corpora": [{}]}, "name, title, licence, utterances, speakers"),
            ({"corpora": [CORPUS | {"more": 1}]}, "name, title, licence, utterances, speakers"),
            ({"corpora": [CORPUS | {"speakers": "2"}]}, "speakers of a corpus"),
            ({"corpora": [CORPUS | {"title": 2}]}, "title of a corpus"),
        ],
    )
    def test_wrong_value(self, card, changes, reason):
        """A value that would silently give wrong answers is refused."""
        assert reason in refused(card, **changes)

    @pytest.mark.parametrize("text", ["", "{", "nonsense", "[" * 100_000, '{"a": 1,}', "\udcff"])
    def test_not_json(self, text):
        """What is not JSON is no card."""
        with pytest.raises(ModelError, match="not JSON"):
            Card.from_json(text)

    @pytest.mark.parametrize("text", ["[]", "3", "null", '"card"'])
    def test_other_json(self, text):
        """JSON without keys is no card."""
        with pytest.raises(ModelError, match="expected a model card with keys"):
            Card.from_json(text)

    @settings(max_examples=200)
    @given(key=st.sampled_from(KEYS), value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5,
    ))  # fmt: skip
    def test_any_value(self, card, key, value):
        """Any JSON under any key is taken or a ModelError."""
        data = {**json.loads(card.to_json()), key: value}
        try:
            read = Card.from_json(json.dumps(data))
        except ModelError:
            return
        assert Card.from_json(read.to_json()) == read


class TestCaution:
    """Who uses a model is told where its figures promise too much."""

    @pytest.mark.parametrize(
        ("changes", "caution"),
        [
            ({}, ""),
            ({"protocol": "all"}, ""),
            ({"protocol": "random"}, "measured on voices it had learned from .protocol random"),
            ({"protocol": "sentence"}, "voices it had learned from .protocol sentence"),
            ({"corpora": (CORPUS,)}, "tiny learned from 2 speakers alone"),
            ({"corpora": (CORPUS | {"speakers": 1},)}, "tiny learned from one speaker alone"),
        ],
    )
    def test_caution(self, card, changes, caution):
        """The caution names what is wrong, in one line, and is empty where nothing is."""
        found = dataclasses.replace(card, **changes).caution
        assert bool(found) == bool(caution)
        assert re.search(caution, found)
        assert "\n" not in found

    @pytest.mark.parametrize("name", shipped_models())
    def test_shipped(self, name):
        """The models that come with emovox have heard many voices."""
        assert Model.load(name).card.caution == ""
