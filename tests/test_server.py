"""The service over HTTP: answers, refusals, limits, tokens, origins, headers, logs."""

import asyncio
import io
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import fields

import httpx
import numpy as np
import pytest
import soundfile

from conftest import REPOSITORY
from emovox import Turn
from emovox.errors import ConfigError
from emovox.measuring import measure_recording, measure_segments
from emovox.prediction import summarise
from emovox.server.answers import (
    Baseline,
    MeasuredSegments,
    MeasuredWhole,
    Model,
    Refusal,
    Segments,
    Turns,
    Whole,
)
from emovox.server.logs import JsonLines
from emovox.server.rates import Addresses, Bucket
from emovox.server.settings import ServerSettings
from emovox.server.workers import GivenUpError, Workers
from emovox.turns.finding import find_turns
from running_server import EXAMPLES, RATE, Running, raw, running, speech, wav

TOKEN = "a-token-of-some-length"
EVEN = (EXAMPLES / "even.flac").read_bytes()


@pytest.fixture(scope="module")
def server():
    """Run a server with the default settings."""
    with running() as one:
        yield one


def predict(server: Running, content: bytes = EVEN, baseline: str | None = None, **query):
    """Send a recording."""
    data = {} if baseline is None else {"baseline": baseline}
    return httpx.post(
        f"{server.url}/v1/predict",
        files={"file": ("any", content)},
        data=data,
        params=query,
        timeout=60,
    )


def turns(server: Running, content: bytes, file: tuple[str, bytes] | None = None, **query):
    """Send a recording with a file of turns, or with a number of speakers."""
    files = {"file": ("any", content)} | ({} if file is None else {"turns": file})
    return httpx.post(f"{server.url}/v1/turns", files=files, params=query, timeout=60)


