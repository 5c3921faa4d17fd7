"""A cache of arrays on disk, safe against two processes and half-written files."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import written_whole

_CHECKSUM_BYTES = 32


@dataclass(frozen=True)
class ArrayCache:
    """Arrays in a folder, one file a key.

    A file appears under its name only when it is whole, so that readers need no lock; two writers
    of one key write the same content, and the last one wins. Behind each array stands a checksum of
    its key and content: a file that cannot be read, is damaged or of another key counts as not
    there. Where the folder cannot be written (disk full, no permission), nothing is kept:
    a cache may cost time, never a result.

    Parameters
    ----------
    root : Path
        Made when the first array is stored.
    """

    root: Path

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return the stored array, or None."""
        try:
            stored = self._path(key).read_bytes()
        except OSError:
            return None
        content, checksum = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:]
        if checksum != _checksum(key, content):
            return None
        array: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False)
        return array

    def put(self, key: str, array: NDArray[np.float32]) -> bool:
        """Store an array; return False where the disk would not take it."""
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        try:
            with written_whole(self._path(key)) as temporary:
                temporary.write_bytes(content.getvalue() + _checksum(key, content.getvalue()))
        except OSError:
            return False
        return True

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key[2:]}.npy"


def _checksum(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()


def cache_key(*parts: str) -> str:
    """Return a key for a content: sha256 of its parts and the borders between them."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
