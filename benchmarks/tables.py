"""Fill the tables of the pages from benchmarks/results/*.json.

Run with ``python benchmarks/tables.py`` after a benchmark; ``--check`` changes nothing and ends
with 1 where a page is not up to date. The lines between ``<!-- table:NAME -->`` and
``<!-- end -->`` are replaced; a table without results says which command measures them.
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
PAGES = (
    "README.md",
    "MODEL_CARD.md",
    "docs/agents.md",
    "docs/archive.md",
    "docs/benchmarks.md",
    "docs/browser.md",
    "docs/http.md",
    "docs/journal.md",
    "docs/listening.md",
    "docs/experiments.md",
    "docs/practice.md",
)
MARKED = re.compile(r"(<!-- table:(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

TESTS = {  # the plans of protocols.py: what is tested, in words
    "tess-random": ("TESS, `random`", "the same two women, the same words"),
    "tess-sentence": ("TESS, `sentence`", "the same two women, other words"),
    "tess-speaker": ("TESS, `speaker`", "the woman it never heard"),
    "ravdess-speaker": ("RAVDESS, `speaker`, six folds", "actors it never heard"),
}


TITLES = {
    "tess": "TESS",
    "ravdess": "RAVDESS",
    "emodb": "EmoDB",
    "nemo": "nEMO",
    "turev": "TurEV-DB",
    "ased": "ASED",
}


def filled(page: str, results: Path) -> str:
    """Return a page with its tables made from the results in a folder."""

    def table(match: re.Match[str]) -> str:
        benchmark, make = TABLES[match[2]]
        path = results / f"{benchmark}.json"
        text = make(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else ""
        if not text:
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


def web_answers_table(result: Mapping[str, Any]) -> str:
    """Show how far the answers of the engine for JavaScript are those of Python."""
    answers = result["answers"]
    named = ("recordings", "segments", "interim_decisions")
    rows = [
        (
            name.replace("_", " "),
            f"{answers[name]['n']:,}",
            percent(answers[name]["same_label"]),
            percent(answers[name]["within_0.02"]),
            f"{answers[name]['largest_difference']:.3f}",
        )
        for name in named
    ]
    header = ("answers to", "number", "same label", "all scores within 0.02", "largest difference")
    others = answers["with_other_segments"]
    borders = (
        "Both find the same number of segments in all recordings"
        f"{f' but {others}' if others else ''}, "
        f"and no border differs by more than {1000 * answers['largest_border_s']:.0f} ms. "
        f"Numbers of a baseline, which reach {answers['largest_in_baseline']:g}, differ by "
        f"{answers['largest_baseline_difference']:g} at most. "
    )
    return f"{_markdown(header, rows)}\n\n{borders}{_measured(result)}"


def web_prosody_table(result: Mapping[str, Any]) -> str:
    """Show how far the measurements of the engine for JavaScript are those of Python."""
    prosody = result["prosody"]
    rows = [
        (
            f"{words}, within {allowed}",
            percent(prosody[name]["within"]),
            f"{prosody[name]['largest']:g} {unit}".rstrip(),
        )
        for name, words, allowed, unit in (
            ("pitch_st", "median pitch", "0.1 st", "st"),
            ("level_db", "loudness", "0.1 dB", "dB"),
            ("rate_hz", "tempo", "2 %", "syllables a second"),
            ("pause_share", "share of pauses", "0.01", ""),
        )
    ]
    header = (f"{prosody['n']} recordings", "as Python", "largest difference")
    return f"{_markdown(header, rows)}\n\n{_measured(result)}"


def web_cost_table(result: Mapping[str, Any]) -> str:
    """Show what the engine for JavaScript costs in Chromium, as far as it was measured."""
    rows = []
    if cost := result.get("cost"):
        spent = cost["ms_per_decision"]
        rows = [
            ("decision of a stream, median", f"{spent['median']:.0f} ms"),
            ("decision of a stream, 95 % below", f"{spent['p95']:.0f} ms"),
            (
                "processor time per decision, speech search included",
                f"{cost['cpu_ms_per_decision']:.0f} ms",
            ),
            ("recording of 10 minutes", f"{cost['seconds_of_ten_minutes']:.0f} s"),
            ("processor time for it", f"{cost['cpu_seconds_of_ten_minutes']:.0f} s"),
        ]
    for minutes, mb in result.get("memory", {}).items():
        rows.append((f"memory after {minutes} minutes of a stream", f"{mb:.0f} MB"))
    if not rows:
        return ""
    return f"{_markdown(('in Chromium, on one core', 'figure'), rows)}\n\n{_measured(result)}"


def live_table(result: Mapping[str, Any]) -> str:
    """Show what came of clips played into a sound server."""
    n_equal, n_clips = result["equal"], result["clips"]
    lost = f"{result['dropped_seconds']:g} s"
    losses = f"{result['overflows']}; {result['gone_seconds']:g} s"
    rows = [
        ("clips whose live label is that of their file", f"{n_equal} of {n_clips}"),
        (f"sound dropped in {result['seconds']:.0f} s", lost),
        ("losses reported by the sound system; time without the device", losses),
        ("share of one core, with the view", percent(result["core_share_with_view"])),
    ]
    return f"{_markdown(('measured', 'figure'), rows)}\n\n{_measured(result)}"


def journal_table(result: Mapping[str, Any]) -> str:
    """Show what a journal bears; parts that were not measured are left out."""
    parts = {
        "kills": _kill_rows,
        "crowd": _crowd_rows,
        "disk": _disk_rows,
        "size": _size_rows,
        "halfyear": _half_year_rows,
        "microphone": _microphone_rows,
    }
    rows = [row for part, make in parts.items() if part in result for row in make(result[part])]
    return f"{_markdown(('measured', 'figure'), rows)}\n\n{_measured(result)}"


def _kill_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (
            f"`{name}` killed with -9: finished segments lost; journals intact",
            f"{one['segments_lost']}; {one['intact']} of {one['kills']} "
            f"({one['in_the_middle']} killed between the first and the last segment)",
        )
        for name, one in found.items()
    ]
    again, n_kills = found["add"]["whole_after_adding_again"], found["add"]["kills"]
    return [
        *rows,
        ("added again after that: the same segments as without", f"{again} of {n_kills}"),
    ]


def _crowd_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    told = f"{sum(found['segments'])} of {sum(found['segments_alone'])}"
    same = f"{sum(found['same_segments'])} of {found['same_segments_alone']}"
    return [
        ("three processes at once: segments kept", told),
        ("one recording added twice at once: segments kept", same),
    ]


def _disk_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    intact = "intact" if found["intact"] else "damaged"
    return [
        (
            "full disk: lines of error; the journal; segments until then, and later with room",
            f"{found['lines']}; {intact}; {found['segments_kept']}, {found['segments_with_room']}",
        )
    ]


def _size_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    what = f"{found['sessions']:,} sessions of {found['segments_a_session']} segments"
    return [
        (
            f"{what}{', with a passphrase' if kind == 'sealed' else ''}: size; `trend`",
            f"{found[kind]['mb']:.0f} MB; {found[kind]['trend_cpu_s']:.2f} s of one core",
        )
        for kind in ("open", "sealed")
    ]


def _half_year_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    false = found["changes_told_where_nothing_changes"]
    n = found["speakers"]
    return [
        (f"half year, {n} speakers: intervals that hold the truth", percent(found["coverage"])),
        ("the same, of sad alone", percent(found["coverage_sad"])),
        ("the rise of sad told as a change", f"{found['rise_of_sad_told']} of {n}"),
        (f"changes told in {n} half years in which nothing changes", str(sum(false))),
    ]


def _microphone_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            f"another microphone, {line}: changes of mood told; weeks marked; without the mark",
            f"{one['changes_of_mood_told']}; {one['weeks_marked']} of {one['weeks_after']}; "
            f"{one['changes_without_the_mark']}",
        )
        for line, one in found.items()
    ]


def training_table(result: Mapping[str, Any]) -> str:
    """Show the seconds of each stage of a training run."""
    rows = [(name, f"{seconds:.1f}") for name, seconds in result["seconds"].items()]
    return f"{_markdown(('stage', 'seconds'), rows)}\n\n{_measured(result)}"


UNHEARD = {  # the rows of accuracy.py, in words
    "tess": "TESS, the other actress, mean of both (7 emotions)",
    "ravdess": "RAVDESS, EmoBox's six folds of actors (8 emotions)",
    "emodb": "EmoDB, each speaker in turn (7 emotions)",
    "unheard-tess": "TESS, nothing of it in training (7 emotions)",
    "unheard-emodb-six": "EmoDB, nothing of it in training (its 6 common emotions)",
    "unheard-ravdess": "RAVDESS, nothing of it in training (7 emotions)",
    "unheard-nemo": "nEMO, nothing of it in training (6 emotions)",
    "speakers": "all four corpora, six groups of speakers in turn (7 emotions)",
    "one-sided": "RAVDESS's folds, four in five recordings of one emotion",
    "foreign": "the six groups, with the baseline of another speaker",
    "acoustic": "TESS, the other actress, by the acoustic network",
}
SUMMARY = {  # those of them that the README shows, with the share that guessing gets right
    "tess": ("TESS: a new actress", 1 / 7),
    "unheard-ravdess": ("RAVDESS, without RAVDESS in training", 1 / 7),
    "unheard-emodb-six": ("EmoDB, without any German in training", 1 / 6),
    "unheard-tess": ("TESS, without TESS in training", 1 / 7),
    "unheard-nemo": ("nEMO, without any Polish in training", 1 / 6),
}
FOREIGN = {"ased": "ASED, Amharic", "turev": "TurEV, Turkish words"}
EARLY = ("first_decision_certain_but_wrong", "one_second_certain_but_wrong")
AUDITED = {
    "speech": "emovox, speech",
    "whisper": "whisper-tiny, last layer, log. regr.",
    "egemaps": "eGeMAPS, SVM",
}
PEERS = {
    "egemaps": "eGeMAPS, SVM",
    "mfcc": "MFCC, log. regr.",
    "whisper": "whisper-tiny, log. regr.",
}


def accuracy_table(result: Mapping[str, Any]) -> str:
    """Show our models on unheard voices, without and with a running baseline."""
    rows = [
        (
            words,
            f"{row['n_test']:,}" if "n_test" in row else "2,798",
            str(row["seeds"]),
            _spread(row["uar"]),
            _spread(row["running_uar"]),
        )
        for name, words in UNHEARD.items()
        if (row := result["rows"].get(name))
    ]
    header = ("tested on", "recordings", "seeds", "UAR, no baseline", "UAR, running baseline")
    what = "Mean of the seeds, and their lowest and highest. "
    return f"{_markdown(header, rows)}\n\n{what}{_measured(result)}"


def summary_table(result: Mapping[str, Any]) -> str:
    """Show our default model on unheard voices in short: one row a test, means over the seeds."""
    rows = [
        (
            words,
            percent(guessing),
            percent(row["uar"]["mean"]),
            percent(row["running_uar"]["mean"]),
        )
        for name, (words, guessing) in SUMMARY.items()
        if (row := result["rows"].get(name))
    ]
    return _markdown(("tested on", "guessing", "UAR, no baseline", "UAR, running baseline"), rows)


def foreign_table(result: Mapping[str, Any]) -> str:
    """Show corpora that a model never met: recall, calibration and sure mistakes."""
    rows = [
        (
            f"{words}, {row[name]['n_labels']} labels",
            model,
            *(
                f"{percent(row[name]['none'][figure])} / {percent(row[name]['running'][figure])}"
                for figure in ("own_labels_uar", "uar", "calibration_error", "certain_but_wrong")
            ),
            " / ".join(percent(row[name]["early"][figure]) for figure in EARLY),
        )
        for name, words in FOREIGN.items()
        for model, row in result["rows"].items()
        if name in row
    ]
    header = (
        "corpus",
        "model",
        "UAR, own labels",
        "UAR, all",
        "calibration",
        "certain, wrong",
        "at once / at 1 s",
    )
    what = (
        "Without a baseline / with a running one, in one random order. Last column: certain "
        "and wrong in a stream's first decision, and after a second of speech. "
    )
    return f"{_markdown(header, rows, n_text=2)}\n\n{what}{_measured(result)}"


def audit_table(result: Mapping[str, Any]) -> str:
    """Show what changes do to the labels of each way, in both corpora."""
    ways = {name: words for name, words in AUDITED.items() if name in result["rows"]}
    tests = result["rows"][next(iter(ways))]["tests"]

    def unchanged(way: str, test: str) -> str:
        figures = result["rows"][way]["tests"].get(test, {}).values()
        shares = [one["unchanged"] for one in figures if one["unchanged"] is not None]
        return " / ".join(map(percent, shares)) or "-"

    rows = [
        (test, *(unchanged(way, test) for way in ways))
        for test, figures in tests.items()
        if all("unchanged" in one for one in figures.values())
    ]
    what = "Labels unchanged, ASED / TurEV, 60 recordings each. "
    return f"{_markdown(('change', *ways.values()), rows)}\n\n{what}{_measured(result)}"


def peers_table(result: Mapping[str, Any]) -> str:
    """Show other ways on the same splits, as they are and with speakers' means taken away."""
    names = [name for name in PEERS if name in result["rows"]]
    rows = [
        (words, *(f"{_both(row)}" for name in names if (row := result["rows"][name].get(test))))
        for test, words in UNHEARD.items()
        if test in result["rows"][names[0]]
    ]
    header = ("tested on", *(PEERS[name] for name in names))
    what = "UAR as it is / with each speaker's mean over all recordings taken away. "
    return f"{_markdown(header, rows)}\n\n{what}{_measured(result)}"


