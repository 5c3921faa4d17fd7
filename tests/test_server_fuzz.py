"""The service against what no honest client sends: never a crash, a hang, a 5xx, a traceback."""

import contextlib
from collections import Counter
from types import ModuleType

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import positive_data_acceptance
from websockets.exceptions import ConnectionClosed

from conftest import REPOSITORY, benchmark
from running_server import RATE, heard, raw, results, running, say, speech, tell

EVEN = (REPOSITORY / "examples" / "even.flac").read_bytes()
N_UPLOADS, N_MESSAGES, N_BODIES = 210, 1_500, 300


@pytest.fixture(scope="module")
def junk() -> ModuleType:
    """Load what makes junk."""
    return benchmark("junk")


@pytest.fixture(scope="module")
def server():
    """Run a server that does not slow down fast clients."""
    with running(max_messages_per_s=1e6, max_requests_per_s=1e6) as one:
        expected = httpx.post(f"{one.url}/v1/predict", files={"file": EVEN}).json()["prediction"]
        yield one
        after = httpx.post(f"{one.url}/v1/predict", files={"file": EVEN}).json()["prediction"]
        assert after == expected  # whatever came in between


@pytest.fixture
def no_errors(caplog):
    """Expect no error in the log of a test."""
    yield
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_schema(server, mode, no_errors):
    """What fits the OpenAPI document, or just does not, is answered as the document says."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 6
    for operation in operations:

        @settings(
            max_examples=12, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            # What fits need not be accepted: any bytes are a file, but few files are audio.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        with contextlib.suppress(Unsatisfiable):  # nothing can be wrong where nothing is asked
            check()


def test_mutated_recordings(server, junk, no_errors):
    """Recordings of all formats, with bytes of their headers changed, are answered or refused."""
    rng = np.random.default_rng(20240229)
    contents = junk.recordings(speech(silence_s=0.0)[: RATE // 2], RATE)
    assert len(contents) == 7
    statuses: Counter[int] = Counter()
    with httpx.Client(timeout=30) as client:
        for index in range(N_UPLOADS):
            content = junk.mutated(list(contents.values())[index % len(contents)], rng)
            answer = client.post(
                f"{server.url}/v1/predict",
                files={"file": content},
                params={"segments": index % 2 == 0},
            )
            statuses[answer.status_code] += 1
            assert "Traceback" not in answer.text
            answer.json()
    assert set(statuses) <= {200, 413, 415, 422}
    assert len(statuses) > 2  # so the mutations reach all depths


def test_mutated_bodies(server, no_errors):
    """Multipart bodies with bytes changed are answered or refused, too."""
    rng = np.random.default_rng(20240229)
    request = httpx.Request("POST", "http://x", files={"file": ("a", EVEN)}, data={"baseline": ""})
    body, kind = request.read(), request.headers["content-type"]
    statuses: Counter[int] = Counter()
    with httpx.Client(timeout=30) as client:
        for _ in range(N_BODIES):
            changed = bytearray(body)
            for _ in range(int(rng.integers(1, 6))):
                at = int(rng.integers(0, 400))
                changed[at : at + int(rng.integers(0, 3))] = rng.bytes(int(rng.integers(0, 3)))
            answer = client.post(
                f"{server.url}/v1/predict", content=bytes(changed), headers={"Content-Type": kind}
            )
            statuses[answer.status_code] += 1
            answer.json()
    assert set(statuses) <= {200, 400, 415, 422}
    assert len(statuses) > 2


def test_mutated_requests(server, no_errors):
    """Whatever stands where a request should, the server answers the next one."""
    rng = np.random.default_rng(20240229)
    request = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
    for _ in range(60):
        changed = bytearray(request)
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(0, len(changed)))
            changed[at : at + int(rng.integers(0, 3))] = rng.bytes(int(rng.integers(0, 3)))
        answer = raw(server.port, bytes(changed), timeout=0.05)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 100"))
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_messages(server, junk, no_errors):
    """Junk in live sessions is refused, and leaves neither a session nor a mistake behind."""
    rng = np.random.default_rng(20240229)
    left = N_MESSAGES
    reasons: Counter[str] = Counter()
    while left > 0:
        with server.live() as session:
            try:
                if reasons.total() % 2:  # with audio first, it bears a hundred mistakes
                    say(session, np.zeros(16, np.int16))
                for _ in range(250):  # more than it takes to be shown the door
                    left -= 1
                    session.send(junk.message(rng))
                tell(session, "session.close")
            except ConnectionClosed:
                pass
            assert "Traceback" not in str(heard(session))
            reasons[session.close_reason] += 1
    mistakes = {"json", "type", "parameter", "baseline", "odd_bytes"}
    assert set(reasons) <= {"session.close", "too_many_errors", "", *mistakes}
    assert reasons["too_many_errors"] > 2
    assert mistakes & set(reasons)
    with server.live() as session:
        say(session, speech())
        tell(session, "session.close")
        assert len(results(heard(session))) == 1
    assert httpx.get(f"{server.url}/readyz").status_code == 200
