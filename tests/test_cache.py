"""The cache of arrays: right, or not there."""

import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emovox.errors import ConfigError
from emovox.files import default_cache_folder
from emovox.training.cache import ArrayCache, cache_key

KEY = cache_key("clip")
ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def cache(tmp_path) -> ArrayCache:
    """Give an empty cache in a folder that is not yet there."""
    return ArrayCache(tmp_path / "cache")


def stored_file(cache: ArrayCache) -> Path:
    """Return the one file of the cache."""
    (file,) = (path for path in cache.root.rglob("*") if path.is_file())
    return file


class TestStore:
    """What is put is what is got."""

    def test_round_trip(self, cache):
        """An array comes back as it was."""
        assert cache.put(KEY, ARRAY)
        np.testing.assert_array_equal(cache.get(KEY), ARRAY)
        assert cache.get(KEY).dtype == np.float32

    def test_unknown_key(self, cache):
        """What was never put is not there."""
        assert cache.get(KEY) is None

    def test_last_one_wins(self, cache):
        """A key that is put again holds the new array, in one file."""
        cache.put(KEY, ARRAY)
        cache.put(KEY, ARRAY + 1)
        np.testing.assert_array_equal(cache.get(KEY), ARRAY + 1)
        assert stored_file(cache).suffix == ".npy"

    def test_survives_the_process(self, cache):
        """Another cache on the same folder finds the array."""
        cache.put(KEY, ARRAY)
        np.testing.assert_array_equal(ArrayCache(cache.root).get(KEY), ARRAY)

    @settings(max_examples=30)
    @given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)))
    def test_any_array(self, tmp_path_factory, array):
        """Every shape and value comes back bit by bit."""
        cache = ArrayCache(tmp_path_factory.getbasetemp() / "arrays")
        cache.put(KEY, array)
        assert cache.get(KEY).tobytes() == array.tobytes()
        assert cache.get(KEY).shape == array.shape

    def test_many_writers(self, cache):
        """Writers and readers of one key at once see a whole array or none."""

        def work(number: int) -> None:
            for _ in range(20):
                cache.put(KEY, np.full((100, 59), number, np.float32))
                found = cache.get(KEY)
                assert found is not None
                assert found.shape == (100, 59)
                assert len(np.unique(found)) == 1

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert stored_file(cache).suffix == ".npy"


class TestDamage:
    """A file that cannot be read counts as not there."""

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
    def test_cut_off(self, cache, share):
        """A half-written file is not there, and can be put again."""
        cache.put(KEY, ARRAY)
        file = stored_file(cache)
        content = file.read_bytes()
        file.write_bytes(content[: int(share * len(content))])
        assert cache.get(KEY) is None
        assert cache.put(KEY, ARRAY)
        np.testing.assert_array_equal(cache.get(KEY), ARRAY)

    @settings(max_examples=300)
    @given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), min_size=1, max_size=5))
    def test_damaged_header(self, tmp_path_factory, changes):
        """Whatever the header says, there is an array of float32 or none, and no error."""
        cache = ArrayCache(tmp_path_factory.getbasetemp() / "damaged")
        cache.put(KEY, ARRAY)
        content = bytearray(stored_file(cache).read_bytes())
        for place, value in changes:
            content[place] = value
        stored_file(cache).write_bytes(content)
        found = cache.get(KEY)
        assert found is None or found.dtype == np.float32

    def test_damaged_numbers(self, cache):
        """A changed number, another shape and NaN are noticed, though numpy would read them."""
        cache.put(KEY, ARRAY)
        content = stored_file(cache).read_bytes()
        for spoiled in (ARRAY + 1, ARRAY.reshape(4, 3), ARRAY * np.nan):
            saved = io.BytesIO()
            np.save(saved, spoiled)
            for tail in (b"", content[-32:]):
                stored_file(cache).write_bytes(saved.getvalue() + tail)
                assert cache.get(KEY) is None

    def test_arrays_of_other_keys(self, cache):
        """Two files that were swapped are not there, rather than taken for each other."""
        other = cache_key("another clip")
        cache.put(KEY, ARRAY)
        first = stored_file(cache)
        cache.put(other, ARRAY + 1)
        (second,) = (path for path in cache.root.rglob("*.npy") if path != first)
        contents = first.read_bytes(), second.read_bytes()
        first.write_bytes(contents[1])
        second.write_bytes(contents[0])
        assert cache.get(KEY) is None
        assert cache.get(other) is None

    def test_other_content(self, cache):
        """Text, a zip archive, pickled objects and other types of numbers are not there."""
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("a.npy", b"x")
        pickled, doubles = io.BytesIO(), io.BytesIO()
        np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
        np.save(doubles, np.zeros(3))
        cache.put(KEY, ARRAY)
        for content in (b"hello", zipped.getvalue(), pickled.getvalue(), doubles.getvalue()):
            stored_file(cache).write_bytes(content)
            assert cache.get(KEY) is None

    def test_folder_in_its_place(self, cache):
        """A folder where the file should be costs the cache, not the run."""
        cache.put(KEY, ARRAY)
        file = stored_file(cache)
        file.unlink()
        file.mkdir()
        assert cache.get(KEY) is None
        assert not cache.put(KEY, ARRAY)
        assert list(file.parent.iterdir()) == [file]

    def test_no_folder_to_be_had(self, tmp_path):
        """Where the folder cannot be made, nothing is kept and nothing breaks."""
        (tmp_path / "file").touch()
        cache = ArrayCache(tmp_path / "file" / "cache")
        assert not cache.put(KEY, ARRAY)
        assert cache.get(KEY) is None


class TestKeys:
    """A key stands for a content."""

    def test_fixed(self):
        """The key of a content is the same in every process and version."""
        assert cache_key("a", "b") == cache_key("a", "b")
        assert len(cache_key()) == 64

    @given(st.lists(st.text()), st.lists(st.text()))
    def test_distinct(self, left, right):
        """Different parts have different keys, wherever the borders between them lie."""
        assert (cache_key(*left) == cache_key(*right)) == (left == right)

    def test_borders_count(self):
        """Moving a border between two parts changes the key."""
        assert len({cache_key("ab", "c"), cache_key("a", "bc"), cache_key("abc")}) == 3


class TestDefaultFolder:
    """Where the cache lies."""

    def test_own_variable_comes_first(self, monkeypatch, tmp_path):
        """EMOVOX_CACHE names the folder itself."""
        monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path))
        assert default_cache_folder() == tmp_path

    def test_system_variable(self, monkeypatch, tmp_path):
        """Else the system's cache folder holds one for emovox."""
        monkeypatch.delenv("EMOVOX_CACHE", raising=False)
        monkeypatch.delenv("LOCALAPPDATA", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert default_cache_folder() == tmp_path / "emovox"

    @pytest.mark.skipif(os.name == "nt", reason="LOCALAPPDATA is always set there")
    def test_home(self, monkeypatch, tmp_path):
        """Else it is in the home folder."""
        for name in ("EMOVOX_CACHE", "LOCALAPPDATA", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert default_cache_folder() == tmp_path / ".cache" / "emovox"

    def test_no_home(self, monkeypatch):
        """Without a home directory one line says what to set."""
        for name in ("EMOVOX_CACHE", "LOCALAPPDATA", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # a user nobody knows
        with pytest.raises(ConfigError, match="you have no home directory; set EMOVOX_CACHE"):
            default_cache_folder()
