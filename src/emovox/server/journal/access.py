"""The journals that a request may reach, and the keys of those whose passphrase was given."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...errors import JournalError, MissingExtraError
from ...journal.folder import check_only, file_of, journal_files, new_file, plain
from ...journal.records import Consent
from ...journal.store import Journal
from ...journal.vault import Key
from ..guard import PERSON
from ..refusals import RefusedError
from ..settings import ServerSettings

T = TypeVar("T")
IDLE_S = 900.0  # after which a passphrase is asked for again


@dataclass
class _Unlocked:
    """A journal's key, and when it was used last."""

    path: Path
    key: Key
    used: float

    @property
    def unused_s(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self.used


class Journals:
    """The journals of one app: those of this machine's user, or one for each token's person.

    Nothing is held open: each request opens its journal anew, so that commands can do so as well.
    Only the keys of journals with a passphrase stay in memory, until they are locked or were not
    used for a quarter of an hour.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._unlocked: dict[str, _Unlocked] = {}
        self._deriving = asyncio.Lock()  # one passphrase at a time: each takes 128 MB

    def are_offered(self, scope: Mapping[str, Any]) -> bool:
        """Whether the service keeps journals, and one for the person of the request's token."""
        has_person = not self._settings.tokens or scope.get(PERSON) is not None
        return self._settings.has_journals and has_person

    def problem(self, scope: Mapping[str, Any]) -> str:
        """Return why a request may not reach any journal; "" if it may."""
        if not self._settings.has_journals:
            return "this service keeps no journals; `emovox serve --journal` does"
        if self._settings.tokens and scope.get(PERSON) is None:
            return "this token has no journal: the service's token file names no person for it"
        try:
            journal_files()
        except (JournalError, MissingExtraError) as error:
            return str(error)
        return ""

    def files(self, scope: Mapping[str, Any]) -> list[Path]:
        """Return the files of the journals that a request may reach."""
        if self._settings.tokens:
            own = file_of(scope[PERSON])
            return [own] if own.is_file() else []
        return journal_files()

    def can_begin(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request may begin a journal: with a token only one."""
        return not self._settings.tokens or not self.files(scope)

    def check_on(self, scope: Mapping[str, Any]) -> None:
        """Refuse a request that may not reach any journal."""
        if problem := self.problem(scope):
            raise RefusedError(403, "journal_off", problem)

    def reach(self, scope: Mapping[str, Any], name: str, handle: str) -> "Reach":
        """Return the journal of a name, with its key if the handle is that of one.

        Raises
        ------
        RefusedError
            If there is none, or the request may not reach it.
        """
        self.check_on(scope)
        path = next((file for file in self.files(scope) if file.stem == name), None)
        if path is None:
            raise RefusedError(404, "not_found", "there is no such journal; reload the page")
        return Reach(path, lambda: self._key(path, handle))

    async def begin(
        self, scope: Mapping[str, Any], name: str, consent: Consent, passphrase: str | None
    ) -> tuple[str, str]:
        """Begin a journal; return its name in addresses, and the handle of its key."""
        self.check_on(scope)
        name = plain(name)
        if self._settings.tokens:
            path = file_of(scope[PERSON])
        else:
            check_only(name)
            path = new_file()

        def create() -> Key:
            with told(path), Journal.create(path, name, consent, passphrase=passphrase) as journal:
                return journal.key

        return path.stem, self._keep(path, await self._derived(create))

    async def unlock(self, reach: "Reach", passphrase: str) -> str:
        """Open a journal by its passphrase; return the handle of its key."""

        def opened() -> Key:
            with told(reach.path), Journal.open(reach.path, passphrase=passphrase) as journal:
                return journal.key

        return self._keep(reach.path, await self._derived(opened))

    def lock(self, handle: str) -> None:
        """Forget a key."""
        self._unlocked.pop(handle, None)

    def forget(self, path: Path) -> None:
        """Forget the keys of a journal that was deleted."""
        for handle in [h for h, one in tuple(self._unlocked.items()) if one.path == path]:
            self.lock(handle)

    async def _derived(self, call: Callable[[], T]) -> T:
        async with self._deriving:
            return await asyncio.to_thread(call)

    def _keep(self, path: Path, key: Key) -> str:
        if key.lock is None:
            return ""
        handle = secrets.token_hex(16)
        self._unlocked[handle] = _Unlocked(path, key, time.monotonic())
        self._lock_unused(handle)
        return handle

    def _lock_unused(self, handle: str) -> None:
        """Forget a key as soon as it was not used for long, also where no request comes."""
        if found := self._unlocked.get(handle):
            if found.unused_s >= IDLE_S:
                self.lock(handle)
            else:
                left_s = IDLE_S - found.unused_s
                asyncio.get_running_loop().call_later(left_s, self._lock_unused, handle)

    def _key(self, path: Path, handle: str) -> Key | None:
        found = self._unlocked.get(handle)
        if found is None or found.path != path or found.unused_s >= IDLE_S:
            return None
        found.used = time.monotonic()
        return found.key


@dataclass(frozen=True)
class Reach:
    """A journal that a request may reach; `key` gives its key, None where it has none."""

    path: Path
    key: Callable[[], Key | None]

    def held(self) -> "Reach":
        """Return it with the key that it has now: a long silence does not lock it out."""
        key = self.key()
        return Reach(self.path, lambda: key)

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Open the journal for the thread that asks.

        Raises
        ------
        RefusedError
            If it is locked, gone or damaged, or what the block does is refused.
        """
        with told(self.path):
            opens = self.key() or _locked
            with Journal.open(self.path, passphrase=opens) as journal:
                yield journal


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn a journal's error into a refusal, which does not tell where the file is."""
    try:
        yield
    except JournalError as error:
        raise RefusedError(409, "journal", str(error).replace(f"{path}: ", "")) from None


def _locked() -> str:
    raise RefusedError(423, "locked", "the journal has a passphrase: unlock it first")
