"""Fixtures that several test files share."""

import os
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def corpora_root() -> Path:
    """Give the folder of the real corpora, or skip the test."""
    root = Path(os.environ.get("EMOVOX_DATA", REPOSITORY / ".." / "shared" / "data")).resolve()
    if not root.is_dir():
        pytest.skip("the real corpora are not here; EMOVOX_DATA names their folder")
    return root


@pytest.fixture
def rng() -> np.random.Generator:
    """Give a seeded random generator."""
    return np.random.default_rng(20240229)
