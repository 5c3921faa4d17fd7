"""Practice over a live session: the usual voice, takes, and messages as described."""

import httpx
import numpy as np
import pytest

from emovox import load_audio
from emovox.practice.aims import known_changes, loudness_aim
from emovox.practice.session import USUAL_S, Practice, hear_usual
from emovox.server.messages import RECEIVED
from running_server import EXAMPLES, RATE, heard, running, say, tell

QUIET = np.zeros(int(1.3 * RATE), np.int16)


@pytest.fixture(scope="module")
def server():
    """Run a server that reads as fast as it can."""
    with running(max_messages_per_s=5_000) as one:
        yield one


@pytest.fixture(scope="module")
def even() -> np.ndarray:
    """Read a sentence of an even voice, as 16-bit samples."""
    return (12_000 * load_audio(EXAMPLES / "even.flac")).astype(np.int16)  # twice as loud fits


@pytest.fixture(scope="module")
def reading(even: np.ndarray) -> np.ndarray:
    """Make enough of it for a usual voice."""
    n = int(np.ceil((USUAL_S + 2) * RATE / len(even)))
    return np.concatenate([part for _ in range(n) for part in (even, QUIET[: RATE // 4])])


def told(session, kind: str) -> dict:
    """Return the next message of a kind."""
    return heard(session, kind)[-1]


def test_what_can_be_practised(server):
    """The route names the emotions, which of them the model knows, and sentences to say."""
    answer = httpx.get(f"{server.url}/v1/practice").json()
    targets = {one["target"]: one for one in answer["targets"]}
    assert targets.keys() == known_changes().keys()
    assert targets["happy"]["recognised"] and targets["happy"]["measured"]
    assert not targets["sad"]["measured"]
    assert not targets["calm"]["recognised"]
    assert answer["dimensions"]["pitch"] == "st"
    assert len(answer["sentences"]) >= 3


def test_takes(server, even, reading):
    """Takes are judged as the command judges them; silence costs none; a sentence has its best."""
    with server.live() as session:
        practice = {"loudness": "6dB", "takes": 2}
        tell(session, "session.update", rate=RATE, emotion=False, practice=practice)
        updated = told(session, "session.updated")
        assert updated["practice"]["wanted"]["loudness"]["low"] == 4
        say(session, np.concatenate([reading // 100, QUIET]))
        again = told(session, "practice.again")
        assert "too quiet" in again["message"]
        say(session, np.concatenate([reading, QUIET]))
        before = heard(session, "practice.usual")
        assert before[-1]["speech_seconds"] >= 10
        moments = [one for one in before if one["type"] == "practice.moment"]
        assert any(one["speaking"] for one in moments)
        assert all(one["pitch_st"] is None for one in moments)
        gaps = np.diff([one["seconds"] for one in moments])
        assert 0.08 <= gaps.min() <= gaps.max() <= 0.6  # as often as sound is handled

        say(session, np.concatenate([even, QUIET, 2 * even, QUIET]))
        first, second = (heard(session, "practice.attempt") for _ in range(2))
        assert max(one["loudness_db"] for one in second if one.get("speaking")) > 2
        pitches = [one["pitch_st"] for one in second if one.get("pitch_st") is not None]
        assert np.median(pitches) == pytest.approx(0, abs=3)
        first, second = first[-1], second[-1]
        assert first["hint"]["text"].startswith("speak louder")
        assert [first["take"], second["take"]] == [1, 2]
        assert (first["over"], second["over"], second["best"]) == (False, True, 2)
        assert "emotion" not in second

        tell(session, "practice", pitch="up")
        assert told(session, "practice.aim")["target"] == "pitch +3 st"
        say(session, np.concatenate([even, QUIET]))
        after = told(session, "practice.attempt")
        assert (after["take"], after["takes"], after["over"]) == (1, 3, False)
        for kind in ("turn", "baseline.get"):
            tell(session, kind)
            assert "no turns and no baseline" in told(session, "error")["message"]
        tell(session, "practice", target="sad")  # which cannot be measured
        assert told(session, "error")["code"] == "parameter"
        tell(session, "session.close")
        assert heard(session)[-1]["type"] == "session.closed"
    kinds = {name for model in RECEIVED for name in model.model_fields["type"].annotation.__args__}
    assert {kind for kind in kinds if kind.startswith("practice")} == {
        "practice.again", "practice.aim", "practice.attempt", "practice.moment", "practice.usual",
    }  # fmt: skip
    usual = hear_usual([(reading, RATE)])
    wanted = Practice(loudness_aim("6dB"), usual).attempt(even, RATE)
    assert first["changes"]["loudness"] == pytest.approx(wanted.changes["loudness"], abs=0.2)
    assert second["closeness"] > 0.9


def test_with_the_model(server, even, reading):
    """With emotion on, what the model heard stands beside what was measured."""
    with server.live() as session:
        tell(session, "session.update", rate=RATE, practice={"target": "happy"})
        assert told(session, "session.updated")["practice"]["emotion"] == "happy"
        say(session, np.concatenate([reading, QUIET, even, QUIET]))
        attempt = told(session, "practice.attempt")
        assert abs(sum(attempt["emotion"]["scores"].values()) - 1) < 0.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"practice": {"target": "contempt"}}, "expected a target of"),
        ({"practice": {"target": "calm"}}, "does not know"),
        ({"practice": {"target": "sad"}, "emotion": False}, "cannot be measured"),
        ({"practice": {}}, "one of target, loudness, pitch"),
        ({"practice": {"target": "happy", "pitch": "up"}}, "one of target"),
        ({"practice": {"loudness": "6dB", "takes": 99}}, "1 to 20 takes"),
        ({"practice": {"loudness": "6dB", "other": 1}}, "got 'other'"),
        ({"practice": "happy"}, "expected an object"),
        ({"practice": {"pitch": "up"}, "channels": 2}, "expected 1 with practice"),
    ],
)
def test_refused(server, options, words):
    """What cannot be practised ends the session in words."""
    with server.live() as session:
        tell(session, "session.update", **options)
        error = told(session, "error")
        assert (error["code"], error["fatal"]) == ("parameter", True)
        assert words in error["message"]


def test_not_begun(server, even):
    """A session that was not begun with practice has none."""
    with server.live() as session:
        tell(session, "session.update", rate=RATE)
        say(session, even[:RATE])
        tell(session, "practice", pitch="up")
        assert "session.update first" in told(session, "error")["message"]
