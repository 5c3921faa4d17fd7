"""The settings of the service, from Python, the command line or the environment."""

import dataclasses
import difflib
import math
import os
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import read_limited

PREFIX = "EMOVOX_"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# A browser can only send a token on a WebSocket as a subprotocol, which is a token of RFC 7230.
_TOKEN_LETTERS = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
_PERSON = re.compile(r"[\w.-]{1,64}", re.ASCII)  # of a token's journal
_JOURNALS = ("auto", "on", "off")
_ORIGIN = re.compile(r"(https?)://([\w.-]+|\[[\da-f:.]+\])(?::(\d+))?/?")
_MAX_TOKEN_FILE = 100_000  # bytes


def _setting(default: Any, text: str, **options: Any) -> Any:
    """Return a field with its description, which docs/http.md repeats."""
    return field(default=default, metadata={"text": text}, **options)


@dataclass(frozen=True)
class ServerSettings:
    """Where the service listens, who may use it, and how much it takes on.

    Every number is above 0, except that `port` and `workers` may be 0.

    Raises
    ------
    ConfigError
        If a setting is out of range or malformed.
    """

    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8000, "port to listen on; 0: any free port")
    model: str | None = _setting(None, "model file, or the name of a shipped model")
    page: str | None = _setting(
        None, "folder that `emovox page` wrote; the page then also works on the visitor's device"
    )
    tokens: tuple[str, ...] = _setting(
        (), "accepted bearer tokens; if empty, no token is needed", repr=False
    )
    journal: str = _setting(
        "auto",
        "`on` or `off`: whether the page keeps journals; `auto`: if the service listens on this "
        "machine alone and needs no token",
    )
    origins: tuple[str, ...] = _setting(
        (), "origins of other sites whose pages may use the service; `*`: all"
    )
    workers: int = _setting(0, "threads for live sessions; 0: one per core")
    ssl_certfile: str | None = _setting(None, "TLS certificate as a PEM file")
    ssl_keyfile: str | None = _setting(None, "private key of the TLS certificate")
    ffmpeg: bool = _setting(
        False, "decode recordings that libsndfile cannot read with ffmpeg: `true` or `false`"
    )
    max_upload_mb: float = _setting(50.0, "maximum size of a request in MB")
    max_clip_s: float = _setting(300.0, "maximum seconds of a recording recognised as a whole")
    max_seconds: float = _setting(14_400.0, "maximum seconds of a recording split into segments")
    max_uploads: int = _setting(32, "maximum number of concurrent requests with recordings")
    upload_timeout_s: float = _setting(120.0, "seconds within which a request must arrive")
    max_requests_per_s: float = _setting(
        100.0, "requests per second from one address, on average; bursts may be twice as large"
    )
    max_share: float = _setting(
        0.5, "share of the connections, sessions and uploads open to one address; at most 1"
    )
    max_sessions: int = _setting(40, "maximum number of concurrent live sessions")
    max_message_kb: float = _setting(64.0, "maximum size of a message in a live session, in kB")
    max_messages_per_s: float = _setting(
        200.0, "messages per second read from a live session; the client waits with further ones"
    )
    max_session_s: float = _setting(14_400.0, "maximum seconds of a live session")
    idle_s: float = _setting(60.0, "seconds without a message after which a live session ends")
    send_timeout_s: float = _setting(10.0, "seconds within which a client must read a message")
    shutdown_s: float = _setting(
        10.0, "seconds that sessions and requests have to finish when the service stops"
    )

    def __post_init__(self) -> None:
        """Check the numbers, the tokens and the origins."""
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            if setting.name in ("port", "workers"):
                _expect(0 <= value <= 65_535, setting.name, value, "0 to 65535")
            elif isinstance(value, int | float) and not isinstance(value, bool):
                _expect(0 < value < math.inf, setting.name, value, "more than 0")
        _expect(self.max_share <= 1, "max_share", self.max_share, "at most 1")
        for token, person in self.people.items():
            _check_token(token)
            if person is not None and not _PERSON.fullmatch(person):
                raise ConfigError(
                    "expected TOKEN=PERSON, the person as 1 to 64 letters, digits and ._-; a token "
                    "has no = in it"
                )
        if len(set(self.tokens)) != len(self.people):
            raise ConfigError("expected one person for each token, got two for the same one")
        _expect(self.journal in _JOURNALS, "journal", self.journal, ", ".join(_JOURNALS))
        if self.journal == "on" and not (self.local or self.tokens):
            raise ConfigError(
                "journal: others can reach this service; give each person a token, in a token "
                "file with lines of TOKEN=PERSON"
            )
        object.__setattr__(self, "origins", tuple(map(_origin, self.origins)))
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ConfigError("TLS needs both: ssl_certfile and ssl_keyfile")

    @property
    def local(self) -> bool:
        """Whether only programs on the same machine can reach the service."""
        return self.host in _LOOPBACK

    @property
    def people(self) -> dict[str, str | None]:
        """Each token, with the word for the person whose journal it opens; None where it has none.

        A token is given as TOKEN or as TOKEN=PERSON; several may be of one person.
        """
        parts = (entry.partition("=") for entry in self.tokens)
        return {token: person if equals else None for token, equals, person in parts}

    @property
    def has_journals(self) -> bool:
        """Whether the page keeps journals."""
        return self.journal == "on" or (self.journal == "auto" and self.local and not self.tokens)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, **options: Any
    ) -> "ServerSettings":
        """Read the settings from variables such as EMOVOX_PORT.

        EMOVOX_TOKEN holds tokens and EMOVOX_ORIGINS origins, separated by white space;
        EMOVOX_TOKEN_FILE is the path of a file with tokens.

        Parameters
        ----------
        environment : mapping, optional
            Default: the process's own.
        **options
            Settings, or a `token_file`, that override their variables unless they are None.

        Raises
        ------
        ConfigError
            If a variable is malformed, or its name resembles a setting but is not one.
        """
        env = os.environ if environment is None else environment
        settings = {PREFIX + s.name.upper(): s for s in dataclasses.fields(cls)}
        del settings[f"{PREFIX}TOKENS"]
        _check_names(env, {*settings, f"{PREFIX}TOKEN", f"{PREFIX}TOKEN_FILE"})
        values = {
            s.name: _parsed(s, name, env[name]) for name, s in settings.items() if name in env
        }
        values |= {name: value for name, value in options.items() if value is not None}
        token_file = values.pop("token_file", None) or env.get(f"{PREFIX}TOKEN_FILE")
        if "tokens" not in values:
            values["tokens"] = (*_tokens_of(env), *_tokens_in(token_file))
        return cls(**values)