def error(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, which has nothing but these and a line of text."""
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message"}
    assert body["error"]["message"]
    assert "\n" not in body["error"]["message"]
    return answer.status_code, body["error"]["code"]


class TestAnswers:
    """What the service answers is what Python answers."""

    @pytest.mark.parametrize("name", ["even", "fast-and-high", "man-fast"])
    def test_whole(self, server, shipped, name):
        """A recording gets the prediction it gets in Python, bit by bit."""
        content = (EXAMPLES / f"{name}.flac").read_bytes()
        answer = predict(server, content).json()
        assert answer["prediction"] == shipped.predict(content).to_dict()
        assert answer["model"] == shipped.fingerprint
        assert answer["seconds"] == answer["prediction"]["end"]
        assert answer["compute_ms"] > 0

    def test_segments(self, server, shipped):
        """A recording with pauses gets the segments it gets in Python, and a summary."""
        content = wav(np.concatenate([speech(), speech(name="man-fast"), speech()]))
        answer = predict(server, content, segments=True).json()
        expected = list(shipped.segments(content))
        assert len(expected) == 3
        assert answer["segments"] == [one.to_dict() for one in expected]
        assert answer["summary"] == summarise(expected).to_dict()
        assert sum(answer["summary"]["shares"].values()) == pytest.approx(1)
        assert answer["seconds"] == soundfile.info(io.BytesIO(content)).duration
        assert "warning" not in answer

    def test_channels(self, server, shipped):
        """Each channel can be answered by itself: two sides of a call."""
        left, right = speech(), speech(name="man-fast")
        n = max(len(left), len(right))
        both = np.stack([np.pad(one, (0, n - len(one))) for one in (left, right)], axis=1)
        content = wav(both)
        answer = predict(server, content, segments=True, channels="separate").json()
        sides = [
            list(shipped.segments(content, channel=channel, without_bleed=True))
            for channel in (0, 1)
        ]
        assert all(sides)
        assert answer["segments"] == [
            {**one.to_dict(), "channel": channel} for channel in (0, 1) for one in sides[channel]
        ]
        assert answer["summaries"] == [
            {"channel": channel, **summarise(sides[channel]).to_dict()} for channel in (0, 1)
        ]
        spoken_s = sum(one["speech_seconds"] for one in answer["summaries"])
        assert answer["summary"]["speech_seconds"] == pytest.approx(spoken_s, abs=1e-3)
        assert "turning_points" not in answer["summary"]

    def test_turns(self, server, shipped):
        """Turns of a file are answered as in Python, with speaker, text and a summary of each."""
        content = wav(np.concatenate([speech(), speech(name="man-fast")]))
        table = "start,end,speaker,text\n0,1.6,anna,well\n1.7,3,bob,\n90,91,bob,late\n"
        answer = turns(server, content, ("talk.csv", table.encode())).json()
        given = [Turn(0, 1.6, "anna", "well"), Turn(1.7, 3, "bob"), Turn(90, 91, "bob", "late")]
        assert answer["turns"] == [one.to_dict() for one in shipped.turns(content, given)]
        assert [one["speaker"] for one in answer["summaries"]] == ["anna", "bob"]
        assert answer["model"] == shipped.fingerprint
        among = turns(server, content, ("talk.csv", table.encode()), labels="sad, happy").json()
        two = shipped.turns(content, given, labels=["sad", "happy"])
        assert among["turns"] == [one.to_dict() for one in two]
        unknown = turns(server, content, ("talk.csv", table.encode()), labels="sad,furious")
        assert error(unknown) == (422, "parameter")
        Turns.model_validate_json(turns(server, content, ("a.csv", table.encode())).content)

    def test_speakers(self, server, shipped):
        """Without a file the speakers are found as in Python."""
        content = wav(np.concatenate([speech(), speech(name="man-fast"), speech()]))
        for speakers in (2, None):
            found = list(shipped.turns(content, find_turns(content, speakers=speakers)))
            answer = turns(server, content, speakers=speakers or "auto", prosody=False).json()
            assert answer["turns"] == [one.to_dict() for one in found]

    def test_turns_refused(self, server):
        """A damaged, unnamed, unknown or large file of turns, and impossible turns, are refused."""
        for file, expected in (
            (("talk.csv", b"start,end\n1,two\n"), (422, "turns")),
            (("talk.doc", b"start,end\n1,2\n"), (422, "turns")),
            (("talk.csv", b"start,end\n0,301\n"), (422, "turns")),
            (("talk.csv", b"start,end\n" + 60 * b"0,290\n"), (422, "turns")),
            (("talk.csv", b"start,end\n" + 300_000 * b"0,1\n"), (413, "too_large")),
        ):
            assert error(turns(server, EVEN, file)) == expected
        for speakers in ("0", "11", "many"):
            assert error(turns(server, EVEN, speakers=speakers)) == (422, "parameter")
        url = f"{server.url}/v1/turns"
        plain = httpx.post(url, files={"file": ("a", EVEN)}, data={"turns": "0,1"})
        assert error(plain) == (422, "turns")
        assert error(httpx.post(url, files={"turns": ("a.csv", b"")})) == (422, "file")

    def test_explain(self, server, shipped):
        """On demand it is told which moments carried the prediction."""
        moments = predict(server, explain=True).json()["prediction"]["moments"]
        assert moments == shipped.predict(EVEN, explain=True).to_dict()["moments"]

    @pytest.mark.parametrize("segments", [False, True])
    def test_labels(self, server, shipped, segments):
        """Among some labels the answer is that of Python."""
        answer = predict(server, labels="sad,happy", segments=segments).json()
        (one,) = answer["segments"] if segments else [answer["prediction"]]
        assert one["scores"] == dict(shipped.predict(EVEN, labels=["sad", "happy"]).scores)

    def test_prosody(self, server, shipped):
        """On demand what is measured of the voice is told, too; nothing else changes."""
        whole = predict(server, prosody=True).json()["prediction"]
        assert whole == shipped.predict(EVEN, prosody=True).to_dict()
        (segment,) = predict(server, prosody=True, segments=True).json()["segments"]
        assert segment["prosody"] == next(iter(measure_segments(EVEN))).prosody.to_dict()

    def test_measure(self, server):
        """A recording can be measured without recognising anything in it."""
        url, upload = f"{server.url}/v1/measure", {"file": ("any", EVEN)}
        answer = httpx.post(url, files=upload)
        MeasuredWhole.model_validate_json(answer.content)
        assert answer.json()["measurement"] == measure_recording(EVEN).to_dict()
        assert answer.json().keys() == {"measurement", "seconds", "compute_ms"}
        stereo = wav(np.stack([speech(), speech()[::-1]], axis=1))
        answer = httpx.post(
            url, content=stereo, headers={"Content-Type": "audio/wav"},
            params={"segments": True, "channels": "separate"},
        )  # fmt: skip
        MeasuredSegments.model_validate_json(answer.content)
        assert answer.json()["segments"] == [
            {**one.to_dict(), "channel": channel}
            for channel in (0, 1)
            for one in measure_segments(stereo, channel=channel)
        ]

    def test_measure_refuses(self, server):
        """Measuring refuses what recognising refuses."""
        url = f"{server.url}/v1/measure"
        assert error(httpx.post(url, files={"file": ("a", b"text")})) == (415, "unsupported_audio")
        answer = httpx.post(url, files={"file": ("a", EVEN)}, params={"channels": "separate"})
        assert error(answer) == (422, "parameter")
        silence = wav(np.zeros(RATE, np.int16))
        assert httpx.post(url, files={"file": ("a", silence)}).status_code == 422

    def test_baseline(self, server, shipped):
        """A baseline comes from recordings, is the one of Python, and counts when it is sent."""
        files = [("files", ("any", EVEN)), ("files", ("any", EVEN))]
        answer = httpx.post(f"{server.url}/v1/baselines", files=files, data={"name": "anna"})
        expected = shipped.enrol("anna", [EVEN, EVEN])
        assert answer.json() == json.loads(expected.to_json())
        with_baseline = predict(server, baseline=answer.text).json()["prediction"]
        assert with_baseline == shipped.predict(EVEN, baseline=expected).to_dict()
        assert with_baseline != predict(server).json()["prediction"]

    @pytest.mark.parametrize("kind", ["audio/flac", "audio/wav", "application/octet-stream"])
    @pytest.mark.parametrize("segments", [False, True])
    def test_body(self, server, kind, segments):
        """A recording may be the body itself; which kind of audio it is said to be is ignored."""
        url, query = f"{server.url}/v1/predict", {"segments": segments}
        answer = httpx.post(url, content=EVEN, headers={"Content-Type": kind}, params=query).json()
        expected = predict(server, **query).json()
        for one in (answer, expected):
            one.pop("compute_ms")
        assert answer == expected

    def test_head(self, server):
        """HEAD is answered as GET is, without the body."""
        for path in ("/healthz", "/readyz", "/v1/model", "/", "/openapi.json", "/nothing"):
            told, given = (getattr(httpx, how)(server.url + path) for how in ("head", "get"))
            assert told.status_code == given.status_code
            assert told.headers["content-length"] == given.headers["content-length"]
            assert told.content == b""
        assert httpx.head(f"{server.url}/v1/predict").status_code == 405

    def test_schemas(self, server):
        """Answers hold what the OpenAPI document says, nothing less and nothing more."""
        two = wav(np.stack([speech(), speech()], axis=1))
        Whole.model_validate_json(predict(server, explain=True).content)
        for query in ({}, {"explain": True}, {"channels": "separate"}):
            Segments.model_validate_json(predict(server, two, segments=True, **query).content)
        cut = predict(server, two[:-9_000], segments=True)
        assert Segments.model_validate_json(cut.content).warning
        answer = httpx.post(f"{server.url}/v1/baselines", files={"files": ("any", EVEN)})
        Baseline.model_validate_json(answer.content)
        Model.model_validate_json(httpx.get(f"{server.url}/v1/model").content)
        Refusal.model_validate_json(predict(server, b"").content)
        with pytest.raises(ValueError, match="segments"):
            Segments.model_validate_json(predict(server).content)

    def test_cut_off(self, server):
        """Of a recording that is cut off, what is there is answered, with a warning."""
        content = wav(np.concatenate([speech(), speech()]))
        answer = predict(server, content[: len(content) * 2 // 3], segments=True).json()
        assert answer["segments"]
        assert "cut off" in answer["warning"]

    def test_at_the_same_time(self, server, shipped):
        """Answers do not depend on who else asks."""
        expected = shipped.predict(EVEN).to_dict()
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: predict(server).json(), range(24)))
        assert all(answer["prediction"] == expected for answer in answers)

    def test_model(self, server, shipped):
        """The card is that of the model."""
        answer = httpx.get(f"{server.url}/v1/model").json()
        assert answer.pop("fingerprint") == shipped.fingerprint
        assert answer == json.loads(shipped.card.to_json())

    def test_signs_of_life(self, server):
        """It says that it lives and takes sessions."""
        assert httpx.get(f"{server.url}/healthz").json() == {"status": "ok"}
        assert httpx.get(f"{server.url}/readyz").json() == {"status": "ok"}

    def test_reference(self, server):
        """The page /docs links to the OpenAPI document, without any script."""
        page = httpx.get(f"{server.url}/docs").text
        assert 'href="/openapi.json"' in page
        assert "<script" not in page
        icon = re.search('rel="icon" href="(.+?)"', page)[1]
        assert httpx.get(f"{server.url}/{icon}").status_code == 200
        assert "/v1/predict" in httpx.get(f"{server.url}/openapi.json").json()["paths"]

    def test_metrics(self, server):
        """Figures count requests, decisions and audio, and no label tells who or what."""
        before = figures(server)
        predict(server)
        after = figures(server)
        name = 'emovox_requests_total{route="/v1/predict",status="200"}'
        assert after[name] == before.get(name, 0) + 1
        name = 'emovox_audio_seconds_total{way="upload"}'
        assert after[name] > before.get(name, 0)
        assert any(key.startswith('emovox_decisions_total{label="') for key in after)
        assert after['emovox_queue_depth{lane="live"}'] == 0
        assert after["emovox_live_sessions"] == 0


def figures(server: Running) -> dict[str, float]:
    """Return the service's metrics."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


class TestRefusals:
    """What cannot be answered is refused with one status, code and line."""

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"", (422, "audio")),
            (b"no audio at all", (415, "unsupported_audio")),
            (b"RIFF\xff\xff\xff\xffWAVEfmt ", (415, "unsupported_audio")),
            (wav(np.zeros(RATE, np.int16)), (422, "no_speech")),
            (wav(np.full(100, np.nan), subtype="FLOAT"), (422, "audio")),
            (wav(np.zeros((16, 9), np.int16)), (422, "audio")),
        ],
    )
    @pytest.mark.parametrize("segments", [False, True])
    def test_recording(self, server, content, expected, segments):
        """A recording that cannot be used says what is the matter with it."""
        answer = predict(server, content, segments=segments)
        if segments and expected[1] == "no_speech":  # of a recording of any length that is no error
            assert answer.json()["segments"] == []
        else:
            assert error(answer) == expected

    @pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
    def test_ffmpeg(self, server, shipped, tmp_path):
        """Formats that need ffmpeg are refused, unless the service may run it."""
        file = tmp_path / "a.m4a"
        command = ["ffmpeg", "-v", "error", "-i", str(EXAMPLES / "even.flac"), str(file)]
        subprocess.run(command, check=True)
        content = file.read_bytes()
        assert error(predict(server, content)) == (415, "unsupported_audio")
        with running(ffmpeg=True) as other:
            answer = predict(other, content).json()
            assert answer["prediction"] == shipped.predict(content).to_dict()
            assert predict(other, content, segments=True).json()["segments"]
            assert error(predict(other, content[:5_000])) == (415, "unsupported_audio")

    def test_no_multipart(self, server):
        """A body of another type is 415, one that is broken 400, one without a file 422."""
        url = f"{server.url}/v1/predict"
        assert error(httpx.post(url, content=EVEN)) == (415, "content_type")
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        assert error(httpx.post(url, content=b"junk", headers=kind)) == (400, "multipart")
        kind = {"Content-Type": "multipart/form-data"}
        assert error(httpx.post(url, content=b"junk", headers=kind)) == (400, "multipart")
        assert error(httpx.post(url, files={"other": EVEN})) == (422, "file")
        assert error(httpx.post(url, files={"file": (None, "text")})) == (422, "file")
        many = [("file", ("any", EVEN)), ("file", ("any", EVEN))]
        assert error(httpx.post(url, files=many)) == (400, "multipart")

    @pytest.mark.parametrize(
        "baseline", ["{", "[]", '{"schema": 1}', "null", '{"schema": 1, "model": "other"}']
    )
    def test_baseline(self, server, baseline):
        """A baseline that is none, or of another model, is refused."""
        assert error(predict(server, baseline=baseline)) == (422, "baseline")

    def test_parameters(self, server):
        """Unknown values of parameters are refused."""
        assert error(predict(server, segments="perhaps")) == (422, "parameter")
        assert error(predict(server, channels="left")) == (422, "parameter")
        assert error(predict(server, channels="separate")) == (422, "parameter")
        for labels in ("sad,furious", "sad", "", "sad,sad"):
            assert error(predict(server, labels=labels)) == (422, "parameter")

    @pytest.mark.parametrize("charset", ["punycode", "utf-7", "unicode_escape", "undefined", "x"])
    def test_charset(self, server, charset):
        """A form in another code than UTF-8 is refused at once: some codes take minutes to read."""
        kind = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
        field = b'--x\r\nContent-Disposition: form-data; name="baseline"\r\n\r\n'
        body = field + b"b" * 330_000 + b"-" + b"aa" * 330_000 + b"\r\n--x--\r\n"
        answer = httpx.post(f"{server.url}/v1/predict", content=body, headers=kind)
        assert error(answer) == (415, "content_type")

    def test_curl_without_a_type(self, server):
        """Who sends a recording as curl does by itself is told what to add."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = httpx.post(f"{server.url}/v1/predict", content=EVEN, headers=kind)
        assert error(answer) == (415, "content_type")
        message = answer.json()["error"]["message"]
        assert "-F file=@recording.wav" in message
        assert "-H 'Content-Type: audio/wav'" in message

    @pytest.mark.parametrize("key", ["model", "name", "\ud800"])
    def test_surrogates(self, server, key):
        """Half of a surrogate pair in a baseline is refused as any other mistake is."""
        values = {"schema": 1, "model": "0" * 16, "name": "x", "seconds": 1.0, "total": [0.0]}
        answer = predict(server, baseline=json.dumps({**values, key: "\ud800"}))
        assert error(answer) == (422, "baseline")

    def test_long_messages(self, server):
        """However much is wrong, a message is one line that can be read."""
        values = {"schema": 1, "model": "m\n" * 9_000, "name": "x", "seconds": 1.0, "total": [0.0]}
        answer = predict(server, baseline=json.dumps(values))
        assert error(answer) == (422, "baseline")
        assert len(answer.json()["error"]["message"]) < 600

    def test_baselines(self, server):
        """A baseline needs recordings and a name that is one."""
        url = f"{server.url}/v1/baselines"
        assert error(httpx.post(url, files={"file": EVEN})) == (422, "files")
        name = {"name": "a" * 201}
        assert error(httpx.post(url, files={"files": ("any", EVEN)}, data=name)) == (422, "name")

    def test_paths(self, server):
        """Unknown paths and methods are refused in the same form."""
        assert error(httpx.get(f"{server.url}/nothing")) == (404, "not_found")
        assert error(httpx.get(f"{server.url}/page/../settings.py")) == (404, "not_found")
        assert error(httpx.get(f"{server.url}/v1/predict")) == (405, "method_not_allowed")

    def test_page_folder_is_all_there_is(self, server):
        """No path leads out of the page's folder."""
        for path in ("/page/../server/app.py", "/page/%2e%2e/errors.py", "/page//etc/passwd"):
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert raw(server.port, request.encode()).startswith(b"HTTP/1.1 404")


