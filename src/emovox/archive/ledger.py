"""The output folder of a run: its settings, the recordings of each part, and the finished parts.

    scores/     one Parquet file of answers for each part; the file exists when the part is done
    ledger/     settings.json, the settings of the run; plan/, one file for each part with its
                recordings; end.json, once all recordings are listed; at/, the recording that a
                worker is busy with; voices/ and baselines/, the speakers' embeddings, until the
                run is done

All but at/ is written under another name, flushed to the disk and renamed, so that a kill or a
power cut at any moment leaves whole files only; a damaged file counts as missing. Only its owner
can enter ledger/.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import ArchiveError
from ..files import make_folder, write_text, written_whole
from .rows import Tally

_METADATA = b"emovox"  # the key of a part's tally in its Parquet file
_ROWS_READ = 64  # the fewest of a table of speakers that are read at a time


class Ledger:
    """The paths of a run's output; workers on other machines must see the same folder."""

    def __init__(self, out: Path) -> None:
        self.out, inside = out, out / "ledger"
        self.settings = inside / "settings.json"
        self.end = inside / "end.json"  # exists once all recordings are listed
        self.head = inside / "head.onnx"  # of the model, for the second pass
        self.scratch = inside / "scratch"  # of workers on this machine, during a run

    def plan(self, part: int) -> Path:
        """Return the file that lists the recordings of a part."""
        return self.out / "ledger" / "plan" / f"{part:08d}.parquet"

    def scores(self, part: int) -> Path:
        """Return the file of a part's answers."""
        return self.out / "scores" / f"part-{part:08d}.parquet"

    def voices(self, part: int) -> Path:
        """Return the file of the embeddings of a part's recordings."""
        return self.out / "ledger" / "voices" / f"{part:08d}.parquet"

    def baselines(self, group: int) -> Path:
        """Return the file of the baselines of a group of speakers."""
        return self.out / "ledger" / "baselines" / f"{group:03d}.parquet"

    def at(self, part: int) -> Path:
        """Return the file that names the recording of a part that a worker is busy with."""
        return self.out / "ledger" / "at" / f"{part:08d}.json"

    def n_planned(self) -> int:
        """Return how many parts are planned; a lost or damaged plan among them counts."""
        files = self.plan(0).parent.glob(8 * "[0-9]" + ".parquet")
        return max((int(file.stem) for file in files), default=-1) + 1

    def n_recordings(self, part: int) -> int | None:
        """Return how many recordings a part holds; None if its plan is lost or damaged."""
        try:
            return int(pq.read_metadata(self.plan(part)).num_rows)
        except (OSError, pa.ArrowException):
            return None

    def all_listed(self) -> bool:
        """Tell whether the source was listed to its end, and all of it is planned."""
        end = _read_json(self.end)
        return end is not None and end.get("parts") == self.n_planned()

    def forget(self, parts: range) -> None:
        """Delete the last parts and their answers; they are planned again."""
        self.end.unlink(missing_ok=True)
        for part in reversed(parts):
            for path in (self.scores, self.voices, self.at, self.plan):
                path(part).unlink(missing_ok=True)

    def start(self, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Begin a run, or resume it.

        Raises
        ------
        ArchiveError
            If the folder holds something else, or a run with other settings.
        """
        used = self._is_used()
        if used and not resume:
            raise ArchiveError(
                f"{self.out}: expected an empty or a new folder; resume its run with --resume, or "
                "begin one with another --out"
            )
        if used and not self.settings.exists():
            raise ArchiveError(f"{self.out}: holds no run of emovox score to resume")
        for unfinished in self.out.rglob(".part-*"):  # left by a kill
            unfinished.unlink(missing_ok=True)
        before = _read_json(self.settings)
        if before is None and not self.n_planned():  # new, or killed at its very start
            write_text(self.settings, json.dumps(settings, indent=2) + "\n")
        else:
            self._compare(before, settings)

    def _is_used(self) -> bool:
        """Tell whether the folder holds anything but the traces of a run killed at its start."""
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
                f"{self.settings}: damaged, so the settings of the run are lost; begin another run "
                "with another --out"
            )
        names = [name for name in settings if before[name] != settings[name]]
        if names:
            changes = "; ".join(f"{name} was {before[name]}, is {settings[name]}" for name in names)
            raise ArchiveError(
                f"{self.out}: this run has other settings ({changes}); resume it with the same, or "
                "begin another with another --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder; the lock ends with the process, even if killed.

        Windows has no such locks: there, other runs are not kept out.
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
            except (ImportError, OSError):  # some network disks have no locks either
                pass
            yield


def commit(
    path: Path, table: pa.Table, tally: Tally | None = None, *, private: bool = False
) -> None:
    """Write a table, whole or not at all, with its tally in the file's metadata.

    With `private`, as the tables of speakers are, others cannot read it, and some of its rows can
    be read without the rest.
    """
    metadata = {**(table.schema.metadata or {}), _METADATA: (tally or Tally()).to_json()}
    n_rows = _ROWS_READ if private else None
    with written_whole(path, private=private) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, row_group_size=n_rows)


def read(path: Path, **how: Any) -> pa.Table:
    """Read one of the run's tables.

    Raises
    ------
    ArchiveError
        If it is damaged or cannot be read.
    """
    try:
        return pq.read_table(path, **how)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ArchiveError(
            f"{path}: cannot be read ({reason}); if it is damaged, delete it, then --resume"
        ) from None


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return the names and values in a file; None if it is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def tally_of(path: Path) -> Tally | None:
    """Return the tally of a part that is done; None if it is not, or its file is damaged."""
    try:
        return Tally.from_json(pq.read_schema(path).metadata[_METADATA])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError):
        return None
