"""`emovox practice`: say it towards a target, and hear how close it came."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import AudioError
from .console import say, say_json, warn
from .inputs import Interruptible, collect_errors, report
from .journal.options import JournalOption, PassphraseOption, PersonOption
from .predict import ModelOption

if TYPE_CHECKING:
    from ..audio import Samples
    from ..journal.progress import Progress
    from ..live.source import LiveSource
    from ..practice.aims import Aim
    from ..practice.cutter import Cutter
    from ..practice.exercise import Exercise, Outcome
    from ..practice.session import Attempt, Practice, Usual
    from ..prosody import Prosody
    from ..recognizer import Recognizer

_PAUSE_S = 0.09  # between the end of one drawing and the next


def practice(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[TAKE]...", help="With --wav: the takes.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="EMOTION", help="Practise sounding like this emotion.")
    ] = None,
    loudness: Annotated[
        str | None, typer.Option(metavar="dB", help="Practise loudness, such as 6dB or -4dB.")
    ] = None,
    pitch: Annotated[
        str | None, typer.Option(metavar="st", help="Practise pitch: up, down, or such as +2st.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sentences to say, one a line.")
    ] = None,
    takes: Annotated[int, typer.Option(min=1, max=20, help="Takes of each sentence.")] = 3,
    no_emotion: Annotated[
        bool, typer.Option("--no-emotion", help="Measure the voice; recognise no emotion.")
    ] = False,
    wav: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Recordings instead of a microphone: your usual voice."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The microphone's number, name or part of its name."),
    ] = None,
    model: ModelOption = None,
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per line.")
    ] = False,
) -> None:
    """Practise a tone of voice, a loudness or a pitch, compared with your own usual voice."""
    _check_usage(target, loudness, pitch, wav, device, files or [])
    from ..practice.exercise import read_sentences
    from ..practice.session import check_aim

    aim = _aim(target, loudness, pitch)
    sentences = read_sentences(items) if items else None
    recognizer = None if no_emotion else _recognizer(aim, model)
    check_aim(aim, recognizer)
    plan = _Plan(aim, sentences, takes, recognizer)
    with ExitStack() as ends:
        progress = _progress(ends, plan, journal, person, passphrase_file)
        teller = _Teller(aim, as_json, progress)
        if wav is not None:
            raise typer.Exit(_with_files(plan, teller, wav, files or []))
        from ..live.microphone import Microphone

        _live(plan, teller, Microphone(device))


def _check_usage(
    target: str | None,
    loudness: str | None,
    pitch: str | None,
    wav: Path | None,
    device: str | None,
    files: Sequence[Path],
) -> None:
    if sum(one is not None for one in (target, loudness, pitch)) != 1:
        raise typer.BadParameter("expected one of --target, --loudness and --pitch")
    if files and wav is None:
        raise typer.BadParameter("takes as files need --wav FILE, your usual voice")
    if wav is not None and not files:
        raise typer.BadParameter("expected takes after --wav FILE: --wav USUAL.wav TAKE.wav ...")
    if wav is not None and device is not None:
        raise typer.BadParameter("expected --wav or --device, got both")


def _aim(target: str | None, loudness: str | None, pitch: str | None) -> "Aim":
    from ..practice.aims import emotion_aim, loudness_aim, pitch_aim

    if target is not None:
        return emotion_aim(target)
    return loudness_aim(loudness) if loudness is not None else pitch_aim(str(pitch))


def _recognizer(aim: "Aim", model: str | None) -> "Recognizer | None":
    """Return a recogniser; None where there is no emotion to recognise."""
    if aim.emotion is None:
        return None
    from ..recognizer import Recognizer

    return Recognizer.load(model)


@dataclass(frozen=True)
class _Plan:
    """What is practised: `sentences` are None where you gave none."""

    aim: "Aim"
    sentences: Sequence[str] | None
    n_takes: int
    recognizer: "Recognizer | None"

    def exercises(self, default: Iterable[str]) -> "Iterator[Exercise]":
        """Yield an exercise for each sentence."""
        from ..practice.exercise import Exercise

        for sentence in default if self.sentences is None else self.sentences:
            yield Exercise(sentence, self.n_takes)


def _progress(
    ends: ExitStack, plan: _Plan, journal: Path | None, person: str | None, passphrase: Path | None
) -> "Progress | None":
    """Return what keeps the session in the person's journal; None where none was named."""
    if journal is None and person is None:
        return None
    from ..journal.progress import Progress
    from .journal.options import open_journal

    opened = ends.enter_context(open_journal(journal, person, passphrase))
    return Progress(opened, plan.aim, is_inferred=plan.recognizer is not None)


