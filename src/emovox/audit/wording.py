"""Sentences whose words alone are neutral, glad or sad, spoken by a machine without emotion."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..audio import Samples, load_audio
from ..errors import AudioError

PROGRAM = "espeak-ng"
VOICES = MappingProxyType(
    {
        "en": ("en-us+m1", "en-us+m3", "en-us+f2", "en-us+f4"),
        "de": ("de+m1", "de+m3", "de+f2", "de+f4"),
    }
)
"""Voices of espeak-ng by language."""

SENTENCES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "en": {
            "neutral": (
                "The meeting starts at ten on Tuesday.",
                "The bus stops in front of the library.",
                "The table stands next to the window.",
                "The form has four pages and a cover.",
                "The shop opens at nine in the morning.",
                "The road leads from the station to the bridge.",
                "The box holds twenty sheets of paper.",
                "The letter was sent to the office on Monday.",
            ),
            "positive": (
                "I love this wonderful place so much.",
                "What a beautiful and happy day this is.",
                "We won, and everybody is delighted.",
                "Thank you, this is the best present ever.",
                "The children laughed with joy all morning.",
                "I am so glad that you are here.",
                "This is great news, congratulations to you.",
                "The food was delicious and the people lovely.",
            ),
            "negative": (
                "I hate this terrible place so much.",
                "What an awful and miserable day this is.",
                "We lost, and everybody is devastated.",
                "Go away, this is the worst thing ever.",
                "The children cried with pain all morning.",
                "I am so angry that you are here.",
                "This is dreadful news, it is a disaster.",
                "The food was disgusting and the people cruel.",
            ),
        },
        "de": {
            "neutral": (
                "Die Sitzung beginnt am Dienstag um zehn.",
                "Der Bus hält vor der Bücherei.",
                "Der Tisch steht neben dem Fenster.",
                "Das Formular hat vier Seiten.",
                "Der Laden öffnet morgens um neun.",
                "Der Brief ging am Montag an das Amt.",
            ),
            "positive": (
                "Ich liebe diesen wunderbaren Ort so sehr.",
                "Was für ein schöner und glücklicher Tag.",
                "Wir haben gewonnen, alle freuen sich.",
                "Danke, das ist das beste Geschenk.",
                "Ich bin so froh, dass du hier bist.",
                "Das Essen war köstlich und die Leute nett.",
            ),
            "negative": (
                "Ich hasse diesen schrecklichen Ort so sehr.",
                "Was für ein furchtbarer und elender Tag.",
                "Wir haben verloren, alle sind verzweifelt.",
                "Geh weg, das ist das Schlimmste überhaupt.",
                "Ich bin so wütend, dass du hier bist.",
                "Das Essen war ekelhaft und die Leute grausam.",
            ),
        },
    }
)
"""Sentences by language and wording."""


@dataclass(frozen=True)
class Spoken:
    """A sentence to be spoken."""

    language: str
    wording: str
    text: str
    voice: str

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{PROGRAM} {self.voice}: {self.text}"


def installed() -> bool:
    """Tell whether there is a program that speaks."""
    return shutil.which(PROGRAM) is not None


def sentences() -> Iterator[Spoken]:
    """Yield all sentences, each in all voices of its language."""
    for language, by_wording in SENTENCES.items():
        for wording, texts in by_wording.items():
            for text in texts:
                for voice in VOICES[language]:
                    yield Spoken(language, wording, text, voice)


def speak(sentence: Spoken) -> Samples:
    """Return a sentence as mono float32 at 16 kHz.

    Raises
    ------
    AudioError
        If the program fails.
    """
    command = [PROGRAM, "-v", sentence.voice, "-s", "150", "--stdout", sentence.text]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)  # noqa: S603
    if done.returncode or not done.stdout:
        raise AudioError(f"{PROGRAM} cannot speak with the voice {sentence.voice}")
    return load_audio(done.stdout)
