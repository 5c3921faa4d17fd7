"""Who spoke when: conversations on one channel, and stereo calls in which channels bleed.

Run with ``python benchmarks/speakers.py``; it takes some minutes. Conversations and calls are
stitched from the clips of speakers in no training (ASED, TurEV-DB; conversations.py), emotions
mixed, from fixed seeds. The diarisation error rate (diarisation.py) counts overlap. How alike two
speakers may be, and what a change costs, was chosen on half of ASED's speakers, for whom
``--choose`` prints the rates; the others are tested. A segment of a call is counted twice if its
channel's own speaker says less than 0.15 s of it. An utterance is lost if its channel's segments
cover less than half of it, although they cover half of it where nothing bleeds. ``--only`` measures
a part and keeps the rest. Writes benchmarks/results/speakers.json. The corpora are looked for in
EMOVOX_DATA.
"""

import argparse
import csv
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conversations import RATE, Said, Sound, call, converse
from diarisation import Errors, errors_of
from emovox.audio import Samples
from emovox.sound.bleed import Bleed
from emovox.turns import clustering, finding
from emovox.vad import Activity
from machine import REPOSITORY, data_folder, machine, write_result

SECONDS = 90.0  # of a conversation
N_CONVERSATIONS, N_CALLS = 12, 6
N_CLIPS = 15  # that a speaker has at least
COLLAR_S = 0.25
BLEED_DB = (-12.0, -18.0, -24.0, -30.0)
CHOICES = [(two, many) for two in (0.45, 0.5, 0.55, 0.6) for many in (0.3, 0.35, 0.4, 0.45, 0.5)]
Clips = dict[str, Sequence[Path]]


def speakers_of(corpus: str) -> Clips:
    """Return the clips of each speaker who has enough of them."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    with (data_folder() / corpus / "table.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["speaker"]].append(data_folder() / corpus / row["file"])
    return {one: files for one, files in sorted(found.items()) if len(files) >= N_CLIPS}


def halves(clips: Clips) -> tuple[Clips, Clips]:
    """Divide speakers into those who choose and those who are tested."""
    order = np.random.default_rng(0).permutation(sorted(clips))
    chosen = set(order[: len(order) // 2])
    return (
        {one: files for one, files in clips.items() if one in chosen},
        {one: files for one, files in clips.items() if one not in chosen},
    )


def some(clips: Clips, n_speakers: int, seed: int) -> Clips:
    """Draw speakers."""
    drawn = np.random.default_rng((seed, n_speakers)).choice(sorted(clips), n_speakers, False)
    return {str(one): clips[str(one)] for one in drawn}


def search(sound: Sound) -> finding._Search:
    """Find the speech of a conversation, and its voiceprints."""
    found = finding._Search(6.0, np.inf)
    for first in range(0, len(sound), RATE):
        found.hear(sound[first : first + RATE])
    found.end()
    return found


def conversations(clips: Clips, n_speakers: int) -> dict[str, Any]:
    """Measure the error rate with the number of speakers told, and found."""
    totals: defaultdict[str, Errors] = defaultdict(lambda: Errors(0, 0, 0, 0))
    spent, seconds, counted = 0.0, 0.0, 0
    for seed in range(N_CONVERSATIONS):
        sound, truth = converse(some(clips, n_speakers, seed), SECONDS, seed)
        started = time.process_time()
        stretches = search(sound).stretches
        for told, n in (("told", n_speakers), ("auto", None)):
            turns = finding._turns(stretches, n)
            totals[told] += errors_of(truth, turns)
            totals[f"{told}, collar"] += errors_of(truth, turns, COLLAR_S)
        spent += time.process_time() - started
        seconds += len(sound) / RATE
        counted += len({turn.speaker for turn in turns}) == n_speakers
        print(
            n_speakers, seed, {name: round(one.rate, 3) for name, one in totals.items()}, flush=True
        )
    rows = {name: _row(errors) for name, errors in totals.items()}
    return {
        "speakers": n_speakers,
        "conversations": N_CONVERSATIONS,
        "minutes": round(seconds / 60, 1),
        "number_right": counted,
        "times_real_time": round(seconds / spent),
        "errors": rows,
    }


def _row(errors: Errors) -> dict[str, float]:
    return {
        "der": round(errors.rate, 4),
        "missed": round(errors.missed / errors.speech, 4),
        "false": round(errors.false / errors.speech, 4),
        "confused": round(errors.confused / errors.speech, 4),
    }


def choose(clips: Clips) -> None:
    """Print the error rate on the speakers who choose, for each choice of how alike two may be."""
    made = []
    for n_speakers, n_made in ((2, 10), (3, 3), (1, 3)):
        for seed in range(1000, 1000 + n_made):
            drawn = some(clips, n_speakers, seed)
            sound, truth = converse(drawn, SECONDS, seed) if n_speakers > 1 else alone(drawn, seed)
            made.append((search(sound).stretches, truth, n_speakers))
    for choice in CHOICES:
        clustering.MAX_ALIKE, clustering.MAX_ALIKE_OF_MANY = choice
        turns = [finding._turns(stretches, None) for stretches, *_ in made]
        rates = [
            errors_of(truth, found, COLLAR_S).rate
            for found, (_, truth, _) in zip(turns, made, strict=True)
        ]
        by_number = {
            n: round(
                float(np.mean([r for r, one in zip(rates, made, strict=True) if one[2] == n])), 3
            )
            for n in (1, 2, 3)
        }
        numbers = [len({turn.speaker for turn in found}) for found in turns]
        print(choice, by_number, numbers, flush=True)


def alone(clips: Clips, seed: int) -> tuple[Sound, list[Said]]:
    """Return a monologue: the two voices of a conversation are one speaker's."""
    ((speaker, files),) = clips.items()
    both = {"a": files[::2], "b": files[1::2]}
    sound, truth = converse(both, SECONDS, seed, overlaps=0.0)
    return sound, [Said(one.start, one.end, speaker) for one in truth]


