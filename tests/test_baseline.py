"""A speaker's baseline: a running mean, shrunk while little was heard, that files keep exactly."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import emovox
from emovox.baseline import Baseline
from emovox.errors import BaselineError, EmovoxError

WIDTH = 4
EMPTY = Baseline("0123456789abcdef", np.zeros(WIDTH), 0.0, "anna")
numbers = st.floats(-1e6, 1e6)
embeddings = st.lists(numbers, min_size=WIDTH, max_size=WIDTH)
durations = st.floats(1e-4, 1e4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
heard = st.lists(st.tuples(embeddings, durations), max_size=8)


def after(updates, baseline: Baseline = EMPTY) -> Baseline:
    """Return a baseline that has heard (embedding, seconds) one after the other."""
    for embedding, seconds in updates:
        baseline = baseline.learned(embedding, seconds)
    return baseline


class TestMean:
    """What is fed to the graph."""

    @given(mean=embeddings, prior=durations)
    def test_nothing_heard(self, mean, prior):
        """With nothing heard, it is the mean of the training data, exactly."""
        np.testing.assert_array_equal(EMPTY.vector(mean, prior), np.float32(mean))

    @given(mean=embeddings, prior=durations, updates=heard)
    def test_formula(self, mean, prior, updates):
        """It is (k m + sum of s e) / (k + sum of s)."""
        total = prior * np.array(mean) + sum((s * np.array(e) for e, s in updates), np.zeros(WIDTH))
        expected = total / (prior + sum(s for _, s in updates))
        found = after(updates).vector(mean, prior)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)

    @given(mean=embeddings, embedding=embeddings)
    def test_much_heard(self, mean, embedding):
        """With much heard, the training data's mean no longer counts."""
        found = EMPTY.learned(embedding, 1e9).vector(mean, 4.0)
        np.testing.assert_allclose(found, embedding, rtol=1e-5, atol=0.1)

    @given(mean=numbers, embedding=numbers, prior=durations, seconds=st.lists(durations))
    def test_between(self, mean, embedding, prior, seconds):
        """The more of a voice was heard, the nearer it is to that voice, never beyond."""
        baseline = EMPTY
        distance = abs(embedding - mean)
        for one in seconds:
            baseline = baseline.learned([embedding] * WIDTH, one)
            found = float(baseline.vector([mean] * WIDTH, prior)[0])
            slack = 1e-6 * max(abs(mean), abs(embedding), 1.0)
            assert abs(found - embedding) <= distance + slack
            distance = abs(found - embedding)

    @given(updates=heard, data=st.data())
    def test_order_does_not_matter(self, updates, data):
        """The same embeddings in another order give the same baseline, up to rounding."""
        shuffled = data.draw(st.permutations(updates))
        one, other = after(updates), after(shuffled)
        assert one.seconds == pytest.approx(other.seconds)
        size = sum((np.abs(s * np.array(e)) for e, s in updates), np.ones(WIDTH))
        assert (np.abs(one.total - other.total) <= 1e-12 * size).all()

    @given(embedding=embeddings, seconds=durations, parts=st.integers(1, 9))
    def test_parts_count_as_the_whole(self, embedding, seconds, parts):
        """A clip in equal parts with the same embedding counts as much as the whole clip."""
        whole = after([(embedding, seconds)])
        cut = after([(embedding, seconds / parts)] * parts)
        assert cut.seconds == pytest.approx(whole.seconds)
        np.testing.assert_allclose(cut.total, whole.total, rtol=1e-9, atol=1e-9)