def _both(row: Mapping[str, float]) -> str:
    return f"{percent(row['uar'])} / {percent(row['centred_uar'])}"


def _spread(figure: Mapping[str, float]) -> str:
    if figure["low"] == figure["high"]:
        return percent(figure["mean"])
    low, high = (f"{100 * figure[key]:.1f}" for key in ("low", "high"))
    return f"{percent(figure['mean'])} ({low} to {high})"


def groups_table(result: Mapping[str, Any]) -> str:
    """Show the default model's recipe on unheard voices by corpus, language, sex and age."""
    rows = [
        (
            f"{kind}: {name}",
            str(row["speakers"]),
            f"{row['n_test']:,}",
            percent(row["uar"]),
            percent(row["running_uar"]),
        )
        for kind, groups in result.get("unheard", {}).get("groups", {}).items()
        for name, row in groups.items()
    ]
    header = ("voices", "speakers", "recordings", "UAR, no baseline", "UAR, running baseline")
    return _markdown(header, rows)


def seconds_table(result: Mapping[str, Any]) -> str:
    """Show what a running baseline is worth after so many seconds of a voice."""
    rows = [
        (
            _range(row["from"], row["to"]),
            f"{row['answers']:,}",
            percent(row["uar"]),
            percent(row["running_uar"]),
        )
        for row in result.get("unheard", {}).get("seconds", [])
    ]
    header = ("seconds heard before", "answers", "UAR, no baseline", "UAR, running baseline")
    return _markdown(header, rows)