class TestLimits:
    """Each limit is kept, and says so."""

    def test_bytes(self):
        """A request that is too large is refused, whether it tells its size or not."""
        with running(max_upload_mb=0.1) as server:
            assert error(predict(server, b"0" * 200_000)) == (413, "too_large")
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            parts = (b"--x\r\n" + b"0" * 50_000 for _ in range(8))
            url = f"{server.url}/v1/predict"
            assert error(httpx.post(url, content=parts, headers=kind))[0] in (400, 413)
            head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            body = (part for part in (head, *[b"0" * 50_000] * 8))
            assert error(httpx.post(url, content=body, headers=kind)) == (413, "too_large")
            assert predict(server).status_code == 200

    def test_seconds(self):
        """A recording that is too long is refused by its header, as a whole and in segments."""
        content = wav(np.zeros(3 * RATE, np.int16))
        with running(max_clip_s=2, max_seconds=2.5) as server:
            assert error(predict(server, content)) == (413, "too_long")
            assert error(predict(server, content, segments=True)) == (413, "too_long")
            files = {"files": ("any", content)}
            answer = httpx.post(f"{server.url}/v1/baselines", files=files)
            assert error(answer) == (413, "too_long")

    def test_decompression_bomb(self):
        """A small file that would become hours is refused, also if its header is silent on it."""
        silence = np.zeros(600 * RATE, np.int16)
        flac = bytearray(wav(silence, format="FLAC"))
        assert len(flac) < 300_000
        with running(max_seconds=60) as server:
            assert error(predict(server, bytes(flac))) == (413, "too_long")
            assert error(predict(server, bytes(flac), segments=True)) == (413, "too_long")
            flac[21] &= 0xF0  # the number of samples, 36 bits: unknown
            flac[22:26] = bytes(4)
            assert error(predict(server, bytes(flac), segments=True)) == (413, "too_long")
            assert turns(server, bytes(flac)).status_code == 413
        with running(max_clip_s=60) as server:
            answer = predict(server, bytes(flac))
            assert error(answer) == (413, "too_long")
            assert "ask for segments" in answer.json()["error"]["message"]

    def test_wide_bomb(self):
        """Many channels at a high rate count, too: they are what fills the memory."""
        content = wav(np.zeros((192_000, 8), np.int16), 192_000)
        with running(max_clip_s=1.5) as server:
            assert error(predict(server, content)) == (413, "too_long")

    def test_slow_upload(self):
        """A request that dribbles in is cut off."""
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        with running(upload_timeout_s=0.3) as server:
            answer = raw(server.port, head)
            assert answer.startswith(b"HTTP/1.1 408")
            assert b'"too_slow"' in answer

    def test_slow_headers(self, server, monkeypatch):
        """A connection that never gets done with its headers is closed."""
        monkeypatch.setattr("emovox.server.connections._PROMPT_S", 0.3)
        assert raw(server.port, b"GET / HTTP/1.1\r\nHost: loc") == b""
        assert raw(server.port, b"") == b""

    def test_number_of_uploads(self):
        """More recordings at once than the limit are told to come again."""
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        with (
            running(max_uploads=1) as server,
            socket.create_connection(("127.0.0.1", server.port)) as one,
        ):
            one.sendall(head)
            answer = wait_for(lambda: predict(server), lambda answer: answer.status_code == 503)
            assert error(answer) == (503, "busy")
            assert answer.headers["retry-after"] == "1"
            one.close()
            wait_for(lambda: predict(server), lambda answer: answer.status_code == 200)

    def test_bytes_in_all(self):
        """Many large recordings at once are told to come again, before they fill the memory."""
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
            b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        )
        with running(max_upload_mb=0.1) as server, ExitStack() as stack:
            assert predict(server).status_code == 200
            for _ in range(4):
                one = socket.create_connection(("127.0.0.1", server.port))
                stack.enter_context(one).sendall(head + bytes(95_000))
            answer = wait_for(lambda: predict(server), lambda answer: answer.status_code == 503)
            assert error(answer) == (503, "busy")
            stack.close()
            wait_for(lambda: predict(server), lambda answer: answer.status_code == 200)

    def test_client_goes_away(self, server, caplog):
        """A recording whose client goes away is given up, and leaves its place to others."""
        noise = np.random.default_rng(0).integers(-300, 300, 1_000 * RATE, np.int16)
        for content, query in ((wav(noise), "?segments=true"), (wav(noise[: 250 * RATE]), "")):
            caplog.clear()
            with (
                caplog.at_level(logging.INFO, logger="emovox.server"),
                socket.create_connection(("127.0.0.1", server.port)) as one,
            ):
                head = (
                    f"POST /v1/predict{query} HTTP/1.1\r\nHost: localhost\r\n"
                    f"Content-Type: audio/wav\r\nContent-Length: {len(content)}\r\n\r\n"
                )
                one.sendall(head.encode() + content)
                time.sleep(0.5)
                assert not caplog.records
                one.close()
                wait_for(lambda: caplog.records, bool)
            assert [record.fields["status"] for record in caplog.records] == [499]
            workers = server.server.workers
            wait_for(lambda workers=workers: workers.running, lambda n: n == 0)

    def test_broken_off(self, server, caplog):
        """An upload that its client breaks off is no mistake of the service."""
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        with caplog.at_level(logging.INFO):
            with socket.create_connection(("127.0.0.1", server.port)) as one:
                one.sendall(head)
                time.sleep(0.2)
            told = wait_for(lambda: [one for one in caplog.records if one.msg == "request"], bool)
        assert told[-1].fields["status"] == 499
        assert not [one for one in caplog.records if one.levelname == "ERROR"]

    def test_live_beside_an_upload(self):
        """With one thread, too, a live session begins at once beside a recording that lasts."""
        noise = wav(np.random.default_rng(0).integers(-300, 300, 500 * RATE, np.int16))
        head = (
            "POST /v1/predict?segments=true HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: audio/wav\r\nContent-Length: {len(noise)}\r\n\r\n"
        )
        with (
            running(workers=1) as server,
            socket.create_connection(("127.0.0.1", server.port)) as one,
        ):
            one.sendall(head.encode() + noise)
            wait_for(lambda: server.server.workers.running, bool)
            with server.live() as session:
                assert json.loads(session.recv(timeout=5))["type"] == "session.created"

    def test_rate(self):
        """Too many requests from one address are refused until some time has passed."""
        with running(max_requests_per_s=1) as server:
            answers = [httpx.get(f"{server.url}/healthz")]
            while answers[-1].status_code == 200:
                assert len(answers) < 100
                answers.append(httpx.get(f"{server.url}/healthz"))
            assert len(answers) > 2
            assert error(answers[-1]) == (429, "too_many_requests")
            assert answers[-1].headers["retry-after"] == "1"
            wait_for(lambda: httpx.get(f"{server.url}/healthz"), lambda a: a.status_code == 200)


