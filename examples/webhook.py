"""A chatbot that is told how each message sounds: a recording and its words, sent to its webhook.

Run `emovox serve` and a chatbot with the REST channel of Rasa (or any that takes the same), then:

    python examples/webhook.py SENDER RECORDING "WORDS" [--webhook URL] [--service URL]

It needs `pip install 'emovox[client]'`. The chatbot gets {"sender", "message", "metadata":
{"voice": {"label", "score", "certain"}}}; an action of Rasa finds the metadata in
tracker.latest_message. Where nobody speaks in the recording, voice is null. The chatbot's replies
are printed.
"""

import argparse
from pathlib import Path
from typing import Any

import httpx

from emovox import EmovoxError
from emovox.client import Client
from emovox.errors import NoSpeechError

SERVICE = "http://127.0.0.1:8000"
WEBHOOK = "http://127.0.0.1:5005/webhooks/rest/webhook"


def voice_of(client: Client, recording: Path) -> dict[str, Any] | None:
    """Return how a recording sounds; None if nobody speaks."""
    try:
        prediction = client.predict(recording)
    except NoSpeechError:
        return None
    return {
        "label": prediction.label,
        "score": prediction.score,
        "certain": prediction.certain,
    }


def replies(webhook: str, sender: str, words: str, voice: dict[str, Any] | None) -> list[str]:
    """Send a message to a chatbot; return what it replies."""
    message = {"sender": sender, "message": words, "metadata": {"voice": voice}}
    answer = httpx.post(webhook, json=message, timeout=30)
    answer.raise_for_status()
    return [str(reply.get("text", "")) for reply in answer.json()]


def main() -> None:
    """Read the command line and send a message."""
    parser = argparse.ArgumentParser(description="Send a spoken message to a chatbot.")
    parser.add_argument("sender", help="a name for who speaks")
    parser.add_argument("recording", type=Path)
    parser.add_argument("words", help="what is said in it, by your speech recogniser")
    parser.add_argument("--service", default=SERVICE, help="default: %(default)s")
    parser.add_argument("--webhook", default=WEBHOOK, help="default: %(default)s")
    asked = parser.parse_args()
    try:
        with Client(asked.service) as client:
            voice = voice_of(client, asked.recording)
        for text in replies(asked.webhook, asked.sender, asked.words, voice):
            print(text)
    except EmovoxError as error:
        raise SystemExit(str(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise SystemExit(f"no reply from {asked.webhook}: {error}") from None


if __name__ == "__main__":
    main()