def _range(low: int, high: int | None) -> str:
    if not high:
        return "none" if high == 0 else f"{low} and more"
    return f"up to {high}" if low == 0 else f"{low} to {high}"


def certainty_table(result: Mapping[str, Any]) -> str:
    """Show how far scores can be believed on unheard voices, and what abstaining gains."""
    rows = []
    unheard = result.get("unheard", {})
    for part, words in (("certainty", "six groups of speakers"), ("certainty-corpora", "corpora")):
        for kind, baseline in (("uar", "none"), ("running_uar", "running")):
            if row := unheard.get(part, {}).get(kind):
                shown = (row["error"], row["error_apart"])
                points = 100 * row["gained"]
                rows.append(
                    (
                        f"{words} in turn",
                        baseline,
                        *(f"{value:.3f}" for value in shown),
                        percent(row["accuracy"]),
                        percent(row["accuracy_at_80"]),
                        f"{points:.1f}",
                    )
                )
    header = (
        "left out",
        "baseline",
        "calibration error",
        "temperature from other folds",
        "accuracy, all",
        "accuracy, the 80 % surest",
        "points gained",
    )
    return _markdown(header, rows, n_text=2)


def latency_table(result: Mapping[str, Any]) -> str:
    """Show the time a clip takes, and loading."""
    rows = [
        (
            name,
            f"{row['processor_ms_median']:.1f}",
            f"{row['times_real_time']:,}",
            *(f"{row[key]:.2f}" if key in row else "" for key in ("import_s", "load_s")),
            str(row.get("peak_mb", "")),
        )
        for name, row in result["rows"].items()
    ]
    header = ("way", "ms a clip", "times real time", "import, s", "load, s", "peak MB")
    cold = result["cold_predict"]
    what = (
        f"{result['clips']} clips of {result['seconds']:g} s, {result['threads']} thread, the "
        f"median of the processor time in {result['rounds']} rounds. `emovox predict one.wav` "
        f"from a cold start: {cold['seconds']:.2f} s, {cold['peak_mb']} MB. "
    )
    return f"{_markdown(header, rows)}\n\n{what}{_measured(result)}"


