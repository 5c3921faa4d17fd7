"""A journal that is killed, crowded, full and old; and a half year whose truth is known.

Run with ``python benchmarks/journal.py``, or with names of its parts: kills, crowd, disk, size,
halfyear, microphone. Writes benchmarks/results/journal.json; parts that are left out keep their
figures. All together take about 20 minutes.

- kills: `journal add` and `journal record` killed with -9 at ten random moments each.
- crowd: three processes write to one journal at once, and two add the same recording.
- disk: a limit on the size of files, as a full disk.
- size: a journal of 1,000 sessions of an hour, with 700 segments each: 35 minutes of speech in
  segments of 3 s, more than the speech of one of two who talk.
- halfyear: 26 weeks of a person whose share of sad speech rises slowly. Sessions are drawn from a
  speaker's clips, recognised by the shipped model with that speaker's own baseline. The truth is
  what this model makes of the week's mixture on the average over those clips, errors included: the
  interval is about how the voice sounded to the model, and can be about nothing else.
- microphone: nothing but the recording changes after four weeks: band, noise, or both, at a device
  that nobody named. All sound is added by the real commands' code.
"""

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from emovox import Recognizer
from emovox.audio import RATE, load_audio
from emovox.errors import AudioError
from emovox.journal.adding import Recording, add
from emovox.journal.export.lines import journal_from
from emovox.journal.records import Conditions, Consent, Inferred, Segment, Session
from emovox.journal.rows import segment_row, session_row
from emovox.journal.store import Journal
from emovox.journal.totals import Totals, totals_of
from emovox.journal.trend import SOUNDED, Trend, trend
from emovox.prosody import Prosody, measure
from machine import REPOSITORY, data_folder, machine, write_result

EMOVOX = str(Path(sys.executable).with_name("emovox"))
NOW = datetime(2026, 1, 5, 18, 0, tzinfo=UTC)
PASSPHRASE = "benchmark"
N_KILLS, N_SESSIONS, N_SEGMENTS, N_WEEKS = 10, 1000, 700, 26


# Killed, crowded, full


def talk(path: Path, seconds: float, seed: int) -> None:
    """Write clips of TESS with pauses between them."""
    rng = np.random.default_rng(seed)
    files = sorted((data_folder() / "tess").rglob("*.flac"))
    parts, n = [], 0
    while n < seconds * RATE:
        clip = load_audio(files[rng.integers(len(files))])
        parts += [clip, rng.normal(0, 1e-4, RATE).astype(np.float32)]
        n += len(clip) + RATE
    soundfile.write(path, np.concatenate(parts), RATE, "PCM_16")


def new(path: Path, secret: Path | None = None) -> list[str]:
    """Make a journal; return the options that open it."""
    passphrase = secret.read_text() if secret else None
    Journal.create(path, "Somebody", Consent(NOW, True, True), passphrase=passphrase).close()
    return ["--journal", str(path), *(["--passphrase-file", str(secret)] if secret else [])]


def integrity(path: Path) -> bool:
    """Check a journal's file as SQLite does."""
    database = sqlite3.connect(path)
    try:
        return database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    finally:
        database.close()


def starts(path: Path, secret: Path | None) -> list[float]:
    """Return where the segments of a journal's first session begin."""
    with Journal.open(path, passphrase=secret.read_text() if secret else None) as journal:
        sessions = journal.sessions()
        return [one.start for one in journal.segments(sessions[0].id)] if sessions else []


def n_committed(path: Path) -> int:
    """Count the segments that a reader of the file sees."""
    with suppress(sqlite3.Error):
        database = sqlite3.connect(path)
        try:
            return int(database.execute("SELECT count(*) FROM segment").fetchone()[0])
        finally:
            database.close()
    return 0


