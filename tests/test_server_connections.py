"""What connections may take: number, time, bytes; with plain HTTP, TLS, live sessions."""

import asyncio
import base64
import contextlib
import json
import shutil
import socket
import ssl
import struct
import subprocess
import time

import httpx
import pytest
from websockets.asyncio.client import connect as open_session
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from emovox.errors import ConfigError
from emovox.server.connections import Connections
from emovox.server.rates import Shares, client_of
from emovox.server.refusals import RefusedError
from emovox.server.settings import ServerSettings
from running_server import EXAMPLES, Running, heard, raw, running, tell

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n"
)


@pytest.fixture
def server():
    """Run a server."""
    with running() as one:
        yield one


@pytest.fixture
def prompt(monkeypatch):
    """Give clients a third of a second for what they otherwise have ten seconds for."""
    monkeypatch.setattr("emovox.server.connections._PROMPT_S", 0.3)


def connect(server: Running, content: bytes = b"", host: str = "127.0.0.1") -> socket.socket:
    """Connect and send."""
    one = socket.create_connection((host, server.port), timeout=10)
    one.sendall(content)
    return one


def is_closed(one: socket.socket, *, while_sending: bytes = b"") -> bool:
    """Tell whether the other side closes within two seconds, whatever is sent to it."""
    one.settimeout(0.05)
    for _ in range(40):
        try:
            one.sendall(while_sending)
            if one.recv(65_536) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def is_well(server: Running) -> bool:
    """Tell whether the service answers others."""
    return httpx.get(f"{server.url}/healthz").status_code == 200