def robustness_table(result: Mapping[str, Any]) -> str:
    """Show which share of labels stays under each change, and by how much a score moves."""
    corpora = list(next(iter(result["rows"].values())))
    rows = [
        (
            name,
            *(percent(row[corpus]["labels_kept"]) for corpus in corpora),
            f"{max(one['largest_change'] for one in row.values()):.2g}",
        )
        for name, row in result["rows"].items()
    ]
    header = ("change", *corpora, "largest change of a score")
    what = f"Labels kept, of {result['clips']} recordings of each corpus. "
    return f"{_markdown(header, rows)}\n\n{what}{_measured(result)}"


def service_table(result: Mapping[str, Any]) -> str:
    """Show what the service bears; what was not measured is left out."""
    rows = [
        (what, shown)
        for name, lines in SERVICE.items()
        if name in result
        for what, shown in lines(result[name])
    ]
    return f"{_markdown(('what', 'measured'), rows)}\n\n{_measured(result)}"


def fuzz_table(result: Mapping[str, Any]) -> str:
    """Show how many inputs of each family came in, and what was wrong with the answers."""
    header = ("inputs", "how many", "slowest answer", "memory", "faults")
    found = {name: result["families"][name] for name in FUZZED if name in result["families"]}
    rows = [
        (
            FUZZED[name],
            f"{one['inputs']:,}",
            f"{one['slowest_s']:.1f} s",
            f"{one['memory_mb']['last'] - one['memory_mb']['warm']:+d} MB",
            f"{sum(fault['times'] for fault in one['faults'].values()):,}",
        )
        for name, one in found.items()
    ]
    total = sum(one["inputs"] for one in found.values())
    return f"{_markdown(header, rows)}\n\n{total:,} inputs in all. {_measured(result)}"


