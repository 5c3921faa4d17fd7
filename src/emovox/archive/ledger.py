"""The output folder of a run: what it was asked, what each part holds, and which parts are done.

    scores/     a Parquet file a part: the answers. That a part is done means that it stands here.
    ledger/     settings.json, what was asked; plan/, the recordings of each part, in a file each;
                end.json, once all are listed; at/, the recording that a worker is busy with;
                voices/ and baselines/, what was heard of the speakers, until the run is done.

What is promised lies in files that are written aside, brought to the disk and renamed, so that a
kill or a power cut at any moment leaves whole files only; what is damaged all the same counts as
not there. The folder ledger/ can be entered by its owner alone.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import ArchiveError
from ..files import make_folder, write_text, written_whole
from .rows import Tally

_METADATA = b"emovox"  # the key of a part's tally in its Parquet file


@dataclass(frozen=True)
class Ledger:
    """The paths of a run's output; workers on other machines must see the same folder."""

    out: Path

    def plan(self, part: int) -> Path:
        """Return the file that says which recordings a part holds."""
        return self.out / "ledger" / "plan" / f"{part:08d}.parquet"

    def scores(self, part: int) -> Path:
        """Return the file of a part's answers."""
        return self.out / "scores" / f"part-{part:08d}.parquet"

    def voices(self, part: int) -> Path:
        """Return the file of what was heard in a part's recordings."""
        return self.out / "ledger" / "voices" / f"{part:08d}.parquet"

    def baselines(self, group: int) -> Path:
        """Return the file of the baselines of a group of speakers."""
        return self.out / "ledger" / "baselines" / f"{group:03d}.parquet"

    def at(self, part: int) -> Path:
        """Return the file that says which recording of a part a worker is busy with."""
        return self.out / "ledger" / "at" / f"{part:08d}.json"

    @property
    def scratch(self) -> Path:
        """The folder of the workers' own files, while a run is at work on this machine."""
        return self.out / "ledger" / "scratch"

    @property
    def head(self) -> Path:
        """The file of the model's head, for the second pass."""
        return self.out / "ledger" / "head.onnx"

    @property
    def settings(self) -> Path:
        """The file of what was asked."""
        return self.out / "ledger" / "settings.json"

    @property
    def end(self) -> Path:
        """The file that says that all recordings are listed."""
        return self.out / "ledger" / "end.json"

    def n_planned(self) -> int:
        """Return how many parts are planned; one that was lost or damaged among them counts."""
        with suppress(OSError):
            found = (Path(entry.name) for entry in os.scandir(self.plan(0).parent))
            parts = (
                int(one.stem) for one in found if one.suffix == ".parquet" and one.stem.isdigit()
            )
            return max(parts, default=-1) + 1
        return 0

    def n_recordings(self, part: int) -> int | None:
        """Return how many recordings a part holds; None if its plan is lost or damaged."""
        try:
            return int(pq.read_metadata(self.plan(part)).num_rows)
        except (OSError, pa.ArrowException):
            return None

    def all_listed(self) -> bool:
        """Tell whether the source was listed to its end, and all of that is planned."""
        end = _read_json(self.end)
        return end is not None and end.get("parts") == self.n_planned()

    def forget(self, parts: range) -> None:
        """Forget the last parts and what came of them; they are planned anew."""
        self.end.unlink(missing_ok=True)
        for part in reversed(parts):
            for path in (self.scores, self.voices, self.at, self.plan):
                path(part).unlink(missing_ok=True)

    def start(self, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Begin a run, or go on with it.

        Raises
        ------
        ArchiveError
            If the folder holds something else, or a run that was asked something else.
        """
        found = self._found()
        if found and not resume:
            raise ArchiveError(
                f"{self.out}: expected an empty or a new folder; --resume goes on with a run, "
                "another --out begins one"
            )
        if found and not self.settings.exists():
            raise ArchiveError(f"{self.out}: holds no run of emovox score to go on with")
        for left in self.out.rglob(".part-*"):  # by a kill, in the midst of writing
            left.unlink(missing_ok=True)
        before = _read_json(self.settings)
        if before is None and not self.n_planned():  # new, or it was cut off at its very start
            write_text(self.settings, json.dumps(settings, indent=2) + "\n")
        else:
            self._compare(before, settings)

    def _found(self) -> bool:
        """Tell whether the folder holds anything but what a kill at the very start leaves."""
        try:
            inside = {path.name for path in self.out.iterdir()}
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise ArchiveError(f"{self.out}: expected a folder, got a file") from None
        if inside != {"ledger"}:
            return bool(inside)
        names = [path.name for path in (self.out / "ledger").iterdir()]
        return any(name != "lock" and not name.startswith(".part-") for name in names)

    def _compare(self, before: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> None:
        if before is None or not settings.keys() <= before.keys():
            raise ArchiveError(
                f"{self.settings}: damaged, so that it does not tell what the run was asked; begin "
                "another with another --out"
            )
        names = [name for name in settings if before[name] != settings[name]]
        if names:
            told = "; ".join(f"{name} was {before[name]}, is {settings[name]}" for name in names)
            raise ArchiveError(
                f"{self.out}: this run was asked something else ({told}); resume it as it was "
                "begun, or begin another with another --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder; what a kill leaves locks nobody out.

        Where the system has no such locks (Windows), nothing is kept out.
        """
        path = self.out / "ledger" / "lock"
        make_folder(self.out)
        make_folder(path.parent, private=True)
        with path.open("w") as file:
            try:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArchiveError(f"{self.out}: another run is writing to this folder") from None
            except (ImportError, OSError):  # some network disks have no locks, either
                pass
            yield


def commit(
    path: Path,
    table: pa.Table,
    tally: Tally | None = None,
    row_group: int | None = None,
    *,
    private: bool = False,
) -> None:
    """Write a table, whole or not at all, with its tally in the file's metadata.

    Rows can be read in groups of `row_group`; None: only all at once. With `private`, others
    cannot read the file.
    """
    metadata = {**(table.schema.metadata or {}), _METADATA: (tally or Tally()).to_json()}
    with written_whole(path, private=private) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, row_group_size=row_group)


def read(path: Path, **how: Any) -> pa.Table:
    """Read one of the run's tables.

    Raises
    ------
    ArchiveError
        If it is damaged, or cannot be read.
    """
    try:
        return pq.read_table(path, **how)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ArchiveError(
            f"{path}: cannot be read ({reason}); if it is damaged, delete it, then --resume"
        ) from None


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return the names and values that a file holds; None if it is not there, or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def tally_of(path: Path) -> Tally | None:
    """Return the tally of a part that is done; None if it is not, or its file is damaged."""
    try:
        return Tally.from_json(pq.read_schema(path).metadata[_METADATA])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError):
        return None