def _check_names(environment: Iterable[str], known: set[str]) -> None:
    """Refuse a misspelt variable: the limit or token that it sets would not hold."""
    for name in environment:
        near = difflib.get_close_matches(name, known, 1, cutoff=0.85)
        if name.startswith(PREFIX) and name not in known and near:
            raise ConfigError(f"{name}: unknown setting; did you mean {near[0]}?")


def _parsed(setting: "dataclasses.Field[Any]", name: str, text: str) -> Any:
    if setting.name == "origins":
        return tuple(text.split())
    kind: Any = type(setting.default)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name}: expected true or false, got {text!r:.40}")
        return text.lower() == "true"
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}: expected {wanted}, got {text!r:.40}") from None


def _tokens_of(environment: Mapping[str, str]) -> list[str]:
    text = environment.get(f"{PREFIX}TOKEN")
    if text is not None and not text.strip():  # an unfilled secret
        raise ConfigError(
            f"{PREFIX}TOKEN: expected a token, got none; unset the variable to serve without one"
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
        raise ConfigError(f"{path}: expected tokens as UTF-8 text, got other bytes") from None
    if not tokens:  # an empty file must not open the service to all
        raise ConfigError(f"{path}: expected a token on each line, got none")
    return tokens


def _check_token(token: str) -> None:
    """Refuse a token that is easy to guess, or that a browser cannot send."""
    if foreign := sorted(set(token) - _TOKEN_LETTERS):
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
    """Return an origin as browsers write it: lower case, without path or default port."""
    if text == "*":
        return text
    match = _ORIGIN.fullmatch(text.lower())
    if not match:
        raise ConfigError(f"expected an origin like https://my.example, got {text!r}")
    scheme, host, port = match.groups()
    default_port = {"http": "80", "https": "443"}[scheme]
    return f"{scheme}://{host}" + ("" if port in (None, default_port) else f":{port}")


def _expect(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {wanted}, got {value}")