def _with_files(plan: _Plan, teller: "_Teller", usual: Path, takes: Sequence[Path]) -> int:
    """Practise with recordings, in their order, and return the exit code.

    One that cannot be read is reported, and the others go on.
    """
    from ..practice.session import Practice, hear_usual

    waiting, errors = deque(takes), list[str]()
    with Interruptible() as work:
        practice = Practice(plan.aim, hear_usual([(usual, None)], plan.recognizer), plan.recognizer)
        teller.usual(practice.usual)
        exercises = plan.exercises(repeat(""))
        while waiting and (exercise := next(exercises, None)):
            teller.begin(exercise)
            while waiting and not exercise.is_over:
                with collect_errors(take := waiting.popleft(), errors):
                    teller.attempt(practice.attempt(take), str(take))
            teller.end()
    teller.summary()
    if not work.interrupted:
        errors += [f"{take}: no sentence is left for this take" for take in waiting]
    n_done = len(takes) - len(waiting) if work.interrupted else None
    return report(errors, len(takes), "judged", only=n_done)


def _live(plan: _Plan, teller: "_Teller", source: "LiveSource") -> None:
    """Practise with live sound until all sentences are said, the sound ends, or Ctrl-C."""
    from ..audio import RATE
    from ..practice.exercise import SENTENCES

    with ExitStack() as ends, Interruptible():
        ends.callback(source.close)
        ears = ends.enter_context(_ears(source, teller, plan.aim))
        if (practice := _practice(plan, teller, ears)) is None:
            return
        for exercise in plan.exercises(SENTENCES):
            teller.begin(exercise)
            ears.task = f"Say, {plan.aim.name}: {exercise.sentence}"
            while not exercise.is_over and (sound := ears.recording()) is not None:
                teller.attempt(practice.attempt(sound, RATE))
            teller.end()
            if not exercise.is_over:  # the sound has ended
                break
    teller.summary()


def _practice(plan: _Plan, teller: "_Teller", ears: "_Ears") -> "Practice | None":
    """Hear the person's usual voice, again where it cannot be used; None if the sound ends."""
    from ..audio import RATE
    from ..practice.session import MOST_USUAL_S, USUAL_S, Practice, hear_usual

    teller.ask("Tell about your day in your everyday voice, for about 15 seconds.")
    while (sound := ears.recording(USUAL_S, MOST_USUAL_S)) is not None:
        try:
            usual = hear_usual([(sound, RATE)], plan.recognizer)
        except AudioError as error:
            warn(f"emovox: {error}; once more, please")
        else:
            teller.usual(usual)
            ears.usual = usual.prosody
            return Practice(plan.aim, usual, plan.recognizer)
    return None


