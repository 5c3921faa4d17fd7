"""The settings of the service: one frozen record, from flags and from the environment."""

import dataclasses
import math
import os
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..files import read_limited

PREFIX = "EMOVOX_"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# A browser can send a token on a WebSocket as a subprotocol alone, so it is a token of RFC 7230.
_OF_TOKENS = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
_MAX_TOKEN_FILE = 100_000  # bytes


@dataclass(frozen=True)
class ServerSettings:
    """Where the service listens, whom it answers, and how much it takes on.

    Parameters
    ----------
    host, port : str, int
        Where it listens; port 0 takes any free one.
    model : str or None
        A model file or the name of a shipped one.
    tokens : tuple of str
        Who knows one of them is answered; empty: everybody is.
    origins : tuple of str
        Pages of other hosts that may use the service from a browser, such as
        "https://my.example"; "*": all.
    workers : int
        Threads that recognise; 0: as many as the machine has cores.
    max_upload_mb : float
        Size of one request.
    max_clip_s, max_seconds : float
        Seconds of a recording that is answered as a whole, and of one answered part by part.
    max_uploads : int
        Requests with recordings at the same time.
    upload_timeout_s : float
        Seconds within which a request has to arrive.
    max_requests_per_s : float
        From one address, on average; twice as many may come at once.
    max_share : float in (0, 1]
        Of connections, live sessions and requests with recordings, what one address may have.
    max_sessions : int
        Live sessions at the same time.
    max_message_kb, max_messages_per_s : float
        Size and number of a live session's messages; faster ones wait.
    max_session_s, idle_s : float
        Seconds of one live session, and without a message in it.
    send_timeout_s : float
        Seconds a client may leave what it is sent unread.
    shutdown_s : float
        Seconds that live sessions and requests have to end when the service stops.
    ssl_certfile, ssl_keyfile : str or None
        Certificate and key, for https and wss.

    Raises
    ------
    ConfigError
        If one of them cannot be.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    model: str | None = None
    tokens: tuple[str, ...] = field(default=(), repr=False)
    origins: tuple[str, ...] = ()
    workers: int = 0
    max_upload_mb: float = 50.0
    max_clip_s: float = 300.0
    max_seconds: float = 14_400.0
    max_uploads: int = 32
    upload_timeout_s: float = 120.0
    max_requests_per_s: float = 100.0
    max_share: float = 0.5
    max_sessions: int = 40
    max_message_kb: float = 64.0
    max_messages_per_s: float = 200.0
    max_session_s: float = 14_400.0
    idle_s: float = 60.0
    send_timeout_s: float = 10.0
    shutdown_s: float = 10.0
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers, and what tokens and origins look like."""
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if one.name in ("port", "workers"):
                _expect(0 <= value <= 65_535, one.name, value, "0 to 65535")
            elif isinstance(value, int | float):
                _expect(0 < value < math.inf, one.name, value, "more than 0")
        _expect(self.max_share <= 1, "max_share", self.max_share, "at most 1")
        for token in self.tokens:
            _check_token(token)
        object.__setattr__(self, "origins", tuple(map(_origin, self.origins)))
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ConfigError("TLS needs both: ssl_certfile and ssl_keyfile")

    @property
    def local(self) -> bool:
        """Whether only programs on the same machine can reach the service."""
        return self.host in _LOOPBACK

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, **given: Any
    ) -> "ServerSettings":
        """Read the settings from variables such as EMOVOX_PORT; `given` ones stand above them.

        EMOVOX_TOKEN holds tokens, EMOVOX_TOKEN_FILE the path of a file of them, EMOVOX_ORIGINS
        origins; where there are several, white space stands between them.

        Raises
        ------
        ConfigError
            If a variable does not hold what it should.
        """
        env = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for one in dataclasses.fields(cls):
            text = env.get(PREFIX + one.name.upper())
            if text is not None and one.name != "tokens":
                values[one.name] = _parsed(one, text)
        values |= {name: value for name, value in given.items() if value is not None}
        token_file = values.pop("token_file", None) or env.get(f"{PREFIX}TOKEN_FILE")
        if "tokens" not in values:
            values["tokens"] = (*_tokens_of(env), *_tokens_in(token_file))
        return cls(**values)


def _parsed(one: "dataclasses.Field[Any]", text: str) -> Any:
    if one.name == "origins":
        return tuple(text.split())
    kind = type(one.default)
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError:
        name = PREFIX + one.name.upper()
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}: expected {wanted}, got {text!r:.40}") from None


def _tokens_of(environment: Mapping[str, str]) -> list[str]:
    text = environment.get(f"{PREFIX}TOKEN")
    if text is not None and not text.strip():  # a secret that was not filled in
        raise ConfigError(
            f"{PREFIX}TOKEN: expected a token, got none; to serve without one, unset the variable"
        )
    return (text or "").split()


def _tokens_in(path: str | os.PathLike[str] | None) -> list[str]:
    if path is None:
        return []
    try:
        tokens = read_limited(Path(path), _MAX_TOKEN_FILE).decode().split()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the tokens: {error.strerror}") from None
    except ValueError:  # no UTF-8
        raise ConfigError(f"{path}: expected tokens as text, got other bytes") from None
    if not tokens:  # an empty file must not open the service to all
        raise ConfigError(f"{path}: expected a token on each line, got none")
    return tokens


def _check_token(token: str) -> None:
    """Refuse a token that is easily guessed, or that a browser could not send."""
    if foreign := sorted(set(token) - _OF_TOKENS):
        raise ConfigError(
            "expected tokens of letters, digits and !#$%&'*+-.^_`|~, since a browser can send no "
            f"others on a WebSocket, got one with {' '.join(map(ascii, foreign[:5]))}; "
            "`openssl rand -hex 32` makes one"
        )
    if len(token) < 16:
        raise ConfigError(
            f"expected tokens of 16 or more characters, got one of {len(token)}; "
            "`openssl rand -hex 32` makes one"
        )


def _origin(text: str) -> str:
    """Return an origin as browsers write it: no path, no usual port, small letters."""
    if text == "*":
        return text
    try:
        parts = urlsplit(text.lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    bare = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
        raise ConfigError(f"expected an origin like https://my.example, got {text!r}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


def _expect(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {wanted}, got {value}")
