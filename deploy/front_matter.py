"""Write the front matter of MODEL_CARD.md, which model hubs read, from the card in the model file.

Run with ``python deploy/front_matter.py``; ``--check`` changes nothing and ends with 1 where the
page is not up to date. Labels, languages, corpora and terms are the card's; the figures are those
of benchmarks/results/accuracy.json on corpora that a head was not trained on.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from emovox import Recognizer
from emovox.corpora.published import SPECS

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "MODEL_CARD.md"
_BLOCK = re.compile(r"\A(---\n.*?\n---\n\n)?", re.DOTALL)
_ROWS = {  # of accuracy.json, by the corpus of which nothing was in the training
    "nemo": ("unheard-nemo", "6 emotions"),
    "ravdess": ("unheard-ravdess", "7 emotions"),
    "emodb": ("unheard-emodb-six", "6 emotions that the other corpora have as well"),
    "tess": ("unheard-tess", "7 emotions"),
}


def front_matter() -> dict[str, Any]:
    """Return the fields of the hubs' model cards."""
    card = Recognizer.load().card
    corpora = {corpus["name"]: corpus["title"] for corpus in card.corpora}
    return {
        "library_name": "emovox",
        "pipeline_tag": "audio-classification",
        "license": "other",
        "license_name": "emovox-weights",
        "license_link": "LICENSE-WEIGHTS",
        "language": sorted({SPECS[name].language for name in corpora}),
        "tags": ["emotion-recognition", "speech", "onnx"],
        "model-index": [{"name": card.name, "results": _results(corpora)}],
    }


def _results(corpora: dict[str, str]) -> list[dict[str, Any]]:
    """Return a result for each corpus that was left out of the training."""
    rows = json.loads((REPOSITORY / "benchmarks/results/accuracy.json").read_text())["rows"]
    return [
        {
            "task": {"type": "audio-classification", "name": "Speech emotion recognition"},
            "dataset": {"type": name, "name": f"{title}; nothing of it in training; {labels}"},
            "metrics": [
                {"type": "recall", "name": words, "value": rows[row][key]["mean"]}
                for key, words in (
                    ("uar", "UAR, no baseline"),
                    ("running_uar", "UAR, running baseline"),
                )
            ],
        }
        for name, title in corpora.items()
        for row, labels in (_ROWS[name],)
    ]


def page() -> str:
    """Return MODEL_CARD.md with its front matter made anew."""
    text = yaml.safe_dump(front_matter(), sort_keys=False, allow_unicode=True, width=100)
    before = PAGE.read_text(encoding="utf-8")
    return _BLOCK.sub(lambda _: f"---\n{text}---\n\n", before, count=1)


def main() -> None:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    text = page()
    if parser.parse_args().check:
        sys.exit(text != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