class TestValue:
    """A baseline is a value: it does not change, and equal ones are equal."""

    def test_learning_returns_another(self):
        """What a baseline was before learning, it stays."""
        one = EMPTY.learned([1, 2, 3, 4], 2)
        assert EMPTY.seconds == 0
        assert (one.seconds, one.name, one.model) == (2.0, "anna", EMPTY.model)
        assert one.total.tolist() == [2, 4, 6, 8]

    def test_cannot_be_changed(self):
        """Neither its fields nor its numbers can be set, and it keeps no array of its maker's."""
        total = np.ones(WIDTH)
        one = Baseline("model", total, 1.0)
        total[:] = 5
        assert one.total.tolist() == [1, 1, 1, 1]
        with pytest.raises(AttributeError):
            one.seconds = 2.0
        with pytest.raises(ValueError, match="read-only"):
            one.total[0] = 2.0

    def test_equality(self):
        """Two are equal where all four values are, and then have the same hash."""
        one = Baseline("model", np.array([0.0, 1.0]), 1.0, "anna")
        same = Baseline("model", np.array([-0.0, 1.0]), 1, "anna")
        assert one == same
        assert hash(one) == hash(same)
        for other in (
            Baseline("other", one.total, 1.0, "anna"),
            Baseline("model", one.total * 0.5, 1.0, "anna"),
            Baseline("model", one.total, 2.0, "anna"),
            Baseline("model", one.total, 1.0, "bea"),
            "model",
        ):
            assert one != other

    def test_repr(self):
        """A person sees whose it is and how much was heard, not a column of numbers."""
        assert repr(EMPTY) == "<Baseline 'anna' of model 0123456789abcdef: 0.0 s heard>"

    def test_public(self):
        """It is one of the names of the package."""
        assert emovox.Baseline is Baseline

    @pytest.mark.parametrize(
        ("embedding", "seconds", "reason"),
        [
            ([1, 2, 3], 1, r"expected an embedding of shape \(4,\), got \(3,\)"),
            ([[1, 2, 3, 4]], 1, "expected an embedding of shape"),
            ([1, 2, 3, np.nan], 1, "finite"),
            ([1, 2, 3, np.inf], 1, "finite"),
            ([1, 2, 3, 4], 0, "more than 0 seconds"),
            ([1, 2, 3, 4], -1, "more than 0 seconds"),
            ([1, 2, 3, 4], np.nan, "more than 0 seconds"),
            ([1, 2, 3, 4], np.inf, "more than 0 seconds"),
            ([1, 2, 3, 4], "1", "more than 0 seconds"),
            ([1, 2, 3, 1e7], 1, r"finite numbers up to 1e\+06"),
            ("abcd", 1, "the embedding as a list of numbers, got str"),
            ([[1], [2, 3]], 1, "the embedding as a list of numbers, got list"),
        ],
    )
    def test_what_cannot_be_learned(self, embedding, seconds, reason):
        """What would spoil the mean is refused."""
        with pytest.raises(BaselineError, match=reason):
            EMPTY.learned(embedding, seconds)

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ((None, [1.0], 1.0), "model is of the wrong type"),
            (("m", [1.0], 1.0, 5), "name is of the wrong type"),
            (("m", [1.0], "1"), "seconds is of the wrong type"),
            (("m", "abc", 1.0), "the total as a list of numbers, got str"),
            (("m", None, 1.0), "expected a total of shape"),
        ],
    )
    def test_what_cannot_be_one(self, values, reason):
        """Values of other types make no baseline, which would fail later."""
        with pytest.raises(BaselineError, match=reason):
            Baseline(*values)