def wait_for(call, holds):
    """Call until something holds, and return what it holds for."""
    for _ in range(100):
        found = call()
        if holds(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never held; the last: {found}")


class TestSafety:
    """Who is let in, and what browsers are told."""

    def test_tokens(self):
        """With tokens, only who knows one is answered; the page and signs of life are open."""
        with running(tokens=(TOKEN, "another-one-of-them")) as server:
            url = f"{server.url}/v1/model"
            answer = httpx.get(url)
            assert error(answer) == (401, "token")
            assert answer.headers["www-authenticate"] == "Bearer"
            for given in ("Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer", "é"):
                headers = {"Authorization": given.encode("latin-1")}
                assert error(httpx.get(url, headers=headers)) == (401, "token")
            for token in (TOKEN, "another-one-of-them"):
                headers = {"Authorization": f"Bearer {token}"}
                assert httpx.get(url, headers=headers).status_code == 200
            assert error(httpx.get(f"{server.url}/metrics")) == (401, "token")
            assert error(predict(server)) == (401, "token")
            for path in ("/healthz", "/readyz", "/docs"):
                assert httpx.get(f"{server.url}{path}").status_code == 200

    def test_origin(self, server):
        """A page of another host cannot make a browser send recordings here."""
        for origin, expected in (("https://evil.example", 403), (server.url, 415), ("null", 403)):
            answer = httpx.post(f"{server.url}/v1/predict", headers={"Origin": origin})
            assert answer.status_code == expected

    def test_host(self, server):
        """A service of this machine does not answer under a name that somebody made up for it."""
        for host, expected in (("evil.example", 403), ("localhost", 200), ("[::1]:80", 200)):
            answer = httpx.get(f"{server.url}/healthz", headers={"Host": host})
            assert answer.status_code == expected
        for host in ("[", "a@localhost", "localhost/x", "localhost?x", ""):
            answer = httpx.get(f"{server.url}/v1/model", headers={"Host": host})
            assert error(answer) == (403, "host")
        two = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
        assert raw(server.port, two, timeout=1).startswith(b"HTTP/1.1 400")

    def test_host_of_an_open_service(self):
        """So it is for a service that others can reach, unless a token protects it."""
        settings = {"host": "127.0.0.2", "origins": ("https://my.example",)}
        evil = {"Host": "evil.example", "Origin": "http://evil.example"}
        with running(**settings) as server:
            url = f"http://127.0.0.2:{server.port}"
            assert error(httpx.post(f"{url}/v1/predict", headers=evil)) == (403, "host")
            for name in ("127.0.0.2", "192.0.2.7:80", "my.example", socket.gethostname()):
                assert httpx.get(f"{url}/healthz", headers={"Host": name}).is_success
        with running(**settings, tokens=(TOKEN,)) as server:
            url = f"http://127.0.0.2:{server.port}"
            assert httpx.get(f"{url}/healthz", headers=evil).is_success
            assert error(httpx.get(f"{url}/v1/model", headers=evil)) == (401, "token")

    def test_allowed_origin(self):
        """An origin that is allowed is told so in the way browsers want it."""
        origin = "https://my.example"
        with running(origins=(origin,)) as server:
            url = f"{server.url}/v1/predict"
            answer = httpx.options(
                url, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            )
            assert answer.headers["access-control-allow-origin"] == origin
            answer = httpx.post(url, files={"file": EVEN}, headers={"Origin": origin})
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == origin
            assert httpx.post(url, headers={"Origin": "https://evil.example"}).status_code == 403

    def test_headers(self, server):
        """Every answer forbids what browsers would else allow."""
        for path in ("/", "/healthz", "/nothing", "/docs"):
            headers = httpx.get(f"{server.url}{path}").headers
            assert headers["content-security-policy"].startswith("default-src 'none'; script-src")
            assert "'unsafe" not in headers["content-security-policy"]  # WebAssembly alone
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers

    def test_nothing_is_written(self, server, monkeypatch, tmp_path):
        """Even a large recording never becomes a temporary file."""

        def forbidden(*args, **options):
            raise AssertionError("a temporary file")

        monkeypatch.setattr("tempfile.TemporaryFile", forbidden)
        monkeypatch.setattr("tempfile._io.open", forbidden)
        content = wav(np.tile(speech(), 40))
        assert len(content) > 2_000_000
        assert predict(server, content).status_code == 200

    def test_logs(self, server, caplog):
        """A request is logged with method, route, status and time, and nothing that tells more."""
        with caplog.at_level(logging.INFO, logger="emovox.server"):
            name = "secret-name.flac"
            files = {"file": (name, EVEN)}
            httpx.post(f"{server.url}/v1/predict?channels=mix", files=files)
            wait_for(lambda: caplog.records, bool)
        lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
        (line,) = [line for line in lines if line["event"] == "request"]
        assert line.keys() == {"time", "level", "event", "method", "route", "status", "ms"}
        assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/predict", 200)
        assert name not in str(lines)


class TestParts:
    """The parts that the service is made of."""

    def test_settings_of_the_environment(self, tmp_path):
        """Variables set what options do not; tokens come from a variable and from a file."""
        file = tmp_path / "tokens"
        file.write_text("the-first-of-the-file\nthe-second-of-the-file\n")
        environment = {
            "EMOVOX_PORT": "81",
            "EMOVOX_HOST": "::1",
            "EMOVOX_IDLE_S": "2.5",
            "EMOVOX_ORIGINS": "https://a.example https://b.example",
            "EMOVOX_TOKEN": TOKEN,
            "EMOVOX_TOKEN_FILE": str(file),
        }
        settings = ServerSettings.from_environment(environment, port=82)
        assert (settings.port, settings.host, settings.idle_s) == (82, "::1", 2.5)
        assert settings.origins == ("https://a.example", "https://b.example")
        assert settings.tokens == (TOKEN, "the-first-of-the-file", "the-second-of-the-file")
        assert TOKEN not in repr(settings)

    @pytest.mark.parametrize(
        "environment",
        [
            {"EMOVOX_PORT": "many"},
            {"EMOVOX_PORT": "70000"},
            {"EMOVOX_IDLE_S": "0"},
            {"EMOVOX_IDLE_S": "nan"},
            {"EMOVOX_MAX_SESSIONS": "1.5"},
            {"EMOVOX_TOKEN": "short"},
            {"EMOVOX_TOKEN_FILE": "missing"},
            {"EMOVOX_TOKEN_FILE": "/dev/null"},
            {"EMOVOX_TOKEN": ""},
            {"EMOVOX_TOKEN": "  "},
            {"EMOVOX_TOKEN": "a-long-token-with/slash"},
            {"EMOVOX_TOKEN": "a-long-token-with-padding=="},
            {"EMOVOX_TOKEN_FILE": "/dev/zero"},
            {"EMOVOX_TOKEN_FILE": "."},
            {"EMOVOX_MAX_SHARE": "1.5"},
            {"EMOVOX_ORIGINS": "my.example"},
            {"EMOVOX_ORIGINS": "https://my.example/path"},
            {"EMOVOX_ORIGINS": "https://my.example:port"},
            {"EMOVOX_SSL_CERTFILE": "cert.pem"},
        ],
    )
    def test_wrong_settings(self, environment):
        """A setting that cannot be is refused; an empty file of tokens does not open the door."""
        with pytest.raises(ConfigError):
            ServerSettings.from_environment(environment)

    def test_a_token_a_browser_cannot_send(self):
        """What is wrong with a token is said without the token, and how to make a good one."""
        with pytest.raises(ConfigError) as found:
            ServerSettings(tokens=("c2VjcmV0c2VjcmV0/b+c==",))
        message = str(found.value)
        assert "'/'" in message
        assert "openssl rand -hex 32" in message
        assert "c2Vj" not in message

    def test_a_pipe_of_tokens(self, tmp_path):
        """Tokens are not read from a pipe, on which the service could wait for ever."""
        os.mkfifo(tmp_path / "tokens")
        with pytest.raises(ConfigError, match="cannot read the tokens: not a regular file"):
            ServerSettings.from_environment({"EMOVOX_TOKEN_FILE": str(tmp_path / "tokens")})
        (tmp_path / "large").write_text("x" * 100_001)
        with pytest.raises(ConfigError, match=r"larger than 0\.1 MB"):
            ServerSettings.from_environment({"EMOVOX_TOKEN_FILE": str(tmp_path / "large")})

    @pytest.mark.parametrize(
        ("given", "origin"),
        [
            ("https://a.example/", "https://a.example"),
            ("HTTPS://A.example:443", "https://a.example"),
            ("http://a.example:8080", "http://a.example:8080"),
            ("http://[::1]:80/", "http://[::1]"),
            ("*", "*"),
        ],
    )
    def test_origins(self, given, origin):
        """Origins are compared as browsers write them."""
        assert ServerSettings(origins=(given,)).origins == (origin,)

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("EMOVOX_MAX_SESSIONS_S", "EMOVOX_MAX_SESSION_S"),
            ("EMOVOX_TOKENS", "EMOVOX_TOKEN"),
            ("EMOVOX_ORIGIN", "EMOVOX_ORIGINS"),
        ],
    )
    def test_a_misspelt_variable(self, name, meant):
        """A variable whose name is almost that of a setting is refused, with the right name."""
        with pytest.raises(ConfigError, match=f"{name}: unknown setting; did you mean {meant}"):
            ServerSettings.from_environment({name: "1"})

    def test_variables_of_others(self):
        """Variables of other parts of emovox, and of other programs, are ignored."""
        names = ("EMOVOX_CACHE", "EMOVOX_DATA", "EMOVOX_ENCODER", "MAX_SESSION", "EMOVOX_FOO")
        assert ServerSettings.from_environment(dict.fromkeys(names, "")) == ServerSettings()

    def test_every_setting_is_documented(self):
        """The table of docs/http.md has each setting with its description and its default."""
        page = (REPOSITORY / "docs" / "http.md").read_text(encoding="utf-8")
        for setting in fields(ServerSettings):
            name = {"tokens": "TOKEN`, `EMOVOX_TOKEN_FILE"}.get(setting.name, setting.name.upper())
            default = "" if setting.default in (None, ()) else f"`{setting.default}`"
            row = f"| `EMOVOX_{name}` | {setting.metadata['text']} | {default} |"
            assert row.replace(".0`", "`") in page

    def test_bucket(self, monkeypatch):
        """A bucket gives what it holds at once, then what comes in."""
        now = 100.0
        monkeypatch.setattr("time.monotonic", lambda: now)
        bucket = Bucket(2.0, 3.0)
        assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]
        now += 0.5
        assert [bucket.take(), bucket.take()] == [0, 0.5]
        now += 1_000
        assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]

    def test_addresses(self, monkeypatch):
        """Addresses do not share a bucket, and not more of them are kept than the limit."""
        monkeypatch.setattr("emovox.server.rates._MAX_ADDRESSES", 2)
        rates = Addresses(0.001)
        assert [rates.take(one) > 0 for one in "aab"] == [False, True, False]
        rates.take("c")  # so that a is forgotten
        assert rates.take("a") == 0

    def test_a_job_that_fails(self):
        """What a job raises is raised where it is awaited, and the thread goes on."""
        workers = Workers(1)
        with pytest.raises(ZeroDivisionError):
            asyncio.run(workers.run_live(lambda: 1 / 0))
        assert asyncio.run(workers.run_upload(lambda turn: 7)) == 7
        assert workers.close(1.0)
        with pytest.raises(RuntimeError, match="shutdown"):
            asyncio.run(workers.run_live(lambda: 7))

    def test_live_beside_an_upload(self):
        """With one thread, too, a live session does not wait for an upload that takes long."""
        workers = Workers(1)

        async def run() -> None:
            upload = asyncio.ensure_future(workers.run_upload(for_ever))
            assert await asyncio.wait_for(workers.run_live(lambda: 7), 5) == 7
            upload.cancel()

        asyncio.run(run())
        assert workers.close(5.0)

    def test_turns(self):
        """Uploads take turns: the shorter one ends while the longer one is still at it."""
        workers = Workers(1)
        order: list[str] = []

        def working(name: str, seconds: float):
            def call(turn):
                while turn.spent_s < seconds:
                    turn()
                order.append(name)

            return workers.run_upload(call)

        async def run() -> None:
            await asyncio.gather(working("long", 1.0), working("short", 0.1))

        asyncio.run(run())
        assert order == ["short", "long"]
        assert workers.waiting("upload") == 0
        assert workers.close(1.0)

    def test_an_upload_that_is_cancelled(self):
        """An upload ends when nobody waits for it any more, and leaves its turn to the next."""
        workers = Workers(1)

        async def run() -> int:
            first = asyncio.ensure_future(workers.run_upload(for_ever))
            second = asyncio.ensure_future(workers.run_upload(lambda turn: 7))
            await asyncio.sleep(0.05)
            first.cancel()
            return await asyncio.wait_for(second, 5)

        assert asyncio.run(run()) == 7
        assert workers.close(1.0)

    def test_close(self):
        """Closing ends uploads at their next turn, and says where one does not end in time."""
        workers, gate = Workers(1), threading.Event()

        async def run() -> None:
            stuck = asyncio.ensure_future(workers.run_live(gate.wait))
            upload = asyncio.ensure_future(workers.run_upload(for_ever))
            await asyncio.sleep(0.05)
            assert not workers.close(0.1)
            gate.set()
            assert workers.close(5.0)
            await stuck
            with pytest.raises(GivenUpError):
                await upload

        asyncio.run(run())


