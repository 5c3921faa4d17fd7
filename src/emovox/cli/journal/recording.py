"""`emovox journal record`: listen, and keep each segment as it ends."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import one_line
from ..console import say, warn
from ..predict import ModelOption
from .entries import NoteOption, TagOption, recognizer_for
from .options import JournalOption, PassphraseOption, PersonOption, open_journal
from .reading import segment_table, sounded

if TYPE_CHECKING:
    from ...journal.hearing import Heard
    from ...journal.records import Session
    from ...journal.store import Journal
    from ...live.listener import ListeningThread
    from ...live.source import LiveSource
    from ...recognizer import Recognizer

_INTERVAL_S = 0.5  # seconds of speech between interim decisions in the view


def record(
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The microphone's number, name or part of its name."),
    ] = None,
    model: ModelOption = None,
    note: NoteOption = "",
    tags: TagOption = None,
    wav: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Play a recording instead of a microphone."),
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0, help="Speed of --wav; 0: as fast as possible.")
    ] = None,
) -> None:
    """Listen to a microphone until Ctrl-C, and keep each segment of speech as it ends."""
    from ...live.microphone import Microphone
    from ...live.playback import Playback

    if wav and device is not None:
        raise typer.BadParameter("expected --wav or --device, got both")
    if speed is not None and not wav:
        raise typer.BadParameter("--speed needs --wav FILE")
    with open_journal(journal, person, passphrase_file) as opened, ExitStack() as ends:
        recognizer = recognizer_for(opened.consent, model)
        source = Playback(wav, 1.0 if speed is None else speed) if wav else Microphone(device)
        ends.callback(source.close)
        session = opened.begin(_session(source, recognizer, note, tags or ()))
        session = _record(opened, session, recognizer, source, ends)
        totals = opened.totals(session.id)
    told = f", sounded {sounded(totals)}" if totals.inferred_s else ""
    say(
        f"session {session.id}: {totals.speech_s:.1f} s of speech in "
        f"{session.conditions.seconds:.1f} s{told}"
    )


def _session(
    source: "LiveSource", recognizer: "Recognizer | None", note: str, tags: Sequence[str]
) -> "Session":
    from ...journal.adding import begun_session
    from ...live.playback import Playback

    is_played = isinstance(source, Playback)
    kind, device = ("recording", "") if is_played else ("microphone", source.name)
    begun = begun_session(datetime.now().astimezone(), kind, device, recognizer)
    return replace(begun, note=note, tags=tuple(tags))


def _record(
    journal: "Journal",
    session: "Session",
    recognizer: "Recognizer | None",
    source: "LiveSource",
    ends: ExitStack,
) -> "Session":
    """Listen until the source or a signal ends it; return the session, which is whole then."""
    from ...journal.adding import Keeping
    from ...journal.hearing import Ear
    from ...live.kept import KeptSession
    from ...live.listener import ListeningThread, follow

    baseline = journal.baseline(recognizer.fingerprint) if recognizer else None
    is_drawn = recognizer is not None and sys.stdout.isatty()
    ear = Ear(recognizer, baseline, interval_s=_INTERVAL_S if is_drawn else None)
    listener = ListeningThread(source, KeptSession(ear))
    ends.callback(listener.close)
    keeping = Keeping(journal, session)
    labels = recognizer.labels if recognizer and is_drawn else None
    with _display(listener, labels) as show:
        follow(listener, keeping.one, show)
    return journal.finish(replace(session, conditions=ear.conditions))


@contextmanager
def _display(
    listener: "ListeningThread[Heard]", labels: Sequence[str] | None
) -> Iterator[Callable[[Sequence["Heard"]], None]]:
    """Yield a function that shows what was heard: in the view of `listen`, else line by line."""
    if labels is None:
        yield _LineByLine(listener)
        return
    from rich.console import Console

    from ...live.view import Status, View

    with View(labels, Console()) as view:

        def show(heard: Sequence["Heard"]) -> None:
            for one in heard:
                if one.prediction:
                    view.add(one.prediction)
            name = one_line(listener.source.name)
            view.show(Status(name, listener.now, listener.losses, one_line(listener.problem)))

        yield show


class _LineByLine:
    """Prints each segment on stdout, and each problem on stderr, once."""

    def __init__(self, listener: "ListeningThread[Heard]") -> None:
        self._listener = listener
        self._problem = ""

    def __call__(self, heard: Sequence["Heard"]) -> None:
        for one in heard:
            if one.kept:
                say("  ".join(segment_table([one.kept])[1][0]))
        if (problem := self._listener.problem) != self._problem:
            warn(f"emovox: {problem or 'sound is coming in again'}")
            self._problem = problem
