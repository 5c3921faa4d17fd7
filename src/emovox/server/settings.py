"""The settings of the service: one frozen record, from flags and from the environment."""

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError

PREFIX = "EMOVOX_"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


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
    max_sessions : int
        Live sessions at the same time.
    max_message_kb, max_messages_per_s : float
        Size and number of a live session's messages; faster ones wait.
    max_session_s, idle_s : float
        Seconds of one live session, and without a message in it.
    send_timeout_s : float
        Seconds a client may leave what it is sent unread.
    shutdown_s : float
        Seconds that live sessions have to end when the service stops.
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
        for token in self.tokens:
            if not token.isascii() or not token.isprintable() or len(token) < 16 or " " in token:
                raise ConfigError(
                    "expected tokens of 16 or more ASCII characters without spaces, got one that "
                    f"is not (of {len(token)} characters)"
                )
        for origin in self.origins:
            if origin != "*" and not origin.startswith(("http://", "https://")):
                raise ConfigError(f"expected an origin like https://my.example, got {origin!r}")
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
            text = env.get(f"{PREFIX}TOKEN", "")
            values["tokens"] = (*text.split(), *_tokens_in(token_file))
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


def _tokens_in(path: str | os.PathLike[str] | None) -> list[str]:
    if path is None:
        return []
    try:
        tokens = Path(path).read_text(encoding="utf-8").split()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the tokens: {error.strerror}") from None
    except ValueError:  # no UTF-8
        raise ConfigError(f"{path}: expected tokens as text, got other bytes") from None
    if not tokens:  # an empty file must not open the service to all
        raise ConfigError(f"{path}: expected a token on each line, got none")
    return tokens


def _expect(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {wanted}, got {value}")