class _Ears:
    """Live sound, cut into recordings while it is shown."""

    def __init__(self, source: "LiveSource", show: "Callable[[_Ears, Cutter], None]") -> None:
        self._blocks = source.blocks(threading.Event())
        self._source, self._show = source, show
        self._shown_at = 0.0  # on the monotonic clock
        self.task = "Your usual voice"
        self.usual: Prosody | None = None

    def recording(self, least_s: float = 0.0, most_s: float | None = None) -> "Samples | None":
        """Return the next recording, mono at 16 kHz; None if the sound ends before.

        Without `most_s` it is a take.
        """
        from ..practice.cutter import Cutter
        from ..practice.session import MOST_TAKE_S

        cutter = Cutter(least_s, MOST_TAKE_S if most_s is None else most_s)
        for block in self._blocks:
            sound = cutter.feed(block.samples, block.rate, gap=block.gap_s > 0)
            if sound is not None:
                return sound
            self._show_at_times(cutter)
        return None

    def _show_at_times(self, cutter: "Cutter") -> None:
        """Show the sound; never so often that a slow terminal would keep it waiting."""
        if time.monotonic() - self._shown_at >= _PAUSE_S:
            self._show(self, cutter)
            self._shown_at = time.monotonic()


@contextmanager
def _ears(source: "LiveSource", teller: "_Teller", aim: "Aim") -> "Iterator[_Ears]":
    """Yield live sound, shown on a terminal."""
    if teller.as_json or not sys.stdout.isatty():
        yield _Ears(source, lambda ears, cutter: None)
        return
    from rich.console import Console

    from ..practice.view import View

    with View(Console()) as view:
        teller.line = view.tell
        yield _Ears(
            source, lambda ears, cutter: view.show(cutter.moment(), ears.task, ears.usual, aim)
        )
        teller.line = say


class _Teller:
    """Tells a session as it goes: lines to read, or JSON, one object a line."""

    def __init__(self, aim: "Aim", as_json: bool, progress: "Progress | None" = None) -> None:
        self.as_json, self._progress = as_json, progress
        self.line: Callable[[str], None] = say
        self._aim = aim
        self._exercises: list[Exercise] = []
        from ..practice import words

        self._words = words
        self._tell({"aim": aim.to_dict()}, f"target: {words.aim_words(aim)}")

    def ask(self, text: str) -> None:
        """Ask for something; a program that reads JSON knows it."""
        self._tell({"ask": text}, text)

    def usual(self, usual: "Usual") -> None:
        """Tell the usual voice."""
        words = self._words.usual_words(usual.prosody)
        line = f"your usual voice, {usual.speech_s:.0f} s of speech: {words}"
        self._tell({"usual": usual.to_dict()}, line)

    def begin(self, exercise: "Exercise") -> None:
        """Tell the next sentence."""
        self._exercises.append(exercise)
        number = len(self._exercises)
        self._tell(
            {"exercise": {"number": number, "sentence": exercise.sentence}},
            f"{number}. {exercise.sentence}" if exercise.sentence else "",
        )

    def attempt(self, attempt: "Attempt", name: str = "") -> None:
        """Add an attempt to the sentence at hand, and tell it."""
        exercise = self._exercises[-1]
        exercise.attempts.append(attempt)
        place = {"exercise": len(self._exercises), "take": exercise.n_told, "file": name or None}
        lines = self._words.attempt_lines(attempt, exercise, name)
        self._tell({"attempt": place | attempt.to_dict()}, *lines)
        if self._progress:
            self._progress.keep(self._outcome())

    def end(self) -> None:
        """Tell the best take of the sentence at hand."""
        if best := self._exercises[-1].best:
            number, attempt = best
            told = {"exercise": len(self._exercises), "take": number}
            close = attempt.closeness or 0.0
            self._tell(
                {"best": told | {"closeness": round(close, 4)}},
                f"best: take {number}, {close:.0%}",
            )

    def summary(self) -> None:
        """Tell what the session came to."""
        done = self._outcome()
        self._tell({"summary": done.to_dict()}, self._words.outcome_words(done))
        if self._progress:
            from ..journal.progress import progress_json, progress_lines

            sessions = self._progress.sessions()
            self._tell({"progress": progress_json(sessions)}, *progress_lines(sessions))

    def _outcome(self) -> "Outcome":
        from ..practice.exercise import outcome

        return outcome(self._aim.name, self._exercises)

    def _tell(self, value: dict[str, Any], *lines: str) -> None:
        if self.as_json:
            say_json(value, indent=None)
            return
        for line in filter(None, lines):
            self.line(line)