def agents_table(result: Mapping[str, Any]) -> str:
    """Show for each framework whether readings were there in time, and right."""
    rows = [
        (
            f"{name} {result['versions'][name]}",
            f"{one['turns']}",
            percent(one["with_reading"]),
            f"{one['delay_ms']['p50']:.0f} ms, {one['delay_ms']['p95']:.0f} ms",
            percent(one["same_label"]),
        )
        for name, one in result["rows"].items()
    ]
    header = ("framework", "turns", "with a reading", "delay p50, p95", "label as by `turns`")
    what = f"{result['calls']} calls each, a turn held up for {result['wait_s']:g} s at most. "
    return f"{_markdown(header, rows)}\n\n{what}{_measured(result)}"


FUZZED = {
    "requests": "HTTP requests, byte by byte",
    "handshakes": "WebSocket handshakes",
    "messages": "frames and messages of live sessions",
    "streams": "messages of telephone calls, mu-law and A-law",
    "uploads": "damaged recordings, uploaded",
    "recordings": "damaged recordings, decoded in Python",
    "turns": "files of turns",
    "models": "model files, model cards and baselines",
}


def _latency(one: Mapping[str, float]) -> str:
    return f"{one['p50']:.0f} ms, {one['p95']:.0f} ms"


SERVICE: Mapping[str, Callable[[Mapping[str, Any]], Sequence[tuple[str, str]]]] = {
    "startup": lambda one: [
        ("start of the process to the first prediction", f"{one['seconds_to_first_prediction']} s"),
    ],
    "overhead": lambda one: [
        ("a clip of 3 s over HTTP, beyond Python's time", f"{one['more_ms']} ms"),
    ],
    "sessions": lambda one: [
        ("live sessions in real time", f"{one['sessions']}, {one['server_cores']} cores"),
        ("their interim decisions, p50, p95", _latency(one["interim_ms"])),
        ("their final decisions, p50, p95", _latency(one["final_ms"])),
        ("sessions beyond, refused", one["refused_beyond"]),
    ],
    "calls": lambda one: [
        ("calls in mu-law in real time", f"{one['sessions']}, {one['server_cores']} cores"),
        ("their interim decisions, p50, p95", _latency(one["interim_ms"])),
        ("their final decisions, p50, p95", _latency(one["final_ms"])),
    ],
    "uploads": lambda one: [
        (
            f"uploads of 3 s by {one['clients']} clients",
            f"{one['uploads']:,}, {one['failed']} failed, {one['per_second']} a second",
        ),
    ],
    "soak": lambda one: [
        (
            f"soak of {one['minutes']:g} minutes, {sum(one['visits'].values()):,} visits",
            f"memory {one['grown_mb']:+} MB, {one['sessions_left']} sessions left",
        ),
    ],
}