def kills(folder: Path) -> dict[str, Any]:
    """Kill `add` and `record` at random moments; count what is lost."""
    sound, secret = folder / "talk.wav", folder / "secret"
    talk(sound, 40, seed=1)
    secret.write_text(PASSPHRASE)
    commands = {
        "add": ["add", str(sound)],
        "record": ["record", "--wav", str(sound), "--speed", "10"],
    }
    rng = np.random.default_rng(2)
    found: dict[str, Any] = {}
    for name, command in commands.items():
        options = new(folder / f"{name}.journal")
        subprocess.run([EMOVOX, "journal", *command, *options], check=True, capture_output=True)
        whole = starts(folder / f"{name}.journal", None)
        rows = [
            kill(
                folder / f"{name}-{n}.journal",
                command,
                (int(rng.integers(1, len(whole))), rng.uniform(0, 0.2)),
                whole,
                secret if n % 2 else None,
            )
            for n in range(N_KILLS)
        ]
        print(name, rows, flush=True)
        found[name] = {
            "kills": len(rows),
            "in_the_middle": sum(0 < row["kept"] < len(whole) for row in rows),
            "intact": sum(row["intact"] for row in rows),
            "segments_lost": sum(row["lost"] for row in rows),
            "segments_kept": [row["kept"] for row in rows],
            "segments_of_all": len(whole),
        }
        if name == "add":
            found[name]["whole_after_adding_again"] = sum(row["whole"] for row in rows)
    return found


def kill(
    path: Path,
    command: list[str],
    after: tuple[int, float],
    whole: list[float],
    secret: Path | None,
) -> dict[str, Any]:
    """Kill a command some time `after` so many segments; compare what is left with the finished."""
    n_before, later_s = after
    options = new(path, secret)
    process = subprocess.Popen(
        [EMOVOX, "journal", *command, *options], stdout=subprocess.PIPE, text=True
    )
    while n_committed(path) < n_before and process.poll() is None:
        time.sleep(0.002)
    time.sleep(later_s)
    finished = n_committed(path)
    process.kill()
    out, _ = process.communicate()
    printed = sum(line[:3] == "00:" for line in out.splitlines())
    kept = starts(path, secret)
    is_prefix = bool(np.allclose(kept, whole[: len(kept)], atol=0.05)) if kept else True
    row = {
        "after": n_before,
        "kept": len(kept),
        "lost": max(0, max(finished, printed) - len(kept)),
        "intact": integrity(path) and is_prefix,
    }
    if command[0] == "add":
        again = [EMOVOX, "journal", *command, *options]
        subprocess.run(again, check=True, capture_output=True)
        found = starts(path, secret)
        row["whole"] = len(found) == len(whole) and bool(np.allclose(found, whole, atol=0.2))
    return row


def crowd(folder: Path) -> dict[str, Any]:
    """Write to one journal from three processes, and add one recording from two."""
    sounds = [folder / f"{n}.wav" for n in range(3)]
    for n, sound in enumerate(sounds):
        talk(sound, 25, seed=10 + n)
    options = new(folder / "crowd.journal")
    commands = [["add", str(sound)] for sound in sounds[:2]]
    commands.append(["record", "--wav", str(sounds[2]), "--speed", "0"])
    codes = together([[EMOVOX, "journal", *command, *options] for command in commands])
    alone = []
    for n, sound in enumerate(sounds):
        with Journal.open(folder / "crowd.journal") as journal:
            counts = sorted(len(list(journal.segments(one.id))) for one in journal.sessions())
        one = new(folder / f"alone-{n}.journal")
        subprocess.run([EMOVOX, "journal", "add", str(sound), *one], check=True)
        alone.append(len(starts(folder / f"alone-{n}.journal", None)))
    options = new(folder / "same.journal")
    same = together([[EMOVOX, "journal", "add", str(sounds[0]), *options]] * 2)
    if max(same):
        same.append(subprocess.run([EMOVOX, "journal", "add", str(sounds[0]), *options]).returncode)
    with Journal.open(folder / "same.journal") as journal:
        n_same = [len(list(journal.segments(one.id))) for one in journal.sessions()]
    return {
        "exit_codes": codes,
        "segments": counts,
        "segments_alone": sorted(alone),
        "intact": integrity(folder / "crowd.journal"),
        "same_exit_codes": same,
        "same_segments": n_same,
        "same_segments_alone": alone[0],
    }


