"""The speech model on voices it has never heard, without and with a running baseline.

Run with ``python benchmarks/accuracy.py``. Every task trains the recipe of configs/speech.toml anew
on the four corpora, without the tested voices. It goes on where it stopped, takes about a minute a
fold once the features are cached, and writes benchmarks/results/accuracy.json. The corpora are
looked for in EMOVOX_DATA; ``--encoder`` names whisper-tiny's weights, without which the shipped
model's own encoder is used.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from calibration import unheard_calibration
from emovox.provenance import versions
from emovox.runs import Console, train
from emovox.settings import Settings, read_settings
from machine import REPOSITORY, data_folder, machine, write_result

CORPORA = ("nemo", "ravdess", "emodb", "tess")
TO_NEUTRAL = {"calm": "neutral", "boredom": "neutral"}
# name: protocol, groups, emotions that count as others
TASKS: dict[str, tuple[str, str, dict[str, str]]] = {
    "tess-other-actress": ("speaker", "tess", TO_NEUTRAL),
    "ravdess-emobox-8-labels": ("speaker", "ravdess-emobox", {"boredom": "neutral"}),
    "leave-one-corpus-out": ("corpus", "", TO_NEUTRAL),
    "emodb-7-labels": ("speaker", "emodb", {"calm": "neutral"}),
}

SEVEN_LABELS = ("tess", "leave")  # tasks with the shipped model's labels; they calibrate it


def settings_of(task: str, seed: int, encoder: str) -> Settings:
    """Return the shipped recipe under the protocol of a task."""
    protocol, groups, merge = TASKS[task]
    data = data_folder()
    changes: dict[str, Any] = {
        "corpora": [f"{name}={data / name}" for name in CORPORA],
        "protocol": protocol,
        "groups": str(REPOSITORY / "configs" / "groups" / f"{groups}.csv") if groups else "",
        "merge": merge,
        "seed": seed,
        "encoder": encoder,
    }
    return read_settings(REPOSITORY / "configs" / "speech.toml", changes)


def row_of(report: dict[str, Any], out: Path) -> dict[str, Any]:
    """Summarise a run: UAR of each fold without and with a running baseline, and calibration."""
    folds = {}
    for name in report["folds"]:
        fold = json.loads((out / name / "report.json").read_text())
        folds[name] = {
            "n_test": fold["n_test"],
            "uar": round(fold["uar"], 4),
            "running_uar": fold["running_baseline"].get("running_test_uar"),
            "expected_calibration_error": round(fold["expected_calibration_error"], 4),
            "accuracy": round(fold["accuracy"], 4),
            "coverage": round(fold["coverage"], 4),
            "accuracy_certain": fold["accuracy_certain"],
        }
    mean = {
        key: round(sum(fold[key] for fold in folds.values()) / len(folds), 4)
        for key in ("uar", "running_uar", "expected_calibration_error")
    }
    return {"mean": mean, "folds": folds}


def main() -> None:
    """Run the tasks and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--encoder", default="")
    parser.add_argument("--task", choices=list(TASKS), action="append")
    options = parser.parse_args()
    rows = {}
    for task in options.task or TASKS:
        for seed in range(options.seeds):
            out = options.runs / f"{task}-{seed}"
            settings = settings_of(task, seed, options.encoder)
            report = train(settings, out, resume=(out / "config.toml").exists(), console=Console())
            rows[f"{task}-{seed}"] = row_of(report, out)
            print(task, seed, rows[f"{task}-{seed}"]["mean"], flush=True)
            result = {"rows": rows, "versions": versions(), "machine": machine()}
            runs = [options.runs / row for row in rows if row.startswith(SEVEN_LABELS)]
            if runs:
                temperature, threshold = unheard_calibration(runs)
                result["unheard"] = {"temperature": temperature, "threshold": threshold}
            write_result("accuracy", result)


if __name__ == "__main__":
    main()