class TestHeaders:
    """Headers are few, short, and come soon."""

    @pytest.mark.parametrize(
        "content",
        [
            HEAD + b"X: y\r\n" * 101 + b"\r\n",
            HEAD + b"X: " + b"y" * 400_000 + b"\r\n\r\n",
            b"GET /" + b"y" * 400_000 + b" HTTP/1.1\r\n\r\n",
            b"\r\n" * 200_000,
            b"GET / HTTP/9\r\n\r\n",
        ],
        ids=["many", "long", "path", "empty lines", "no HTTP"],
    )
    def test_unreadable(self, server, content):
        """What is no request, or never becomes one, is refused, and the connection closed."""
        with connect(server) as one:
            with contextlib.suppress(ConnectionError):
                one.sendall(content)
            assert is_closed(one)
        assert is_well(server)

    def test_refusal(self, server):
        """Too many headers are refused in the form of every error."""
        answer = raw(server.port, HEAD + b"X: y\r\n" * 101 + b"\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request")
        assert json.loads(body)["error"]["code"] == "http"

    def test_endless_trailers(self, server):
        """Trailers after a body count as headers do."""
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        with connect(server, head + b"\r\n0\r\n") as one:
            with contextlib.suppress(ConnectionError):
                one.sendall(b"X: y\r\n" * 100_000)
            assert is_closed(one)
        assert is_well(server)

    def test_cookies(self, server):
        """Cookies of other services on the same host do not count, in sessions neither."""
        cookies = b"Cookie: " + b"; ".join(b"k%d=%s" % (n, b"v" * 400) for n in range(25)) + b"\r\n"
        answer = raw(server.port, HEAD + cookies + b"Connection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        with connect(server, UPGRADE + cookies + b"\r\n") as one:
            assert one.recv(100).startswith(b"HTTP/1.1 101")

    def test_handshake(self, server):
        """A handshake that cannot be read is refused, and does not stay."""
        with connect(server, UPGRADE + b"X: " + b"y" * 9_000 + b"\r\n\r\n") as one:
            assert one.recv(100).startswith(b"HTTP/1.1 400")
            assert is_closed(one)
        with server.live() as session:
            tell(session, "session.close")
            assert heard(session)[-1]["type"] == "session.closed"

    def test_no_such_session(self, server, caplog):
        """A session at a path that is none is refused as HTTP does, and is no mistake of ours."""
        answer = raw(server.port, UPGRADE.replace(b"/v1/stream", b"/nothing") + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 404")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "not_found"
        assert not [record for record in caplog.records if record.name == "emovox.server"
                    and record.levelname == "ERROR"]  # fmt: skip


class TestTime:
    """Who dawdles is cut off."""

    def test_answered_but_dribbling(self, server, prompt):
        """What is left of a request that has been answered has to come soon."""
        with connect(server, HEAD + b"Content-Length: 100000\r\n\r\n") as one:
            assert one.recv(65_536).startswith(b"HTTP/1.1 200")
            assert is_closed(one, while_sending=b"a")

    def test_empty_lines_after_an_answer(self, server, prompt):
        """Empty lines between requests do not keep a connection."""
        with connect(server, HEAD + b"\r\n") as one:
            assert one.recv(65_536).startswith(b"HTTP/1.1 200")
            assert is_closed(one, while_sending=b"\r\n")

    def test_upgrade_with_a_body(self, server, prompt):
        """A handshake that announces a body does not keep a connection."""
        with connect(server, UPGRADE + b"Content-Length: 100000\r\n\r\n") as one:
            assert is_closed(one, while_sending=b"a")

    def test_reads_nothing(self, prompt, caplog):
        """Who asks for much and reads nothing is cut off, and that is no mistake of ours."""
        n_asked = 800
        with running(max_requests_per_s=1e6) as server, socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            one.connect(("127.0.0.1", server.port))
            one.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * n_asked)
            time.sleep(1.5)
            found = b""
            with contextlib.suppress(ConnectionError):
                while part := one.recv(65_536):
                    found += part
            assert found.count(b"HTTP/1.1 200") < n_asked
            assert is_well(server)
        assert not [record for record in caplog.records if record.levelname == "ERROR"]

    def test_reads_late(self, server, prompt):
        """Who reads what it asked for, if slowly, gets all of it."""
        with connect(server, HEAD.replace(b"healthz", b"openapi.json") + b"\r\n") as one:
            time.sleep(0.2)
            found = b""
            while not found.endswith(b"}}}}") and (part := one.recv(1_000)):
                found += part
            json.loads(found.partition(b"\r\n\r\n")[2])

    def test_requests_one_after_the_other(self, server, prompt):
        """A client that sends one request after the other is not cut off."""
        with httpx.Client() as client:
            for _ in range(5):
                assert client.get(f"{server.url}/healthz").status_code == 200
                time.sleep(0.15)

    def test_old_http(self, server):
        """A client of HTTP/1.0 is answered, and its connection closed."""
        answer = raw(server.port, b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b'{"status":"ok"}')


class TestNumber:
    """One address has its share."""

    def test_connections(self):
        """Of connections one address has a share, and others have the rest."""
        with running(max_sessions=1, max_uploads=1, max_share=0.05) as server:
            idle = [connect(server) for _ in range(10)]
            answer = raw(server.port, HEAD + b"\r\n")
            assert answer == b"" or answer.startswith(b"HTTP/1.1 503")
            with connect(server, HEAD + b"\r\n", "127.0.0.1") as one:
                assert is_closed(one)
            for one in idle:
                one.close()
            time.sleep(0.2)
            assert is_well(server)

    def next_session(self, server: Running) -> ClientConnection:
        """Begin a session as soon as the one before has given its place back."""
        for _ in range(200):
            with contextlib.suppress(InvalidStatus):
                return server.live()
            time.sleep(0.05)
        raise AssertionError("the place was not given back within 10 s")

    def test_sessions_give_their_place_back(self):
        """A connection that became a session gives its place back when it ends, as any other."""
        with running(max_sessions=1, max_uploads=1, max_share=0.02) as server:
            for _ in range(12):
                with self.next_session(server) as session:
                    tell(session, "session.close")
                    assert heard(session)[-1]["type"] == "session.closed"
            for _ in range(12):
                assert is_well(server)

    def test_uploads(self):
        """Of places for recordings one address has a share."""
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: audio/wav\r\n\r\nRIFF"
        )
        with running(max_uploads=4) as server, contextlib.ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(connect(server, head))
            time.sleep(0.3)
            content = (EXAMPLES / "even.flac").read_bytes()
            answer = httpx.post(f"{server.url}/v1/predict", files={"file": content})
            assert answer.status_code == 503
            assert "2 from one address" in answer.json()["error"]["message"]

    def test_shares(self):
        """All addresses together have the limit, each a share of it, and at least one place."""
        places = Shares("walks", 4, 0.5, retry_s=3)
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(places.place("a"))
            with pytest.raises(RefusedError, match="2 from one address is the limit"):
                stack.enter_context(places.place("a"))
            stack.enter_context(places.place("b"))
            with places.place("b"), pytest.raises(RefusedError, match="4 in all") as refused:
                stack.enter_context(places.place("c"))
            assert refused.value.headers == {"Retry-After": "3"}
            stack.enter_context(places.place("c"))
        with Shares("walks", 1, 0.1).place("a"):
            pass

    @pytest.mark.parametrize(
        ("address", "client"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:db8::ffff:1", "2001:db8::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("", ""),
        ],
    )
    def test_client_of(self, address, client):
        """Addresses of one IPv6 network are one client's; of IPv4 each is one."""
        assert client_of(address) == client


