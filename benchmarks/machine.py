"""What the benchmarks share: where the corpora are, what machine this is, where results go."""

import json
import os
import platform
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Return the folder of the corpora: EMOVOX_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("EMOVOX_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"{folder}: the corpora are not here; EMOVOX_DATA names their folder")
    return folder


def machine() -> dict[str, Any]:
    """Describe the machine without naming it."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")
    return {"processor": model, "cores": os.cpu_count(), "system": platform.system()}


def write_result(name: str, result: dict[str, Any]) -> None:
    """Write benchmarks/results/NAME.json."""
    path = REPOSITORY / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(f"wrote {path.relative_to(REPOSITORY)}")