def streaming_table(result: Mapping[str, Any]) -> str:
    """Show delay and cost of live decisions, memory over hours, and hours of recordings."""
    rows = []
    if live := result.get("decisions"):
        delay, cost = live["first_decision_s"], live["cpu_ms_per_decision"]
        rows += [
            ("first decision after speech begins, s of audio", _median_p99(delay)),
            ("one decision, ms of one core", _median_p99(cost)),
        ]
    for corpus, row in result.get("labels", {}).items():
        minutes, with_baseline = row["recording_s"] / 60, row["learn"]
        what = f"{minutes:g} minutes of {row['speaker']} ({corpus})"
        rows += [
            (f"{what}, seconds on two cores (of processor)", _seconds(with_baseline)),
            (f"{what}, peak MB", str(with_baseline["peak_mb"])),
            (
                f"{what}, speech time labelled right, with and without baseline",
                " / ".join(percent(row[way]["labelled_right"]) for way in ("learn", "none")),
            ),
            (
                f"{what}, start and end of segments off by, s (median)",
                " / ".join(
                    f"{with_baseline[key]['median']:.2f}" for key in ("start_off_s", "end_off_s")
                ),
            ),
        ]
    if longest := result.get("longest"):
        what = f"{longest['hours']} hours of one speaker"
        rows += [
            (f"{what}, seconds on two cores (of processor)", _seconds(longest)),
            (f"{what}, peak MB", str(longest["peak_mb"])),
        ]
    if live := result.get("streaming"):
        both = f"{live['mb_after_5_minutes']:.0f} / {live['mb_after_all']:.0f}"
        rows.append((f"streaming, MB after 5 minutes / {live['hours']:g} hours", both))
    return f"{_markdown(('measured', 'result'), rows)}\n\n{_measured(result)}"


def _median_p99(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.2f} median, {spread['p99']:.2f} p99"


def _seconds(row: Mapping[str, float]) -> str:
    return f"{row['seconds']:.0f} ({row['cpu_seconds']:.0f})"