class TestSessions:
    """What a session's client leaves unread does not fill the memory."""

    def test_pings(self, server):
        """Who pings and reads nothing is cut off."""
        ping = b"\x89\xfd" + bytes(4) + b"x" * 125
        with connect(server, UPGRADE + b"\r\n") as one:
            one.recv(4_096)
            one.settimeout(2)
            with pytest.raises(ConnectionError):  # not a time-out: the service reads on until then
                for _ in range(200):
                    one.sendall(ping * 1_000)
        assert is_well(server)

    def test_tiny_messages_leave_others_their_turn(self, server):
        """A flood of the smallest messages, before and after its session ends, delays nobody."""
        tiny = b"\x81\x81" + bytes(4) + b"{"
        with connect(server, UPGRADE + b"\r\n") as one:
            assert one.recv(100).startswith(b"HTTP/1.1 101")
            one.settimeout(0.01)
            slowest = 0.0
            for _ in range(20):
                with contextlib.suppress(OSError):
                    one.sendall(tiny * 30_000)
                started = time.perf_counter()
                assert httpx.get(f"{server.url}/healthz").status_code == 200
                slowest = max(slowest, time.perf_counter() - started)
        assert slowest < 1.0

    def test_endless_messages_after_the_end(self, server):
        """Who goes on sending when the session has been closed is cut off."""
        with connect(server, UPGRADE + b"\r\n") as one:
            assert one.recv(100).startswith(b"HTTP/1.1 101")
            one.sendall(b"\x81\x81" + bytes(4) + b"{")  # no JSON: ends the session
            audio = b"\x82\xfe" + struct.pack("!H", 32_000) + bytes(4 + 32_000)
            assert is_closed(one, while_sending=audio)

    def test_endless_fragments(self, server):
        """A message in more fragments than anybody needs cuts its client off."""
        with connect(server, UPGRADE + b"\r\n") as one:
            assert one.recv(100).startswith(b"HTTP/1.1 101")
            one.sendall(b"\x01\x80" + bytes(4) + (b"\x00\x80" + bytes(4)) * 5_000)
            assert is_closed(one)

    def test_large_messages_come_whole(self, server):
        """A message larger than what is parsed at a time is heard like a small one."""
        with server.live() as session:
            heard(session, "session.created")
            session.send(bytes(60_000))
            tell(session, "session.close")
            assert heard(session)[-1]["seconds"] == 60_000 / 2 / 16_000

    def test_text_that_is_no_text(self, server, caplog):
        """Text that is not UTF-8 ends the session with 1007, and is no mistake of the service."""
        with connect(server, UPGRADE + b"\r\n") as one:
            assert one.recv(100).startswith(b"HTTP/1.1 101")
            one.sendall(b"\x81\x83" + bytes(4) + b"\xed\xa0\x80")
            content = b""
            with contextlib.suppress(OSError):
                while part := one.recv(65_536):
                    content += part
        assert struct.pack("!H", 1007) in content
        assert not [one for one in caplog.records if one.levelname == "ERROR"]

    def test_pongs_that_wait_behind_audio(self, server):
        """A session whose pongs the service has not read yet, since it is behind, goes on."""
        config = server.server.config
        config.ws_ping_interval = 0.1
        config.ws_ping_timeout = config.ws_ping_timeout and 0.1
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one:
            one.sendall(UPGRADE + b"\r\n")
            time.sleep(1)
            one.sendall(b"\x81\x90" + bytes(4) + b'{"type": "ping"}')
            said = b""
            while b'"pong"' not in said:
                part = one.recv(65_536)
                assert part, "the session was closed"
                said += part
        assert b"\x89" in said  # it was pinged, and never answered

    def test_honest_pings(self, server):
        """Who pings and reads is answered."""
        ping = b"\x89\x84" + bytes(4) + struct.pack("!I", 7)
        with connect(server, UPGRADE + b"\r\n") as one:
            one.recv(4_096)
            for _ in range(100):
                one.sendall(ping)
            found = b""
            while found.count(b"\x8a\x04" + struct.pack("!I", 7)) < 100:
                found += one.recv(65_536)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