def calls(clips: Clips, level_db: float | None) -> dict[str, Any]:
    """Count segments counted twice and utterances lost, as recorded and without the bleed."""
    counts: defaultdict[str, int] = defaultdict(int)
    for seed in range(N_CALLS):
        drawn = some(clips, 2, seed)
        clean, said = call(drawn, SECONDS, None, seed)
        sound, _ = call(drawn, SECONDS, level_db, seed)
        bleed = Bleed(2, RATE)
        parts = [bleed.feed(sound[at : at + RATE]) for at in range(0, len(sound), RATE)]
        without = np.concatenate([*parts, bleed.flush()])
        for channel, truths in enumerate(said):
            reference, before, after = (
                segments_of(one[:, channel]) for one in (clean, sound, without)
            )
            own = [one for one in truths if is_covered(one, reference)]
            counts["utterances"] += len(own)
            counts["lost"] += sum(not is_covered(one, after) for one in own)
            counts["segments_before"] += len(before)
            counts["twice_before"] += sum(is_foreign(one, truths) for one in before)
            counts["segments"] += len(after)
            counts["twice"] += sum(is_foreign(one, truths) for one in after)
    print(level_db, dict(counts), flush=True)
    return {"level_db": level_db, "calls": N_CALLS, **counts}


def segments_of(samples: Samples) -> list[tuple[float, float]]:
    """Return the segments of a channel, in seconds."""
    activity = Activity()
    found = [
        one for at in range(0, len(samples), RATE) for one in activity.feed(samples[at : at + RATE])
    ]
    return [(one.start / RATE, one.end / RATE) for one in [*found, *activity.flush()]]


def is_covered(said: Said, segments: Sequence[tuple[float, float]]) -> bool:
    """Tell whether segments cover half of an utterance."""
    shared = sum(max(0.0, min(end, said.end) - max(start, said.start)) for start, end in segments)
    return shared >= 0.5 * (said.end - said.start)


def is_foreign(segment: tuple[float, float], truths: Sequence[Said]) -> bool:
    """Tell whether a segment holds nothing that its channel's own speaker says."""
    start, end = segment
    return sum(max(0.0, min(end, one.end) - max(start, one.start)) for one in truths) < 0.15


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--choose", action="store_true", help="print the choices of how alike speakers may be"
    )
    parser.add_argument("--only", choices=("conversations", "calls"))
    arguments = parser.parse_args()
    choosing, tested = halves(speakers_of("ased"))
    if arguments.choose:
        choose(choosing)
        return
    path = REPOSITORY / "benchmarks" / "results" / "speakers.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if arguments.only != "calls":
        of: Mapping[str, Clips] = {"ased": tested, "turev": speakers_of("turev")}
        result["conversations"] = [
            {"corpus": corpus, **conversations(clips, n)}
            for corpus, clips in of.items()
            for n in (2, 3)
        ]
    if arguments.only != "conversations":
        result["calls"] = [calls(tested, level_db) for level_db in BLEED_DB]
    write_result("speakers", {**result, "machine": machine()})


if __name__ == "__main__":
    main()
