"""What a passphrase protects: each row sealed with a key, which a key of the passphrase wraps."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import JournalError, optional
from .schema import COLUMNS

_NONCE = 12  # bytes, as NIST SP 800-38D advises for AES-GCM
_KEY = 32  # bytes: AES-256
_SALT = 16  # bytes
_N, _R, _P = 2**17, 8, 1  # of scrypt (RFC 7914): OWASP's first choice, some 0.4 s and 128 MB
_WRAPPED_FOR = b"emovox journal key"


@dataclass(frozen=True)
class Lock:
    """The data key as a journal keeps it: wrapped by a key that scrypt makes of the passphrase."""

    salt: bytes
    n: int
    r: int
    p: int
    wrapped: bytes


class Open:
    """The rows of a journal without a passphrase: as they are."""

    def seal(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns to be written for a row that has a value for each of the table's."""
        return {**row, "sealed": None}

    def reveal(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row that was read."""
        return {name: row[name] for name in COLUMNS[table]}

    def seal_bytes(self, content: bytes) -> bytes:
        """Return what is written for bytes, such as sound."""
        return content

    def reveal_bytes(self, content: bytes) -> bytes:
        """Return the bytes that were sealed."""
        return content


class Vault(Open):
    """The rows of a journal with a passphrase: sealed by AES-256-GCM, a nonce for each.

    Parameters
    ----------
    key : bytes
        The data key, of 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        with optional("journal"):
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)

    def seal(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns to be written for a row: empty ones, and all of them sealed."""
        names = COLUMNS[table]
        values = json.dumps([row[name] for name in names], separators=(",", ":")).encode()
        return {**dict.fromkeys(names), "sealed": self._sealed(values, table.encode())}

    def reveal(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row that was read."""
        names = COLUMNS[table]
        values = json.loads(self._revealed(row["sealed"], table.encode()))
        return dict(zip(names, values + [None] * (len(names) - len(values)), strict=True))

    def seal_bytes(self, content: bytes) -> bytes:
        """Return bytes sealed."""
        return self._sealed(content, b"sound")

    def reveal_bytes(self, content: bytes) -> bytes:
        """Return the bytes that were sealed."""
        return self._revealed(content, b"sound")

    def _sealed(self, content: bytes, kind: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, kind)

    def _revealed(self, sealed: bytes | None, kind: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], kind)  # type: ignore[index]
        except (InvalidTag, TypeError, ValueError):
            raise JournalError(f"a row of {kind.decode()} is damaged") from None


@dataclass(frozen=True)
class Key:
    """What opens a journal again without its passphrase, as long as the passphrase is the same."""

    lock: Lock | None  # None where the journal has no passphrase
    vault: Open = field(repr=False)


def new_lock(passphrase: str) -> tuple[Lock, Vault]:
    """Make a new data key; return it wrapped for the passphrase, and the vault that it opens.

    Raises
    ------
    JournalError
        If the passphrase is empty.
    """
    if not passphrase.strip():
        raise JournalError("expected a passphrase, got an empty one")
    key, salt = secrets.token_bytes(_KEY), secrets.token_bytes(_SALT)
    nonce = secrets.token_bytes(_NONCE)
    wrapper = _wrapper(passphrase, salt, _N, _R, _P)
    return Lock(salt, _N, _R, _P, nonce + wrapper.encrypt(nonce, key, _WRAPPED_FOR)), Vault(key)


def opened(lock: Lock, passphrase: str) -> Vault:
    """Return the vault of a journal's lock.

    Raises
    ------
    JournalError
        If the passphrase is not the one that the lock was made with, or the lock was destroyed.
    """
    from cryptography.exceptions import InvalidTag

    try:
        wrapper = _wrapper(passphrase, lock.salt, lock.n, lock.r, lock.p)
        key = wrapper.decrypt(lock.wrapped[:_NONCE], lock.wrapped[_NONCE:], _WRAPPED_FOR)
    except (InvalidTag, ValueError):
        raise JournalError("the passphrase is not that of this journal") from None
    return Vault(key)


def _wrapper(passphrase: str, salt: bytes, n: int, r: int, p: int) -> Any:
    """Return the cipher of the key that scrypt makes of a passphrase."""
    with optional("journal"):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    if n > _N or r > _R or p > _P:  # of a file that somebody made to take all memory
        raise JournalError("the journal's lock asks for more memory than emovox allows")
    key = Scrypt(salt=salt, length=_KEY, n=n, r=r, p=p).derive(passphrase.encode())
    return AESGCM(key)
