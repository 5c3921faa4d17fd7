"""Fill the tables of README.md and MODEL_CARD.md from benchmarks/results/*.json.

Run with ``python benchmarks/tables.py`` after a benchmark; ``--check`` changes nothing and ends
with 1 where a page is not up to date. What stands between ``<!-- table:NAME -->`` and
``<!-- end -->`` is written anew; a table whose results are not there says so.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
PAGES = ("README.md", "MODEL_CARD.md")
MARKED = re.compile(r"(<!-- table:(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

TESTS = {  # the plans of protocols.py: what is tested, in words
    "tess-random": ("TESS, `random`", "the same two women, the same words"),
    "tess-sentence": ("TESS, `sentence`", "the same two women, other words"),
    "tess-speaker": ("TESS, `speaker`", "the woman it never heard"),
    "ravdess-speaker": ("RAVDESS, `speaker`, six folds", "actors it never heard"),
}


def filled(page: str, results: Path) -> str:
    """Return a page with its tables made from the results in a folder."""

    def table(match: re.Match[str]) -> str:
        benchmark, make = TABLES[match[2]]
        path = results / f"{benchmark}.json"
        if path.exists():
            text = make(json.loads(path.read_text(encoding="utf-8")))
        else:
            text = f"*Not measured yet: `python benchmarks/{benchmark}.py` does it.*"
        return f"{match[1]}{text}\n{match[3]}"

    return MARKED.sub(table, page)


def protocols_table(result: Mapping[str, Any]) -> str:
    """Show each protocol once: UAR over its seeds, and by tested speaker where there are two."""
    rows = []
    for name, runs in _plans(result).items():
        test, whom = TESTS[name]
        uars = [run["uar"] for run in runs]
        single = [uar for run in runs for uar in run.get("folds", {"": run["uar"]}).values()]
        rows.append(
            (
                test,
                whom,
                _span([run["n_test"] for run in runs]),
                str(len(runs)),
                percent(fmean(uars)),
                percent(min(single)),
                percent(fmean(run["accuracy"] for run in runs)),
            )
        )
        folds = list(runs[0].get("folds", {}))
        for fold in folds if len(folds) == 2 else ():
            of_fold = [run["folds"][fold] for run in runs]
            other = next(one for one in folds if one != fold)
            whom = f"{fold}, after training on {other}"
            rows.append(("", whom, "", "", percent(fmean(of_fold)), percent(min(of_fold)), ""))
    header = (
        "protocol",
        "tested on",
        "clips",
        "seeds",
        "UAR, mean",
        "UAR, lowest",
        "accuracy, mean",
    )
    return f"{_markdown(header, rows, n_text=2)}\n\n{_measured(result)}"


def temperature_table(result: Mapping[str, Any]) -> str:
    """Show the temperature that fits voices a model has not heard."""
    runs = _plans(result).get("tess-speaker", [])
    rows = [(str(run["seed"]), f"{run['temperature_unheard']:.2f}") for run in runs]
    return _markdown(("seed", "temperature"), rows)


def features_table(result: Mapping[str, Any]) -> str:
    """Show the ways to compute features, the slowest reference first as measured."""
    rows = [
        (
            name,
            f"{row['ms_per_clip']:.2f}",
            f"{row['times_real_time']:,}",
            f"{row['ratio_to_three_calls']:.1f}",
        )
        for name, row in result["rows"].items()
    ]
    header = ("way", "ms a clip", "times real time", "times as fast as three calls")
    what = (
        f"{result['clips']} clips of TESS, {result['mean_seconds']:.2f} s on average, "
        f"{result['threads']} thread, the fastest of {result['rounds']} rounds. "
    )
    return f"{_markdown(header, rows)}\n\n{what}{_measured(result)}"


def startup_table(result: Mapping[str, Any]) -> str:
    """Show wall time and memory of fresh processes."""
    rows = [
        (f"`{name}`" if " to " not in name else name, f"{row['seconds']:.2f}", str(row["peak_mb"]))
        for name, row in result["rows"].items()
    ]
    header = ("fresh process", "seconds", "peak MB")
    what = f"Medians of {result['rounds']} rounds. "
    return f"{_markdown(header, rows)}\n\n{what}{_measured(result)}"


def training_table(result: Mapping[str, Any]) -> str:
    """Show the seconds of each stage of a training run."""
    rows = [(name, f"{seconds:.1f}") for name, seconds in result["seconds"].items()]
    return f"{_markdown(('stage', 'seconds'), rows)}\n\n{_measured(result)}"


UNHEARD = {  # the tasks of accuracy.py, in words
    "tess-other-actress": "TESS, the other actress (7 emotions)",
    "ravdess-emobox-8-labels": "RAVDESS, EmoBox's six folds of actors (8 emotions)",
    "emodb-7-labels": "EmoDB, each speaker in turn (7 emotions)",
    "leave-one-corpus-out": "a whole corpus unheard (7 emotions)",
}


def accuracy_table(result: Mapping[str, Any]) -> str:
    """Show the speech model on unheard voices, without and with a running baseline."""
    rows = []
    for name, words in UNHEARD.items():
        runs = [row for key, row in result["rows"].items() if key.rpartition("-")[0] == name]
        if not runs:
            continue
        rows.append((words, str(len(runs)), *_without_and_with([run["mean"] for run in runs])))
        if name in ("tess-other-actress", "leave-one-corpus-out"):
            rows += [
                (f"· {fold}", "", *_without_and_with([run["folds"][fold] for run in runs]))
                for fold in runs[0]["folds"]
            ]
    header = ("tested on", "seeds", "UAR, no baseline", "UAR, running baseline")
    return f"{_markdown(header, rows)}\n\n{_measured(result)}"


def _without_and_with(runs: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    return percent(fmean(r["uar"] for r in runs)), percent(fmean(r["running_uar"] for r in runs))


TABLES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "accuracy": ("accuracy", accuracy_table),
    "protocols": ("protocols", protocols_table),
    "temperature": ("protocols", temperature_table),
    "features": ("features", features_table),
    "startup": ("startup", startup_table),
    "training": ("training", training_table),
}


def percent(share: float) -> str:
    """Write a share as a percentage that is 100 only where the share is 1."""
    shown = f"{100 * share:.1f}"
    shown = {"100.0": "100" if share == 1 else "99.99"}.get(shown, shown)
    return f"{shown} %"


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _plans(result: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Put the runs that differ in their seed alone together."""
    plans: dict[str, list[Mapping[str, Any]]] = {}
    for name, row in result["rows"].items():
        plans.setdefault(name.rpartition("-")[0], []).append(row)
    return plans


def _measured(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    versions = ", ".join(
        f"{name} {version}" for name, version in result.get("versions", {}).items()
    )
    where = ", ".join(
        part for part in (machine["processor"], f"{machine['cores']} cores", versions) if part
    )
    return f"Measured on: {where}."


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]], n_text: int = 1) -> str:
    """Write a table; columns after the first `n_text` are right-aligned."""
    lines = [header, ["---"] * n_text + ["---:"] * (len(header) - n_text), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Rewrite the pages, or check that they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = []
    for name in PAGES:
        path = REPOSITORY / name
        before = path.read_text(encoding="utf-8")
        after = filled(before, RESULTS)
        if after != before:
            stale.append(name)
            if not check:
                path.write_text(after, encoding="utf-8")
    print(f"{'not up to date' if check else 'rewritten'}: {', '.join(stale) or 'none'}")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
