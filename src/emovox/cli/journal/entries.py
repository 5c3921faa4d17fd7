"""`emovox journal add`, `record` and `checkin`: what comes into a journal."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import counted, progress_bar, say, warn
from ..inputs import Interruptible, collect_errors, expand, report
from ..predict import ModelOption
from .options import JournalOption, PassphraseOption, PersonOption, open_journal, parsed_time
from .reading import sounded

if TYPE_CHECKING:
    from ...journal.adding import Added
    from ...journal.records import Consent
    from ...journal.store import Journal
    from ...recognizer import Recognizer

NoteOption = Annotated[str, typer.Option("--note", help="A note on the session.")]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", help="A tag of the session; may be repeated.")
]


def recognizer_for(consent: "Consent", model: str | None) -> "Recognizer | None":
    """Open the model if the person agreed to inferring emotion; else nothing infers."""
    if not consent.emotion:
        if model is not None:
            warn("emovox: nothing is inferred, since the person has not agreed to it")
        return None
    from ...recognizer import Recognizer

    recognizer = Recognizer.load(model)
    if recognizer.card.caution:
        warn(f"emovox: {recognizer.card.caution}")
    return recognizer


def add(
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.")],
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    model: ModelOption = None,
    began: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help="When one recording was made; default: its file's time."
        ),
    ] = None,
    channel: Annotated[
        int | None,
        typer.Option(min=0, help="The channel that is the person, counted from 0; default: all."),
    ] = None,
    device: Annotated[str, typer.Option(help="What it was recorded with.")] = "",
    note: NoteOption = "",
    tags: TagOption = None,
) -> None:
    """Add recordings; each once, and after an interruption from where it stopped."""
    recordings, errors = expand(files)
    if began and len(recordings) != 1:
        raise typer.BadParameter("--at is the time of one recording")
    at = parsed_time(began) if began else None
    with open_journal(journal, person, passphrase_file) as opened:
        recognizer = recognizer_for(opened.consent, model)
        with Interruptible() as work:
            n_done = 0
            for recording in recordings:
                with collect_errors(recording.file, errors):
                    _add(opened, recognizer, recording.file, at, channel, device, note, tags or ())
                n_done += 1
    n_all = len(recordings)
    raise typer.Exit(report(errors, n_all, "added", only=n_done if work.interrupted else None))


def _add(
    journal: "Journal",
    recognizer: "Recognizer | None",
    file: Path,
    at: datetime | None,
    channel: int | None,
    device: str,
    note: str,
    tags: Sequence[str],
) -> None:
    from ...errors import AudioError
    from ...journal.adding import Recording, began_of
    from ...journal.adding import add as add_recording

    recording = Recording(file, at or began_of(file), channel, device, note, tuple(tags))
    with progress_bar(file.name) as progress:
        added = add_recording(journal, recording, recognizer, progress)
    say(f"{file}: {_told(journal, added, at is None)}")
    if added.broken:
        raise AudioError(f"{added.broken}; the sound before that was added", "cut off", str(file))


def _told(journal: "Journal", added: "Added", is_file_time: bool) -> str:
    session = added.session
    if not added.is_new:
        return f"is in the journal as session {session.id}"
    totals = journal.totals(session.id)
    went_on = f", heard on from {added.resumed_s:.1f} s" if added.resumed_s else ""
    source = " (the file's time)" if is_file_time else ""
    heard = f"{totals.speech_s:.1f} s of speech in {counted(totals.n_segments, 'segment')}"
    what = f", sounded {sounded(totals)}" if totals.inferred_s else ""
    began = session.began.strftime("%Y-%m-%d %H:%M")
    return f"session {session.id} of {began}{source}{went_on}: {heard}{what}"


def checkin(
    valence: Annotated[
        float, typer.Argument(help="How you feel: -1 very unpleasant, 1 very pleasant.")
    ],
    labels: Annotated[list[str] | None, typer.Argument(help="Words for it, such as calm.")] = None,
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    daily: Annotated[
        bool, typer.Option("--daily", help="About the day as a whole, not this moment.")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="A note on it.")] = "",
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When; default: now.")
    ] = None,
) -> None:
    """Write down how you feel, in the words of HealthKit's state of mind."""
    from ...journal.records import CheckIn

    moment = parsed_time(at) if at else datetime.now().astimezone()
    words = tuple(dict.fromkeys(word.lower() for word in labels or ()))
    check_in = CheckIn(moment, "daily" if daily else "momentary", valence, words, note)
    with open_journal(journal, person, passphrase_file) as opened:
        check_in = opened.check_in(check_in)
    say(f"check-in {check_in.id}: {valence:+.2f} {', '.join(words)}".rstrip())
