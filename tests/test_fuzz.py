"""The fuzzers of benchmarks/fuzz.py and the library against them; the comparison of services."""

import json
from random import Random

import pytest

from conftest import REPOSITORY

N_CASES = {"fuzz_recordings": 150, "fuzz_models": 400, "fuzz_turns": 1_500}


@pytest.mark.parametrize(("module", "n_cases"), N_CASES.items())
def test_library(benchmarks, module, n_cases):
    """Broken recordings, models, baselines and turns are refused, or answered soundly."""
    goal = benchmarks("fuzz_server").Goal(module, 20240229, n_cases, seconds=60)
    tally = benchmarks("fuzz_child").attack_a_child(module, goal, n_children=1)
    assert tally.to_dict()["faults"] == {}
    assert len(tally.kinds) > 4  # so the inputs reach all depths


def test_recordings_are_whole_before_they_are_damaged(benchmarks):
    """Taken apart and put together, a recording is what it was: what is wrong later is meant."""
    formats, originals = benchmarks("fuzz_formats"), benchmarks("fuzz_recordings").originals()
    for name, content in originals.items():
        if name.startswith(("ogg", "opus")):
            pages = list(formats.ogg_pages(content))
            assert len(pages) > 5
            assert b"".join(page.to_bytes() for page in pages) == content
        elif name.startswith("mp3"):
            frames = formats.mp3_frames(content)
            assert len(frames) > 10
            assert b"".join(frames) == content


def test_same_inputs_from_the_same_seed(benchmarks):
    """A case makes the same inputs each time, so that what a fault names can be looked at."""
    requests, messages = benchmarks("fuzz_requests"), benchmarks("fuzz_messages")
    target = benchmarks("fuzz_wire").Target(0, {"name": "x", "seconds": 1.0, "total": [0.0]})
    for seed in range(50):
        one, same = (
            (
                requests.request(target, Random(seed)),
                messages.message(target.baseline, Random(seed)),
                benchmarks("fuzz_recordings").recording(Random(seed)),
            )
            for _ in range(2)
        )
        assert one == same


def test_tally_reads_back(benchmarks):
    """What came of cases survives its way out of a process, and adds up."""
    tally, other = benchmarks("fuzz_tally").Tally(), benchmarks("fuzz_tally").Tally()
    for case in range(7):
        with tally.run(case) as note:
            note.sent(2)
            note.answer("refused", seconds=case)
            note.fault("a fault")
    other.add(benchmarks("fuzz_tally").Tally.from_dict(json.loads(json.dumps(tally.to_dict()))))
    assert other.to_dict() == tally.to_dict()
    assert tally.to_dict() == {
        "inputs": 14,
        "answers": {"refused": 7},
        "slowest_s": 6,
        "slowest_case": 6,
        "faults": {"a fault": {"times": 7, "cases": [0, 1, 2, 3, 4]}},
    }


def test_comparison_is_with_the_other_checkout(benchmarks, tmp_path):
    """A folder whose emovox is not what would run is no checkout to compare with."""
    compare = benchmarks("service_compare")
    compare.check(REPOSITORY)
    with pytest.raises(SystemExit, match="expected its own emovox"):
        compare.check(tmp_path)