def archive_table(result: Mapping[str, Any]) -> str:
    """Show how fast an archive is scored, and what kills and bad files did to the rows."""
    if "throughput" not in result:
        return ""
    measured = result["throughput"]
    rows = [
        (
            workers,
            f"{row['recordings']:,}",
            f"{row['hours']:.2f}",
            f"{row['seconds']:.1f}",
            f"{row['times_real_time']:,.0f}",
            str(row["memory_mb"]),
            f"{row['memory_growth_mb']:+.1f}",
        )
        for workers in ("1", "2")
        if (row := measured[workers])
    ]
    header = ("workers", "recordings", "hours", "seconds", "times real time", "MB", "MB later on")
    what = (
        "MB is the highest memory of a worker, and MB later on the growth of its median from the "
        f"second quarter of the run to the last. Two workers are {measured['ratio']:.2f} times as "
        f"fast as one. {' '.join(_undisturbed(result))} "
    )
    return f"{_markdown(header, rows)}\n\n{what}{_measured(result)}"


def _undisturbed(result: Mapping[str, Any]) -> list[str]:
    """Say which runs gave the rows of an undisturbed one."""
    said = {
        "throughput": "one worker or two",
        "cluster": "a scheduler and workers started by hand, one of them killed with -9 half-way",
        "kills": "the driver killed with -9 at ten random moments, and resumed each time",
    }
    done = {True: "the same rows", False: "OTHER ROWS"}
    lines = [
        f"{words[0].upper()}{words[1:]}: {done[result[name]['same_rows']]}."
        for name, words in said.items()
        if name in result
    ]
    if bad := result.get("bad"):
        lines.append(
            f"{bad['bad']} bad files among {bad['recordings']}: exit code {bad['exit_code']}, with "
            f"--strict {bad['exit_code_strict']}; {done[bad['good_rows_same']]} of the good ones."
        )
    return lines


def sizing_table(result: Mapping[str, Any]) -> str:
    """Estimate what a million calls cost, from the throughput of one worker."""
    if "throughput" not in result:
        return ""
    one = result["throughput"]["1"]
    hours = 3600 * one["hours"] / one["core_seconds"]
    calls = 1e6 * 300 / 3600
    rows = [
        ("hours of audio per core-hour", f"{hours:,.0f}", "measured, on short clips"),
        ("memory per worker", f"{one['memory_mb']} MB", "measured, on short clips"),
        ("a million calls of five minutes", f"{calls:,.0f} hours", "1,000,000 × 5 / 60"),
        ("their core-hours", f"{calls / hours:,.0f}", "estimate"),
        ("on 100 cores", f"{calls / hours / 100:,.1f} hours", "estimate"),
    ]
    return _markdown(("what", "how much", ""), rows)


def reach_table(result: Mapping[str, Any]) -> str:
    """Show the simulation of growing clusters."""
    if "scheduler" not in result:
        return ""
    measured = result["scheduler"]
    rows = [
        (
            row["part"],
            f"{row['workers']:,}",
            f"{row['seconds']:,.0f}",
            percent(row["busy"]),
            f"{row['parts_a_second']:,.1f}",
        )
        for row in measured["rows"]
    ]
    header = ("part", "workers", "seconds", "workers busy", "parts per second")
    costs = ", ".join(f"{cost:.2f} with {n}" for n, cost in measured["ms_a_part"].items())
    check = measured["check"]
    what = (
        f"{measured['parts']:,} parts, simulated. A part costs the scheduler and the driver (ms "
        f"of processor, measured, by the number of workers): {costs}. The check: a real scheduler "
        f"took {check['real_s']:.1f} s where the simulation says {check['simulated_s']:.1f} s."
    )
    return f"{_markdown(header, rows)}\n\n{what}"


def practice_changes_table(result: Mapping[str, Any]) -> str:
    """Show what people change for each emotion; in bold what practice asks for."""
    units = {"pitch": "st", "range": "st", "loudness": "dB", "tempo": "%", "pauses": "%"}
    rows = []
    for emotion, changes in result["changes"].items():
        cells = []
        for name, unit in units.items():
            if name not in changes:
                cells.append("")
                continue
            change = changes[name]
            text = f"{change['by']:+.1f} {unit}"
            text = f"**{text}**" if name in result["wanted"][emotion] else text
            cells.append(f"{text} ({percent(change['agree'])})")
        rows.append((emotion, *cells))
    return _markdown(("emotion", *units), rows)


