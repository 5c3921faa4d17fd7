"""The answers of a run, kept in a file line by line, so that an interrupted one goes on."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ..errors import ConfigError
from ..files import make_folder
from .subjects import Answer

NAME = "answers.jsonl"
Key = tuple[str, str]  # the recording, and the change ("" for the recording as it is)


class Ledger:
    """Answers by recording and change; `open_ledger` reads and continues a file of them."""

    def __init__(self, answers: Mapping[Key, Answer], out: TextIO) -> None:
        self._answers = dict(answers)
        self._out = out

    def __contains__(self, key: Key) -> bool:
        return key in self._answers

    def __getitem__(self, key: Key) -> Answer:
        return self._answers[key]

    def add(self, answers: Mapping[Key, Answer]) -> None:
        """Keep more answers, and write them at once."""
        for (recording, change), answer in answers.items():
            self._out.write(json.dumps([recording, change, *_cells(answer)]) + "\n")
        self._out.flush()
        self._answers |= answers


@contextmanager
def open_ledger(folder: Path, facts: Mapping[str, Any]) -> Iterator[Ledger]:
    """Open the ledger of a folder, a new one if there is none.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    facts : mapping
        What the answers depend on, for JSON.

    Raises
    ------
    ConfigError
        If the folder holds answers that depend on other facts, or another kind of file.
    OSError
        If it cannot be read or written.
    """
    file = folder / NAME
    make_folder(folder)
    head = json.dumps(facts, sort_keys=True)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    if lines and lines[0].rstrip("\n") != head:
        raise ConfigError(_other_facts(folder, lines[0], facts))
    whole = [line for line in lines if line.endswith("\n")]  # a killed run leaves half a line
    with file.open("w" if not lines else "r+", encoding="utf-8") as out:
        out.seek(sum(len(line.encode()) for line in whole))
        out.truncate()
        if not whole:
            out.write(head + "\n")
        yield Ledger(dict(map(_read, whole[1:])), out)


def _cells(answer: Answer) -> tuple[list[float], bool, str]:
    return [round(score, 6) for score in answer.scores], answer.certain, answer.refused


def _read(line: str) -> tuple[Key, Answer]:
    try:
        recording, change, scores, certain, refused = json.loads(line)
        return (recording, change), Answer(tuple(scores), certain, refused)
    except (ValueError, TypeError):
        raise ConfigError(f"{NAME}: damaged at {line[:60]!r}; use another --out") from None


def _other_facts(folder: Path, head: str, facts: Mapping[str, Any]) -> str:
    try:
        before = json.loads(head)
        differ = [name for name in facts if before.get(name) != facts[name]]
    except (ValueError, AttributeError):
        differ = []
    what = f"of a run with other {', '.join(differ)}" if differ else "that are none of a test run"
    return f"{folder}: holds answers {what}; use another --out, or delete {NAME}"
