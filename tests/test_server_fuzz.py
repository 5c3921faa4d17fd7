"""The service against what no honest client sends: never a crash, a hang, a 5xx, a traceback."""

import asyncio
import contextlib

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import positive_data_acceptance

from conftest import REPOSITORY
from running_server import heard, results, running, say, speech, tell

EVEN = (REPOSITORY / "examples" / "even.flac").read_bytes()
N_INPUTS = {
    "fuzz_requests": 400,
    "fuzz_handshakes": 200,
    "fuzz_messages": 3_000,
    "fuzz_streams": 1_000,
    "fuzz_recordings": 200,
}


@pytest.fixture(scope="module")
def server():
    """Run a server that does not slow down fast clients."""
    settings = {"max_messages_per_s": 1e6, "max_requests_per_s": 1e6, "max_sessions": 100}
    with running(idle_s=5.0, **settings) as one:
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
            max_examples=12, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            # What fits need not be accepted: any bytes are a file, but few files are audio.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        with contextlib.suppress(Unsatisfiable):  # nothing can be wrong where nothing is asked
            check()


@pytest.mark.filterwarnings(  # Starlette leaves it to Python where a body ends within a file
    "ignore:Exception ignored in. .function SpooledTemporaryFile"
    ":pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(("module", "n_inputs"), N_INPUTS.items())
def test_attack(server, benchmarks, module, n_inputs, no_errors, monkeypatch):
    """Broken requests, handshakes, messages and recordings are answered, refused or cut off."""
    attacker, attack = benchmarks(module), benchmarks("fuzz_server")
    for name in ("LINGERING", "FLOODING"):  # these take their time
        monkeypatch.setattr(attacker, name, 0.0, raising=False)
    tally = benchmarks("fuzz_tally").Tally()
    goal = attack.Goal(module, 20240229, n_inputs, seconds=60)
    asyncio.run(attack.attack(target(server, benchmarks), attacker.case, goal, tally, n_at_once=8))
    assert tally.to_dict()["faults"] == {}
    assert tally.inputs >= n_inputs
    assert len(tally.kinds) > 3  # so the inputs reach all depths


def target(server, benchmarks):
    """Return what is attacked."""
    card = httpx.get(f"{server.url}/v1/model").json()
    total = [0.0] * len(card["baseline"])
    honest = {"schema": 1, "model": card["fingerprint"], "name": "", "seconds": 9.0, "total": total}
    return benchmarks("fuzz_wire").Target(server.port, honest)


def test_honest_session_afterwards(server):
    """After all of that a live session is as good as before."""
    with server.live() as session:
        say(session, speech())
        tell(session, "session.close")
        assert len(results(heard(session))) == 1
    assert httpx.get(f"{server.url}/readyz").status_code == 200
