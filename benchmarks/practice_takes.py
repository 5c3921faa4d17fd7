"""What `emovox practice` would measure of the corpora: one line a recording, kept in a file.

Each speaker's usual voice is every other neutral recording, up to 15 s of speech; all other
recordings are takes, judged by the model with that usual voice as its baseline.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from emovox import Recognizer
from emovox.corpora import Utterance, load_corpus
from emovox.errors import AudioError
from emovox.prosody import Prosody, measure
from machine import data_folder

USUAL_S = 15.0  # seconds of a speaker's neutral speech
EVERY = {"tess": 5, "nemo": 12, "turev": 8}  # of their many sentences, one in so many
SPEAKERS = {"ased": 22, "nemo": 4}  # of its speakers, as many
NEUTRAL = {"turev": "calm"}  # where it is not called neutral


@dataclass(frozen=True)
class Measured:
    """A recording: whose, of what, and what was measured and heard."""

    corpus: str
    file: str
    speaker: str
    sentence: str
    emotion: str
    usual: bool
    seconds: float  # of speech
    prosody: Prosody
    scores: dict[str, float]
    certain: bool

    def line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of_line(cls, line: str) -> "Measured":
        """Read what `line` wrote."""
        values = json.loads(line)
        return cls(**values | {"prosody": Prosody(**values["prosody"])})


def measured(corpus: str, cache: Path) -> list[Measured]:
    """Return a corpus measured, from the cache as far as it goes; it grows by whole speakers."""
    cache.mkdir(parents=True, exist_ok=True)
    path, ends = cache / f"{corpus}.jsonl", cache / f"{corpus}.speakers"
    known = ends.read_text().splitlines() if ends.exists() else []
    lines = path.read_text().splitlines() if path.exists() else []
    takes = [take for line in lines if (take := Measured.of_line(line)).speaker in known]
    path.write_text("".join(take.line() + "\n" for take in takes))
    groups = by_speaker(chosen(corpus))
    recognizer = Recognizer.load()
    with path.open("a") as file, ends.open("a") as whole:
        for speaker in (one for one in groups if one not in known):
            for take in of_speaker(recognizer, groups[speaker]):
                takes.append(take)
                file.write(take.line() + "\n")
            file.flush()
            whole.write(f"{speaker}\n")
            whole.flush()
    return [take for take in takes if take.speaker in groups]


def chosen(corpus: str) -> list[Utterance]:
    """Return the recordings of a corpus that are measured."""
    folder = data_folder() / corpus
    table = folder / "table.csv"
    utterances = load_corpus(corpus, table if table.exists() else folder).utterances
    neutral = NEUTRAL.get(corpus, "neutral")
    renamed = [
        replace(
            one,
            emotion="neutral" if one.emotion == neutral else one.emotion,
            sentence=one.file.stem.split("_")[-1] if corpus == "turev" else one.sentence,
        )
        for one in utterances
    ]
    sentences = sorted({one.sentence for one in renamed})[:: EVERY.get(corpus, 1)]
    speakers = [*dict.fromkeys(one.speaker for one in renamed)][: SPEAKERS.get(corpus)]
    return [one for one in renamed if one.sentence in sentences and one.speaker in speakers]


def by_speaker(utterances: Sequence[Utterance]) -> dict[str, list[Utterance]]:
    """Group recordings by speaker."""
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for one in utterances:
        groups[one.speaker].append(one)
    return groups


def of_speaker(recognizer: Recognizer, utterances: Sequence[Utterance]) -> Iterator[Measured]:
    """Measure a speaker: first their usual voice, then each take with it as the baseline."""
    neutral = [one for one in utterances if one.emotion == "neutral"][::2]
    baseline, usual, heard_s = recognizer.new_baseline(), set(), 0.0
    for one in neutral:
        if heard_s >= USUAL_S:
            break
        for take, learned in _heard(recognizer, one, baseline, usual=True):
            yield take
            baseline, heard_s = learned, heard_s + take.seconds
            usual.add(one.file)
    for one in utterances:
        if one.file not in usual:
            for take, _ in _heard(recognizer, one, baseline, usual=False):
                yield take


def _heard(recognizer: Recognizer, one: Utterance, baseline, *, usual: bool):
    """Yield what was heard of a recording; nothing where nobody was found to speak."""
    try:
        speech = recognizer.read(one.file)
    except AudioError as error:
        print(error)
        return
    prediction, windows = recognizer.hear(speech.samples, baseline)
    yield (
        Measured(
            one.corpus,
            one.file.name,
            one.speaker,
            one.sentence,
            one.emotion,
            usual,
            len(speech.samples) / 16_000,
            measure(speech.samples, pauses_s=speech.pauses_s),
            dict(prediction.scores),
            prediction.certain,
        ),
        baseline.after(windows),
    )


if __name__ == "__main__":
    import sys

    for name in sys.argv[2:]:
        print(name, len(measured(name, Path(sys.argv[1]))))
