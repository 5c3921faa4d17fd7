"""`emovox journal new`, `consent`, `forget`, `purge`, `lock`, `unlock`: a journal as a whole."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import EmovoxError
from ..console import counted, progress_bar, say, warn
from .options import JournalOption, PassphraseOption, PersonOption, open_journal, read_passphrase

if TYPE_CHECKING:
    from ...journal.records import Consent


def new(
    name: Annotated[str, typer.Argument(help="The person's name.", show_default=False)],
    journal: JournalOption = None,
    emotion: Annotated[
        bool, typer.Option(help="Also infer which emotion you sounded like.")
    ] = False,
    sound: Annotated[bool, typer.Option(help="Also keep the sound of your speech.")] = False,
    retention: Annotated[
        int | None, typer.Option(metavar="DAYS", min=1, help="`purge` deletes what is older.")
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal every entry with a passphrase.")
    ] = False,
    passphrase_file: PassphraseOption = None,
    agree: Annotated[
        bool, typer.Option("--agree", help="The person has read the text and agrees.")
    ] = False,
) -> None:
    """Begin the journal of a person, who is asked to agree."""
    from ...journal.folder import check_only, new_file, plain
    from ...journal.records import Consent
    from ...journal.store import Journal

    consent = Consent(datetime.now().astimezone(), True, emotion, sound, retention)
    _ask_consent(consent, agree)
    secret = None
    if passphrase or passphrase_file:
        secret = read_passphrase(passphrase_file, is_new=True)
    path = journal or new_file()
    if not journal:
        check_only(name)
    Journal.create(path, plain(name), consent, passphrase=secret).close()
    say(f"made {path}")


def _ask_consent(consent: "Consent", agree: bool) -> None:
    warn(consent.text)
    for line in consent_lines(consent):
        warn(line)
    if not agree:
        typer.confirm("Do you agree?", abort=True, err=True)


def consent_lines(consent: "Consent") -> list[str]:
    """Return what somebody agrees to, line by line."""
    days = consent.retention_days
    return [
        "measure the voice: yes",
        f"infer emotion: {'yes' if consent.emotion else 'no'}",
        f"keep the sound: {'yes' if consent.sound else 'no'}",
        f"keep entries for: {counted(days, 'day') if days else 'as long as you like'}",
    ]


def consent(
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    emotion: Annotated[bool | None, typer.Option(help="Infer emotion from now on, or not.")] = None,
    sound: Annotated[
        bool | None, typer.Option(help="Keep sound from now on, or not, and delete what is kept.")
    ] = None,
    retention: Annotated[
        int | None, typer.Option(metavar="DAYS", min=0, help="Days to keep entries; 0: all.")
    ] = None,
    agree: Annotated[
        bool, typer.Option("--agree", help="The person has read the text and agrees.")
    ] = False,
) -> None:
    """Show what the person agreed to, or change it."""
    from dataclasses import replace

    from ...journal.records import CONSENT, CONSENT_VERSION

    with open_journal(journal, person, passphrase_file) as opened:
        before = opened.consent
        changed = replace(
            before,
            emotion=before.emotion if emotion is None else emotion,
            sound=before.sound if sound is None else sound,
            retention_days=before.retention_days if retention is None else retention or None,
        )
        if changed != before:
            now = datetime.now().astimezone()
            changed = replace(changed, at=now, text=CONSENT, version=CONSENT_VERSION)
            is_more = changed.emotion > before.emotion or changed.sound > before.sound
            _ask_consent(changed, agree or not is_more)
            opened.agree(changed)
        for line in [f"since {changed.at.isoformat(timespec='minutes')}", *consent_lines(changed)]:
            say(line)


def forget(
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    sessions: Annotated[
        list[int] | None, typer.Option("--session", help="Delete a session; may be repeated.")
    ] = None,
    check_ins: Annotated[
        list[int] | None, typer.Option("--checkin", help="Delete a check-in; may be repeated.")
    ] = None,
    practised: Annotated[
        list[int] | None,
        typer.Option("--practice", help="Delete a session of practice; may be repeated."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Delete the whole journal.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete sessions, check-ins and practice, or the whole journal; this cannot be undone."""
    if everything == bool(sessions or check_ins or practised):
        raise typer.BadParameter("expected --session, --checkin, --practice or --everything")
    with open_journal(journal, person, passphrase_file) as opened:
        if everything:
            if not yes:
                typer.confirm(f"Delete the journal {opened.path}?", abort=True, err=True)
            opened.erase()
            say(f"deleted {opened.path}")
            return
        for number in sessions or ():
            opened.forget_session(number)
            say(f"deleted session {number}")
        for number in check_ins or ():
            opened.forget_check_in(number)
            say(f"deleted check-in {number}")
        for number in practised or ():
            opened.forget_practised(number)
            say(f"deleted practice {number}")


def purge(
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Delete what is older than the retention that the person agreed to."""
    with open_journal(journal, person, passphrase_file) as opened:
        if opened.consent.retention_days is None:
            say("nothing to delete: no retention was agreed to (`consent --retention DAYS`)")
            return
        gone = opened.purge(datetime.now().astimezone())
    said = f"{counted(len(gone.sessions), 'session')}, {counted(len(gone.check_ins), 'check-in')}"
    say(f"deleted {said} and {counted(len(gone.practised), 'session')} of practice")


def lock(
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Seal every entry with a passphrase; without it nobody can read them again."""
    with open_journal(journal, person, passphrase_file) as opened:
        if opened.is_locked:
            raise EmovoxError(f"{opened.path}: has a passphrase already; `unlock` removes it")
        secret = read_passphrase(passphrase_file, is_new=True)
        with progress_bar("sealing") as progress:
            opened.lock(secret, progress)
        say(f"sealed {opened.path}")


def unlock(
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Remove the passphrase of a journal."""
    with open_journal(journal, person, passphrase_file) as opened:
        if not opened.is_locked:
            raise EmovoxError(f"{opened.path}: has no passphrase")
        with progress_bar("opening") as progress:
            opened.unlock(progress)
        say(f"the entries of {opened.path} can be read without a passphrase")
