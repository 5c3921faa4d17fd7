"""The AsyncAPI document: served, of the code's own messages, and true in both directions."""

import json

import httpx
import pytest

from emovox import Recognizer
from emovox.server.encodings import decoder
from emovox.server.messages import RECEIVED, SENT, Encoding, asyncapi
from emovox.server.protocol import ENCODINGS, KINDS, MessageError, SessionOptions, read_message
from running_server import check_message, heard, running, say, speech, tell, validators
from test_docs import rows, section
from test_server_live import JUNK

jsonschema_rs = pytest.importorskip("jsonschema_rs")


@pytest.fixture(scope="module")
def server():
    """Run a server that asks for a token."""
    with running(tokens=("a-token-of-some-length",)) as one:
        yield one


def names(models) -> set[str]:
    """Return the types of messages."""
    (kinds,) = {tuple(model.model_fields["type"].annotation.__args__[0] for model in models)}
    return set(kinds)


def test_served(server):
    """The document needs no token, and its references lead somewhere."""
    document = httpx.get(f"{server.url}/asyncapi.json").json()
    assert document == asyncapi()
    assert document["asyncapi"] == "3.0.0"
    text = json.dumps(document)
    for part in text.split('"$ref": "#/')[1:]:
        found = document
        for key in part.split('"')[0].split("/"):
            found = found[key]


def test_same_as_the_code_and_the_page():
    """It has the messages and encodings of the protocol and of docs/http.md."""
    assert names(SENT) == set(KINDS)
    assert set(Encoding.__args__) == set(ENCODINGS)
    told = {
        name.strip("` ")
        for row in rows(section("docs/http.md", "Live"))
        for name in row[0].split(",")
        if "." in name or "`" in name
    }
    assert told >= names(SENT) | names(RECEIVED)
    properties = asyncapi()["components"]["schemas"]["SessionUpdate"]["properties"]
    with pytest.raises(MessageError, match="takes") as refusal:
        read_message('{"type": "session.update", "other": 1}')
    assert all(name in str(refusal.value) for name in properties.keys() - {"type"})


@pytest.mark.parametrize(
    "message",
    [
        {"type": "session.update"},
        {"type": "session.update", "encoding": "alaw", "rate": 8000, "channels": 2},
        {"type": "session.update", "encoding": "linear16", "baseline": None},
        {"type": "session.update", "channels": 2, "baselines": [None, None]},
        {"type": "session.update", "interval_s": 1, "learn": False, "prosody": True},
        {"type": "flush", "channel": 0},
        {"type": "flush", "channel": None},
        {"type": "ping", "anything": [1]},
        {"type": "baseline.get"},
        {"type": "baseline.reset", "channel": 7},
        {"type": "session.update", "practice": {"target": "happy", "takes": 5}},
        {"type": "practice", "loudness": "-4dB"},
        {"type": "session.close"},
    ],
)
def test_valid_messages(message):
    """What the document allows the service reads."""
    check_message(message)
    request = read_message(json.dumps(message))
    decoder(SessionOptions().changed(request.changes))


# About two values at once, which a schema of one cannot tell.
ACROSS = ('"opus"', '"channels": 2', '"baseline": null, "baselines"', '"channel": 1}')


@pytest.mark.parametrize(
    "text",
    [
        text
        for text, code in JUNK
        if code == "parameter" and not any(words in text for words in (*ACROSS, "1e400"))
    ],
)
def test_invalid_messages(text):
    """What the service refuses the document forbids, if it is about one value alone."""
    message = json.loads(text)
    with pytest.raises(jsonschema_rs.ValidationError):
        validators()[message["type"]].validate(message)


def test_all_messages_of_sessions(server):
    """Each message of sessions of all kinds is as described; together they are all there are."""
    baseline = Recognizer.load().new_baseline().to_dict()
    headers = {"Authorization": "Bearer a-token-of-some-length"}
    kinds: set[str] = set()
    for options in ({"channels": 2, "prosody": True}, {"emotion": False, "baseline": baseline}):
        sent = {"type": "session.update", **options}
        check_message(sent)
        with server.live(additional_headers=headers) as session:
            session.send(json.dumps(sent))
            say(session, speech().repeat(options.get("channels", 1)), 3_200)
            for kind in ("baseline.get", "turn", "ping", "nothing", "session.close"):
                tell(session, kind)
            kinds |= {message["type"] for message in heard(session)}  # checks each
    practice = {kind for kind in names(RECEIVED) if kind.startswith("practice.")}
    assert kinds == names(RECEIVED) - practice  # for those see test_server_practice.py