class TestFile:
    """A baseline is kept as JSON."""

    @given(
        updates=heard,
        name=st.text(st.characters(), max_size=9),  # surrogates too, as file names have them
        seconds=durations,
    )
    def test_round_trip(self, tmp_path_factory, updates, name, seconds):
        """Read back from text or from a file, it is the same to the last bit."""
        baseline = Baseline("model", *_heard(after(updates).learned([0.1] * WIDTH, seconds)), name)
        assert Baseline.from_json(baseline.to_json()) == baseline
        path = tmp_path_factory.getbasetemp() / "baseline.json"
        baseline.save(path)
        assert Baseline.load(str(path)) == baseline

    def test_form(self):
        """The file holds five keys, and nothing else."""
        data = json.loads(EMPTY.learned([1, 2, 3, 4], 0.5).to_json())
        assert data == {
            "schema": 1,
            "model": "0123456789abcdef",
            "name": "anna",
            "seconds": 0.5,
            "total": [0.5, 1.0, 1.5, 2.0],
        }

    @pytest.mark.parametrize("key", ["schema", "model", "name", "seconds", "total"])
    def test_missing_key(self, key):
        """A missing key is named."""
        data = json.loads(EMPTY.to_json())
        del data[key]
        with pytest.raises(BaselineError, match=f"the baseline lacks {key}"):
            Baseline.from_json(json.dumps(data))

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"gain": 1}, "unknown keys: gain"),
            ({"schema": "1"}, "schema is of the wrong type"),
            ({"schema": True}, "schema is of the wrong type"),
            ({"schema": 2}, "expected a baseline of schema 1, got 2"),
            ({"model": 3}, "model is of the wrong type"),
            ({"name": None}, "name is of the wrong type"),
            ({"seconds": "3"}, "seconds is of the wrong type"),
            ({"seconds": True}, "seconds is of the wrong type"),
            ({"seconds": float("nan")}, "seconds is of the wrong type"),
            ({"seconds": float("inf")}, "seconds is of the wrong type"),
            ({"seconds": 10**400}, "seconds is of the wrong type"),
            ({"seconds": -1}, r"expected seconds of 0 to 1e\+09"),
            ({"seconds": 1e300}, r"expected seconds of 0 to 1e\+09"),
            ({"total": 3}, "total is of the wrong type"),
            ({"total": [[1.0]]}, "total is of the wrong type"),
            ({"total": [float("nan")]}, "total is of the wrong type"),
            ({"total": [10**400]}, "total is of the wrong type"),
            ({"total": []}, "expected a total of shape"),
            ({"total": [1.0]}, "does not fit its 0 s"),
            ({"total": [10**300], "seconds": 1}, "does not fit its 1 s"),
            ({"total": [1e30], "seconds": 1}, "does not fit its 1 s"),
            ({"name": json.loads("[" * 900 + "]" * 900)}, "16 deep"),
        ],
    )
    def test_wrong_value(self, changes, reason):
        """A value that no baseline has is refused in one line that names it."""
        text = json.dumps({**json.loads(EMPTY.to_json()), **changes})
        with pytest.raises(BaselineError, match=reason) as caught:
            Baseline.from_json(text)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "3", "null", '"a"', None])
    def test_no_baseline(self, text):
        """Other JSON, and what is none, is refused."""
        with pytest.raises(BaselineError, match="baseline"):
            Baseline.from_json(text)

    @given(key=st.sampled_from(["schema", "model", "name", "seconds", "total", "more"]), value=JSON)
    def test_any_value(self, key, value):
        """Any JSON under any key is taken or a BaselineError; what is taken can be used."""
        data = {**json.loads(EMPTY.learned([1, 2, 3, 4], 2).to_json()), key: value}
        try:
            baseline = Baseline.from_json(json.dumps(data))
        except BaselineError:
            return
        assert Baseline.from_json(baseline.to_json()) == baseline
        assert np.isfinite(baseline.vector(np.zeros(baseline.total.shape), 4.0)).all()

    def test_file_errors(self, tmp_path):
        """A file that cannot be read, or is none of JSON, is named."""
        (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
        (tmp_path / "text.json").write_text("hello")
        for name, reason in (
            ("none.json", "none.json: cannot read the baseline: No such file"),
            (".", "cannot read the baseline: "),
            ("bytes.json", "bytes.json: expected a baseline as JSON"),
            ("text.json", "text.json: the baseline is not JSON"),
            ("\0", "expected a baseline as JSON"),
        ):
            with pytest.raises(BaselineError, match=reason):
                Baseline.load(tmp_path / name)
        assert issubclass(BaselineError, EmovoxError)

    @pytest.mark.skipif(os.name == "nt", reason="no such files there")
    def test_files_without_end(self, tmp_path):
        """A device, a pipe and a huge file are refused at once."""
        os.mkfifo(tmp_path / "pipe")
        with (tmp_path / "huge").open("wb") as file:
            file.truncate(1 << 40)
        for path in ("/dev/zero", tmp_path / "pipe", tmp_path / "huge"):
            with pytest.raises(BaselineError, match=r"not a regular file|larger than 10 MB"):
                Baseline.load(path)

    def test_saved_whole_or_not_at_all(self, tmp_path):
        """Where it cannot be written, nothing is left behind."""
        (tmp_path / "folder").mkdir()
        with pytest.raises(OSError, match="folder"):
            EMPTY.save(tmp_path / "folder")
        assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def _heard(baseline: Baseline) -> tuple[np.ndarray, float]:
    return baseline.total, baseline.seconds