def practice_hints_table(result: Mapping[str, Any]) -> str:
    """Show for each corpus how many hints were right, and how well closeness tells takes apart."""
    rows = []
    for corpus, figures in result["corpora"].items():
        hints = figures["hints"]
        rows.append(
            (
                TITLES[corpus],
                str(figures["speakers"]),
                ", ".join(figures["left_out"]) or "nothing",
                f"{hints['pairs']:,}",
                f"{hints['hints']:,}",
                percent(hints["right"]),
                percent(hints["noticed"]),
            )
        )
    header = (
        "corpus",
        "speakers",
        "left out",
        "pairs",
        "with a hint",
        "right",
        "right, by a noticeable step",
    )
    return _markdown(header, rows)


def practice_closeness_table(result: Mapping[str, Any]) -> str:
    """Show how well each measure of closeness tells takes of a target from others."""
    ways = ("prosody", "score", "mean")
    rows = [
        (TITLES[corpus], *(f"{figures['auc'][f'{way} against neutral']:.3f}" for way in ways))
        for corpus, figures in result["corpora"].items()
    ]
    return _markdown(("corpus", "measured", "model's score", "mean of both"), rows)


def speakers_table(result: Mapping[str, Any]) -> str:
    """Show the error rates of conversations, with the number of speakers told and found."""
    rows = []
    for one in result["conversations"]:
        errors = one["errors"]
        told = errors["told, collar"]
        parts = " / ".join(percent(told[part]) for part in ("missed", "false", "confused"))
        rows.append(
            (
                f"{TITLES[one['corpus']]}, {one['speakers']} speakers",
                percent(told["der"]),
                parts,
                percent(errors["told"]["der"]),
                percent(errors["auto, collar"]["der"]),
                f"{one['number_right']} of {one['conversations']}",
                str(one["times_real_time"]),
            )
        )
    header = (
        "conversations",
        "DER, collar",
        "missed / false / confused",
        "DER, no collar",
        "auto, collar",
        "number right",
        "times real time",
    )
    return f"{_markdown(header, rows)}\n\n{_measured(result)}"


def calls_table(result: Mapping[str, Any]) -> str:
    """Show what is counted twice and lost in calls that bleed."""
    rows = [
        (
            f"{one['level_db']:g} dB",
            f"{one['twice_before']} of {one['segments_before']}",
            f"{one['twice']} of {one['segments']}",
            f"{one['lost']} of {one['utterances']}",
        )
        for one in result["calls"]
    ]
    header = ("bleed", "counted twice, as recorded", "counted twice", "utterances lost")
    return _markdown(header, rows)


TABLES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "practice_changes": ("practice", practice_changes_table),
    "practice_hints": ("practice", practice_hints_table),
    "practice_closeness": ("practice", practice_closeness_table),
    "service": ("service", service_table),
    "speakers": ("speakers", speakers_table),
    "calls": ("speakers", calls_table),
    "fuzz": ("fuzz", fuzz_table),
    "agents": ("agents", agents_table),
    "accuracy": ("accuracy", accuracy_table),
    "summary": ("accuracy", summary_table),
    "groups": ("accuracy", groups_table),
    "seconds": ("accuracy", seconds_table),
    "certainty": ("accuracy", certainty_table),
    "foreign": ("foreign", foreign_table),
    "audit": ("audit", audit_table),
    "peers": ("peers", peers_table),
    "latency": ("latency", latency_table),
    "robustness": ("robustness", robustness_table),
    "protocols": ("protocols", protocols_table),
    "temperature": ("protocols", temperature_table),
    "features": ("features", features_table),
    "startup": ("startup", startup_table),
    "web_answers": ("web", web_answers_table),
    "web_prosody": ("web", web_prosody_table),
    "web_cost": ("web", web_cost_table),
    "training": ("training", training_table),
    "journal": ("journal", journal_table),
    "live": ("live", live_table),
    "streaming": ("streaming", streaming_table),
    "archive": ("archive", archive_table),
    "sizing": ("archive", sizing_table),
    "reach": ("archive", reach_table),
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
    """Write a table; columns after the first `n_text` are right-aligned. Without rows: nothing."""
    if not rows:
        return ""
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