def together(commands: Sequence[list[str]]) -> list[int]:
    """Run commands at once; return their exit codes."""
    running = [subprocess.Popen(command) for command in commands]
    return [process.wait() for process in running]


def disk(folder: Path) -> dict[str, Any]:
    """Add a recording where files may not grow beyond 100 kB."""
    sound, path = folder / "long.wav", folder / "disk.journal"
    talk(sound, 400, seed=20)
    options = new(path)
    done = subprocess.run(
        [EMOVOX, "journal", "add", str(sound), *options],
        capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    kept = len(starts(path, None))
    again = subprocess.run([EMOVOX, "journal", "add", str(sound), *options], capture_output=True)
    return {
        "exit_code": done.returncode,
        "lines": len(done.stderr.splitlines()),
        "error": done.stderr.strip().replace(str(folder) + "/", ""),
        "segments_kept": kept,
        "intact": integrity(path),
        "segments_with_room": len(starts(path, None)),
        "exit_code_with_room": again.returncode,
    }


# Old


def old_lines() -> Iterator[str]:
    """Yield the export of a journal of 1,000 sessions."""
    rng = np.random.default_rng(3)
    labels = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    yield json.dumps({"emovox_journal": {"format": 1, "version": "0"}})
    yield json.dumps({"person": {"id": 1, "name": "Somebody", "created": NOW.isoformat()}})
    consent = {"at": NOW.isoformat(), "measure": 1, "emotion": 1, "sound": 0}
    yield json.dumps(
        {"consent": {"id": 1, **consent, "retention_days": None, "version": 1, "text": "yes"}}
    )
    for number in range(1, N_SESSIONS + 1):
        segments = [made_segment(rng, labels, 5.0 * n) for n in range(N_SEGMENTS)]
        totals = totals_of(segments)
        began = NOW + timedelta(days=number // 3, hours=4 * (number % 3))
        session = Session(
            began, "microphone", "headset", Conditions(3600.0, totals.speech_s, 30.0, 7_000.0),
            "061d7db6a69f7da7", labels, "0.1.0", is_whole=True,
        )  # fmt: skip
        row = {**session_row(session), "totals": totals.to_json()}
        yield json.dumps({"session": {"id": number, **row}})
        for n, segment in enumerate(segments):
            yield json.dumps({"segment": {"session_id": number, "n": n, **segment_row(segment)}})


def made_segment(rng: np.random.Generator, labels: Sequence[str], start: float) -> Segment:
    """Make a segment of 3 s."""
    scores = rng.dirichlet(np.ones(len(labels)) / 2)
    best = int(scores.argmax())
    prosody = Prosody(*(float(value) for value in rng.normal(20, 5, 6)))
    inferred = Inferred(labels[best], float(scores[best]), bool(scores[best] > 0.4), tuple(scores))
    return Segment(start, start + 3.0, prosody, inferred)


def size(folder: Path) -> dict[str, Any]:
    """Import an old journal, plain and sealed; take its size and the time of `trend`."""
    found = {"sessions": N_SESSIONS, "segments_a_session": N_SEGMENTS}
    secret = folder / "secret"
    secret.write_text(PASSPHRASE)
    for kind, passphrase in (("open", None), ("sealed", PASSPHRASE)):
        path = folder / f"{kind}.journal"
        began = time.monotonic()
        journal_from(path, old_lines(), passphrase=passphrase).close()
        print(f"made in {time.monotonic() - began:.0f} s")
        command = [EMOVOX, "journal", "trend", "--journal", str(path)]
        command += ["--passphrase-file", str(secret)] if passphrase else []
        times, before = [], resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(5):
            began = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 5
        found[kind] = {"mb": round(path.stat().st_size / 1e6, 1), "trend_s": round(min(times), 2),
                       "trend_cpu_s": round(cpu_s, 2)}  # fmt: skip
    return found


# A half year


@dataclass(frozen=True)
class Clip:
    """A clip of a speaker as the model hears it, and the emotion that was meant."""

    emotion: str
    segment: Segment


@dataclass(frozen=True)
class Speaker:
    """A speaker and their files by emotion."""

    name: str
    files: dict[str, list[Path]]


def speakers(n: int) -> list[Speaker]:
    """Choose speakers of corpora that no shipped model was trained on, those with most clips."""
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for corpus in ("turev", "ased"):
        table = (data_folder() / corpus / "table.csv").read_text().splitlines()
        names = table[0].split(",")
        for line in table[1:]:
            row = dict(zip(names, line.split(","), strict=False))
            file = data_folder() / corpus / row["file"]
            found[f"{corpus}/{row['speaker']}"][row["emotion"].strip()].append(file)
    full = [
        Speaker(name, dict(files))
        for name, files in found.items()
        if "sad" in files and len(files) >= 4 and min(map(len, files.values())) >= 6
    ]
    return sorted(full, key=lambda one: -sum(map(len, one.files.values())))[:n]


def heard(recognizer: Recognizer, speaker: Speaker, rng: np.random.Generator) -> list[Clip]:
    """Recognise the clips of a speaker, 30 at most an emotion, with their own baseline."""
    speeches = []
    for emotion, files in speaker.files.items():
        for i in rng.permutation(len(files))[:30]:
            with suppress(AudioError):
                speeches.append((emotion, recognizer.read(files[i]).samples))
    baseline = recognizer.new_baseline()
    for i in rng.permutation(len(speeches))[:40]:
        baseline = baseline.after(recognizer.hear(speeches[i][1], baseline)[1])
    clips = []
    for emotion, speech in speeches:
        one, _ = recognizer.hear(speech, baseline)
        inferred = Inferred(one.label, one.score, one.certain, tuple(one.scores.values()))
        clips.append(Clip(emotion, Segment(0.0, len(speech) / RATE, measure(speech), inferred)))
    return clips


def mixture(week: int, emotions: Sequence[str]) -> NDArray[np.float64]:
    """Return the shares of the clips' emotions in a week: sad rises from 10 to 40 %."""
    sad = 0.1 + 0.3 * week / (N_WEEKS - 1)
    others = (1 - sad) / (len(emotions) - 1)
    return np.array([sad if emotion == "sad" else others for emotion in emotions])


def expected(clips: Sequence[Clip], shares: NDArray[np.float64], emotions: Sequence[str]) -> Totals:
    """Return what the model makes of a mixture on the average: the truth of a week."""
    seconds: dict[str, float] = defaultdict(float)
    for share, emotion in zip(shares, emotions, strict=True):
        own = [clip.segment for clip in clips if clip.emotion == emotion]
        for segment in own:
            seconds[segment.inferred.label] += share * segment.seconds / len(own)
    return Totals(0, 0.0, sum(seconds.values()), 0.0, dict(seconds))


def half_year(
    clips: Sequence[Clip], labels: Sequence[str], rng: np.random.Generator, *, rises: bool
) -> tuple[list[tuple[Session, Totals]], dict[int, Totals]]:
    """Draw the sessions of 26 weeks, three to five a week of one to five minutes of speech."""
    emotions = sorted({clip.emotion for clip in clips})
    pools = [[clip.segment for clip in clips if clip.emotion == one] for one in emotions]
    pairs, truths = [], {}
    for week in range(N_WEEKS):
        usual = mixture(week if rises else 0, emotions)
        truths[week] = expected(clips, usual, emotions)
        for n in range(int(rng.integers(3, 6))):
            shares = rng.dirichlet(40 * usual)  # each session has a mood of its own
            segments, at, goal = [], 0.0, rng.uniform(60, 300)
            while at < goal:
                pool = pools[rng.choice(len(pools), p=shares)]
                one = pool[rng.integers(len(pool))]
                segments.append(replace(one, start=at, end=at + one.seconds))
                at += one.seconds
            began = NOW + timedelta(weeks=week, days=n)
            session = Session(
                began, "microphone", "headset", Conditions(2 * at, at, 30.0, 7_000.0),
                "model", tuple(labels), is_whole=True, id=len(pairs) + 1,
            )  # fmt: skip
            pairs.append((session, totals_of(segments)))
    return pairs, truths


def halfyear(folder: Path) -> dict[str, Any]:
    """Count the weeks whose interval holds the truth, and the changes that were told."""
    recognizer = Recognizer.load()
    rng = np.random.default_rng(5)
    rows, told, false = [], [], []
    for speaker in speakers(5):
        clips = heard(recognizer, speaker, rng)
        pairs, truths = half_year(clips, recognizer.labels, rng, rises=True)
        found = trend(kept(folder, pairs))
        for week, truth in zip(found.weeks, truths.values(), strict=True):
            for label in recognizer.labels:
                point = week.points[SOUNDED + label]
                share = truth.share(label)
                rows.append((speaker.name, label, point.low <= share <= point.high, share))
        told.append(any(name == SOUNDED + "sad" for _, name, _ in found.changes()))
        pairs, _ = half_year(clips, recognizer.labels, rng, rises=False)
        false.append(len(trend(kept(folder, pairs)).changes()))
        mine = [row for row in rows if row[0] == speaker.name]
        rose = truths[N_WEEKS - 1].share("sad") - truths[0].share("sad")
        print(speaker.name, len(clips), f"{np.mean([row[2] for row in mine]):.3f} sad +{rose:.2f}",
              told[-1], false[-1], flush=True)  # fmt: skip
    return {
        "speakers": len(told),
        "weeks": N_WEEKS,
        "coverage": round(float(np.mean([row[2] for row in rows])), 4),
        "coverage_sad": round(float(np.mean([row[2] for row in rows if row[1] == "sad"])), 4),
        "coverage_of_labels_above_5_percent": round(
            float(np.mean([row[2] for row in rows if row[3] > 0.05])), 4
        ),
        "rise_of_sad_told": sum(told),
        "changes_told_where_nothing_changes": false,
    }


def kept(folder: Path, pairs: list[tuple[Session, Totals]]) -> list[tuple[Session, Totals]]:
    """Take sessions through a real journal's file."""
    path = folder / f"{time.monotonic_ns()}.journal"
    with Journal.create(path, "Somebody", Consent(NOW, True, True)) as journal:
        for session, totals in pairs:
            begun = journal.begin(session)
            journal._update_session(begun, totals)
        return journal.sessions_with_totals()


# Another microphone

LINES = {
    "band 300 to 3,400 Hz": (True, None),
    "noise 15 dB below the speech": (False, 15.0),
    "noise 32 dB below the speech": (False, 32.0),
    "both, 20 dB": (True, 20.0),
}


def microphone(folder: Path) -> dict[str, Any]:
    """Change nothing but the recording after four weeks; count what is told of the mood."""
    recognizer = Recognizer.load()
    found: dict[str, Any] = {}
    for who, speaker in enumerate(speakers(2)):
        sounds = list(weekly_sound(speaker, np.random.default_rng(7 + who), 8))
        clean = folder / f"clean-{who}.journal"
        Journal.create(clean, "Somebody", Consent(NOW, True, True)).close()
        half = len(sounds) // 2
        add_sounds(clean, recognizer, list(enumerate(sounds[:half])))
        for line, (is_narrow, snr_db) in LINES.items():
            path = folder / f"{time.monotonic_ns()}.journal"
            shutil.copy(clean, path)
            rng = np.random.default_rng(9)
            later = [
                (half + n, through(sound, is_narrow, snr_db, rng))
                for n, sound in enumerate(sounds[half:])
            ]
            row = add_sounds(path, recognizer, later)
            print(speaker.name, line, row, flush=True)
            found.setdefault(line, []).append(row)
    return {
        line: {
            "journals": len(rows),
            "weeks_after": sum(row["weeks_after"] for row in rows),
            "weeks_marked": sum(row["weeks_marked"] for row in rows),
            "changes_of_mood_told": sum(row["told"] for row in rows),
            "changes_without_the_mark": sum(row["unmarked"] for row in rows),
        }
        for line, rows in found.items()
    }


def weekly_sound(
    speaker: Speaker, rng: np.random.Generator, n_weeks: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the sound of sessions, two a week, with enough speech and a quiet room's pauses."""
    files = [file for each in speaker.files.values() for file in each]
    for _ in range(2 * n_weeks):
        parts, n_speech = [], 0
        while n_speech < 130 * RATE:
            clip = load_audio(files[rng.integers(len(files))])
            n_speech += len(clip)
            parts += [clip, np.zeros(int(0.7 * RATE), np.float32)]
        sound = np.concatenate(parts)
        yield sound + rng.normal(0, 3e-4, len(sound)).astype(np.float32)


def add_sounds(
    path: Path, recognizer: Recognizer, sounds: Sequence[tuple[int, NDArray[np.float32]]]
) -> dict[str, int]:
    """Add sessions, two a week, to a journal; return what is told of the last four weeks."""
    file = path.with_suffix(".wav")
    with Journal.open(path) as journal:
        for n, sound in sounds:
            soundfile.write(file, sound.clip(-1, 1), RATE, "PCM_16")
            began = NOW + timedelta(weeks=n // 2, days=n % 2)
            add(journal, Recording(file, began), recognizer)
        pairs = journal.sessions_with_totals()
    bare = [(replace(one, conditions=Conditions()), totals) for one, totals in pairs]
    found = trend(pairs)
    weeks = found.weeks[4:]
    return {
        "weeks_after": len(weeks),
        "weeks_marked": sum(week.is_apart for week in weeks),
        "told": n_of_mood(found),
        "unmarked": n_of_mood(trend(bare)),
    }


def n_of_mood(found: Trend) -> int:
    """Count the changes of how somebody sounded."""
    return sum(name.startswith(SOUNDED) for _, name, _ in found.changes())


def through(
    sound: NDArray[np.float32], is_narrow: bool, snr_db: float | None, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return sound as another microphone would record it."""
    from scipy.signal import butter, sosfiltfilt

    from emovox.loudness import speech_level_db

    if is_narrow:
        band = butter(8, (300, 3400), "bandpass", fs=RATE, output="sos")
        sound = sosfiltfilt(band, sound).astype(np.float32)
    if snr_db is not None:
        level = 10 ** ((speech_level_db(sound) - snr_db) / 20)
        sound = sound + rng.normal(0, level, len(sound)).astype(np.float32)
    return sound


PARTS = {
    "kills": kills,
    "crowd": crowd,
    "disk": disk,
    "size": size,
    "halfyear": halfyear,
    "microphone": microphone,
}


def main() -> None:
    """Measure the parts asked for."""
    path = REPOSITORY / "benchmarks" / "results" / "journal.json"
    for part in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            measured = PARTS[part](Path(folder))
        print(part, json.dumps(measured, indent=1), flush=True)
        result = json.loads(path.read_text()) if path.exists() else {}
        result[part] = measured
        result["machine"] = machine()
        write_result("journal", result)


if __name__ == "__main__":
    main()
