"""The JavaScript client in Node, against a real service: what the Python client gives."""

import json
import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

import emovox
from running_server import EXAMPLES, RATE, running, speech

CLIENT = Path(emovox.__file__).parent / "page" / "client.js"
TOKEN = "a-token-of-some-length"
LIVE = """
const live = await client.live(options);
for (let at = 0; at < sound.length; at += step) live.send(sound.subarray(at, at + step));
live.finish();
const events = [];
for await (const event of live) events.push(event);
out({ events, baselines: live.baselines });
"""


def node() -> str:
    """Return a Node of version 22 or newer, as installed or as playwright brings it."""
    found = [shutil.which("node")]
    try:
        from playwright._impl._driver import compute_driver_executable

        found.append(str(compute_driver_executable()[0]))
    except ImportError:
        pass
    for program in filter(None, found):
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        if int(version.strip().lstrip("v").partition(".")[0]) >= 22:
            return program
    pytest.skip("there is no Node 22")


def js(url: str, body: str, token: str = "", **names: object) -> dict:
    """Run a script in Node, without flags; return what it gives to `out`."""
    script = "\n".join(
        [
            f"import {{ Client, ServiceError }} from {json.dumps(str(CLIENT))};",
            "import { readFile } from 'node:fs/promises';",
            "const out = (value) => console.log(JSON.stringify(value));",
            f"const client = new Client({json.dumps(url)}, {{ token: {json.dumps(token)} }});",
            *(f"const {name} = {json.dumps(value)};" for name, value in names.items()),
            body,
        ]
    )
    command = [node(), "--input-type=module", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def server():
    """Run a server."""
    with running(max_messages_per_s=5_000) as one:
        yield one


def test_recordings(server, shipped):
    """Predictions, segments, measurements and baselines of recordings are those of Python."""
    path = EXAMPLES / "even.flac"
    found = js(
        server.url,
        """
        const file = await readFile(path);
        const baseline = await client.enrol("Anna", [file, new Blob([file])]);
        const prediction = await client.predict(file, { baseline, prosody: true });
        const { segments } = await client.segments(file);
        const measurement = await client.measure(file);
        const { labels } = await client.model();
        out({ baseline, prediction, segments, measurement, labels });
        """,
        path=str(path),
    )
    baseline = shipped.enrol("Anna", [path, path])
    assert found["baseline"] == baseline.to_dict()
    assert found["prediction"] == shipped.predict(path, baseline=baseline, prosody=True).to_dict()
    assert found["segments"] == [one.to_dict() for one in shipped.segments(path)]
    assert found["labels"] == list(shipped.labels)


def test_errors(server):
    """Refusals come with the service's code and words."""
    found = js(
        server.url,
        """
        const told = [];
        const ask = [
          () => client.predict(new Uint8Array(100)),
          () => client.live({ rate: 7000 }),
          () => new Client("http://127.0.0.1:9").model(),
          () => new Client("http://127.0.0.1:9").live(),
        ];
        for (const one of ask)
          await one().catch((error) => told.push([error instanceof ServiceError, error.message]));
        out(told);
        """,
    )
    assert [known for known, _ in found] == [True] * 4
    assert "recording" in found[0][1] or "audio" in found[0][1]
    assert "rate" in found[1][1]
    assert all("no answer from" in words for _, words in found[2:])


def test_token():
    """A token opens requests and sessions; a session without it is refused as unknown."""
    with running(tokens=(TOKEN,)) as server:
        body = (
            "const one = await client.live(); one.finish(); for await (const x of one); out([1]);"
        )
        assert js(server.url, body, TOKEN) == [1]
        body = "await client.live().catch(({ status }) => out([status]));"
        assert js(server.url, body) == [401]


@pytest.mark.parametrize("kind", ["Int16Array", "Float32Array"])
def test_live(server, shipped, kind):
    """A live session hears samples of 16 bits and floats as Python hears them."""
    scale = 1 if kind == "Int16Array" else 32_767
    found = js(
        server.url,
        f"const sound = {kind}.from(numbers.map((x) => x / {scale}));\n{LIVE}",
        numbers=speech().tolist(), options={}, step=1_600,
    )  # fmt: skip
    stream = shipped.stream()
    expected = [one for one in [*stream.feed(speech()), *stream.flush()] if one.final]
    results = [event["prediction"] for event in found["events"] if event["type"] == "result"]
    assert [one for one in results if one["final"]] == [one.to_dict() for one in expected]
    assert found["baselines"] == [stream.baseline.to_dict()]
    spoken = [event["began"] for event in found["events"] if event["type"] == "speech"]
    assert spoken == [True, False]


def test_channels(server):
    """Bytes of mu-law on two channels: the answers name the channel."""
    silence = [255] * 8_000
    found = js(
        server.url,
        f"const sound = Uint8Array.from(numbers);\n{LIVE}",
        numbers=[*silence, *silence], options={"encoding": "mulaw", "channels": 2}, step=320,
    )  # fmt: skip
    assert found == {"events": [], "baselines": [None, None]}


def test_turns(server, shipped):
    """Asked for a turn, it gives what was said since the one before; nothing after silence."""
    found = js(
        server.url,
        """
        const live = await client.live();
        live.send(Int16Array.from(numbers));
        live.turn();
        live.turn(0);
        live.finish();
        const turns = [];
        for await (const event of live) if (event.type === "turn") turns.push(event);
        out(turns);
        """,
        numbers=speech().tolist(),
    )
    stream = shipped.stream(RATE)
    stream.feed(speech())
    assert found[0]["prediction"] == stream.turn().to_dict()
    assert found[0]["channel"] == 0
    assert found[0]["latency_ms"] >= 0
    assert "prediction" not in found[1]


def test_lost_connection():
    """After a restart of the service the session goes on, with a gap and with the baseline."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    body = f"""
        import {{ createInterface }} from 'node:readline';
        import {{ Client }} from {json.dumps(str(CLIENT))};
        const lines = createInterface({{ input: process.stdin }})[Symbol.asyncIterator]();
        const client = new Client("http://127.0.0.1:{port}");
        const live = await client.live();
        const sound = Int16Array.from(JSON.parse((await lines.next()).value));
        live.send(sound);
        for await (const event of live) {{
          console.log(JSON.stringify([event, live.session.baselines[0]?.seconds ?? 0]));
          if (event.type === "gap") {{ live.send(sound); live.finish(); }}
          if (event.type === "result" && event.prediction.final) {{
            setTimeout(() => live.session.gap && live.send(new Int16Array(16000)), 1500);
          }}
        }}
        process.exit(0);
    """
    command = [node(), "--input-type=module", "-e", body]
    stack = ExitStack()
    stack.enter_context(running(port=port))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(json.dumps(speech().tolist()) + "\n")
        process.stdin.flush()
        found = []
        while not found or found[-1][0].get("began") is not False:
            found.append(json.loads(process.stdout.readline()))
        stack.close()
        with running(port=port):
            found += [json.loads(line) for line in process.stdout]
    gaps = [event for event, _ in found if event["type"] == "gap"]
    finals = [
        (event["prediction"], heard)
        for event, heard in found
        if event["type"] == "result" and event["prediction"]["final"]
    ]
    assert len(gaps) == 1
    assert [heard > 0 for _, heard in finals] == [False, True]
    assert finals[1][0]["start"] >= gaps[0]["end"]


def test_page_uses_it(server):
    """The page's own client is served, and is the one tested here."""
    import httpx

    assert httpx.get(f"{server.url}/page/client.js").text == CLIENT.read_text(encoding="utf-8")
    assert 'from "./client.js"' in (CLIENT.parent / "page.js").read_text(encoding="utf-8")
