"""The acoustic CNN-LSTM under every protocol: TESS random, sentence, speaker; RAVDESS speaker.

Run with ``python benchmarks/protocols.py``. It trains 13 runs (about half an hour on 2 cores), goes
on where it stopped, and writes benchmarks/results/protocols.json. The corpora are looked for in
EMOVOX_DATA (default ../shared/data).
"""

import argparse
import json
from pathlib import Path
from typing import Any

from calibration import unheard_calibration
from emovox.evaluation.run import versions
from emovox.training.run import train
from emovox.training.settings import Settings
from machine import data_folder, machine, write_result

SEEDS = range(5)
GROUPS = Path(__file__).parents[1] / "configs" / "groups" / "ravdess-emobox.csv"


def plans(data: Path) -> dict[str, Settings]:
    """Name the runs and their settings."""
    tess, ravdess = f"tess={data / 'tess'}", f"ravdess={data / 'ravdess'}"
    made = {
        f"tess-{protocol}-{seed}": Settings(corpora=(tess,), protocol=protocol, seed=seed)
        for protocol in ("random", "sentence")
        for seed in SEEDS
    }
    for seed in range(3):
        made[f"tess-speaker-{seed}"] = Settings(corpora=(tess,), protocol="speaker", seed=seed)
    made["ravdess-speaker-0"] = Settings(corpora=(ravdess,), protocol="speaker", groups=str(GROUPS))
    return made


def run(settings: Settings, out: Path) -> dict[str, Any]:
    """Train, or go on, or read the report of a finished run."""
    if (out / "report.json").exists():
        report: dict[str, Any] = json.loads((out / "report.json").read_text())
        return report
    return train(settings, out, resume=(out / "config.toml").exists())


def main() -> None:
    """Run all plans and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/protocols"))
    runs = parser.parse_args().runs
    rows = {}
    for name, settings in plans(data_folder()).items():
        report = run(settings, runs / name)
        rows[name] = {key: report[key] for key in ("protocol", "seed", "accuracy", "uar")}
        if name.startswith("tess-speaker"):
            rows[name]["temperature_unheard"] = unheard_calibration([runs / name])[0]
        rows[name]["n_test"] = report.get("n_test") or report["pooled"]["n"]
        if "folds" in report:
            rows[name]["folds"] = {key: fold["uar"] for key, fold in report["folds"].items()}
        print(f"{name:20} accuracy {report['accuracy']:.2%}  UAR {report['uar']:.2%}", flush=True)
    write_result("protocols", {"rows": rows, "versions": versions(), "machine": machine()})


if __name__ == "__main__":
    main()