def for_ever(turn) -> None:
    """Work without end, as an upload should: in turns."""
    while True:
        turn()


class TestCommand:
    """`emovox serve` as a process."""

    def test_it_starts_and_stops(self):
        """It says where it listens, answers, and ends when it is told to."""
        code = "import sys; from emovox.cli import run; sys.exit(run(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "serve", "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            line = json.loads(process.stderr.readline())
            url = re.fullmatch(r"http://127\.0\.0\.1:\d+", line["url"])[0]
            wait_for(lambda: reached(url), bool)
            process.terminate()
            rest = process.stderr.read()
            process.wait(timeout=20)
        assert '"stop"' in rest
        assert "Traceback" not in rest

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--port", "70000"], "expected 0 to 65535"),
            (["--model", "nothing.onnx"], "no such model file"),
            (["--token-file", "nothing"], "cannot read the tokens"),
            (["--host", "256.1.1.1"], "256.1.1.1"),
        ],
    )
    def test_what_cannot_start(self, options, expected, capfd):
        """What is wrong is said in one line."""
        from emovox.cli import run

        assert run(["serve", *options]) == 1
        errors = [line for line in capfd.readouterr().err.splitlines() if line[0] != "{"]
        assert all(line.startswith("emovox: ") for line in errors)
        assert expected in errors[-1]

    def test_a_port_that_is_taken(self, server, capfd):
        """A port that is taken is said in one line."""
        from emovox.cli import run

        assert run(["serve", "--port", str(server.port)]) == 1
        assert f"emovox: 127.0.0.1:{server.port}: " in capfd.readouterr().err

    def test_open_to_others(self, capfd):
        """Whoever opens the service to others without token and TLS is warned."""
        from emovox.cli import run

        assert run(["serve", "--host", "0.0.0.0", "--model", "nothing.onnx"]) == 1
        warning = capfd.readouterr().err.splitlines()[0]
        assert "others can reach this service" in warning
        assert "--token-file" in warning
        assert "--ssl-certfile" in warning


def reached(url: str) -> bool:
    """Tell whether a server answers."""
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.ConnectError:
        return False
