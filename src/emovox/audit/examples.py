"""Playable examples: the worst recordings of the tests, before and after their changes."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from ..audio import RATE, Samples, load_audio
from ..files import make_folder, written_whole
from .findings import Finding
from .scene import Scene
from .suite import Test

FOLDER = "examples"
N_EXAMPLES = 2  # of each test and corpus

Sounds = Mapping[tuple[str, str], str]
"""A sound file's path below the page's folder, by recording and test ("" for the recording)."""


def write_examples(
    out: Path,
    tests: Sequence[Test],
    found: Sequence[Finding],
    scene_for: Callable[[Test, str], Scene],
) -> Sounds:
    """Write the worst recordings below a folder as FLAC, as they are and after the changes.

    Parameters
    ----------
    out : Path
        The files go into its folder `examples`.
    tests : sequence of Test
    found : sequence of Finding
        Their worst recordings are written, two of each finding at most.
    scene_for : function
        Gives the scene of a test and a file.

    Raises
    ------
    AudioError
        If a recording can no longer be read.
    OSError
        If a file cannot be written.
    """
    changing = {test.name: test for test in tests if test.group != "doors"}
    sounds: dict[tuple[str, str], str] = {}
    make_folder(out / FOLDER)
    for finding in found:
        for case in finding.worst[:N_EXAMPLES]:
            test = changing.get(finding.test)
            clip = load_audio(Path(case.file))
            if (case.file, "") not in sounds:
                sounds[case.file, ""] = _written(out, finding.corpus, case.file, "", clip)
            if test and (case.file, test.name) not in sounds:
                changed = test.apply(clip, scene_for(test, case.file))
                sounds[case.file, test.name] = _written(
                    out, finding.corpus, case.file, test.name, changed
                )
    return sounds


def _written(out: Path, corpus: str, file: str, change: str, clip: Samples) -> str:
    parts = (corpus, Path(file).stem, f"{zlib.crc32(file.encode()):08x}", change)
    name = "-".join(re.sub(r"[^A-Za-z0-9.+-]+", "_", part) for part in parts if part)
    with written_whole(out / FOLDER / f"{name}.flac") as temporary:
        soundfile.write(temporary, np.clip(clip, -1.0, 1.0), RATE, "PCM_16")
    return f"{FOLDER}/{name}.flac"