class TestTLS:
    """The same behind TLS."""

    @pytest.fixture
    def files(self, tmp_path):
        """Make a certificate and its key."""
        made = {"ssl_certfile": str(tmp_path / "c.pem"), "ssl_keyfile": str(tmp_path / "k.pem")}
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]
        paths = ["-out", made["ssl_certfile"], "-keyout", made["ssl_keyfile"]]
        subprocess.run([*command, *paths], check=True, capture_output=True)
        return made

    def test_answers(self, files):
        """Requests and sessions go through TLS."""
        content = (EXAMPLES / "even.flac").read_bytes()
        with running(**files) as server:
            url = server.url.replace("http", "https")
            context = ssl.create_default_context(cafile=files["ssl_certfile"])
            context.check_hostname = False
            answer = httpx.post(f"{url}/v1/predict", files={"file": content}, verify=context)
            assert answer.status_code == 200
            live_url = server.live_url.replace("ws", "wss", 1)

            async def session() -> str:  # asyncio's, since threads may not share a TLS socket
                async with open_session(live_url, ssl=context) as one:
                    await one.send('{"type": "session.close"}')
                    return [text async for text in one][-1]

            for _ in range(5):
                assert json.loads(asyncio.run(session()))["type"] == "session.closed"

    def test_no_handshake(self, files, prompt):
        """Connections that never begin TLS, or begin it with junk, are cut off and not counted."""
        with running(max_share=0.02, **files) as server:
            url = server.url.replace("http", "https")
            for content in (b"", HEAD, b"\x16\x03"):
                silent = [connect(server, content) for _ in range(5)]
                assert all(is_closed(one) for one in silent)
                for one in silent:
                    one.close()
            context = ssl.create_default_context(cafile=files["ssl_certfile"])
            context.check_hostname = False
            assert httpx.get(f"{url}/healthz", verify=context).status_code == 200

    def test_certificates(self, files, tmp_path):
        """A certificate that cannot be used is refused at the start, in one line."""
        (tmp_path / "junk.pem").write_text("junk")
        for name in ("missing.pem", "junk.pem"):
            with pytest.raises(ConfigError, match="expected a certificate and its key"):
                Connections(ServerSettings(**{**files, "ssl_keyfile": str(tmp_path / name)}))
