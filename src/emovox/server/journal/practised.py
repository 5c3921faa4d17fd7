"""Practice that is kept: how close the takes came is in the journal before it is told."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from ...journal.progress import keep
from ...journal.records import Practised
from ..live import Block, Update
from ..practice import PracticeOptions, PracticeStream
from ..protocol import MessageError
from ..refusals import Json, RefusedError
from . import answers
from .access import Reach
from .asking import TOLD, Number, Reached

if TYPE_CHECKING:
    from ...recognizer import Recognizer


class KeptPractice(PracticeStream):
    """The sound of the journal's person who practises; each aim is a session in the journal.

    `zone` is that of the place where they are; None for this machine's.

    Raises
    ------
    MessageError
        If a model is to listen and the person has not agreed to that, or the journal cannot be
        read or written.
    """

    def __init__(
        self,
        reach: Reach,
        zone: tzinfo | None,
        options: PracticeOptions,
        rate: int,
        recognizer: "Recognizer | None",
    ) -> None:
        self._reach, self._zone = reach.held(), zone
        self._entry: Practised | None = None
        with self._reach.journal() as journal:
            may_infer = journal.consent.emotion
        if recognizer and not may_infer:
            reason = "emotion: the person has agreed to measuring alone; expected false"
            raise MessageError("parameter", reason, fatal=True)
        super().__init__(options, rate, recognizer)

    def practise(self, options: PracticeOptions) -> dict[str, Any]:
        """Begin another sentence; with another aim, another session in the journal, too."""
        message = super().practise(options)
        if self._entry is None or self._entry.target != options.aim.name:
            is_inferred = self._recognizer is not None and options.aim.emotion is not None
            now = datetime.now().astimezone(self._zone)
            self._entry = Practised(now, options.aim.name, is_inferred)
        return message

    def feed(self, blocks: Sequence[Block]) -> list[Update]:
        """Take in audio, keep the takes that it ends, and return the updates to send."""
        updates = super().feed(blocks)
        kinds = [one["type"] for one in updates if isinstance(one, dict)]
        if "practice.attempt" in kinds:
            self._keep()
        return updates

    def _keep(self) -> None:
        assert self._entry
        try:
            with self._reach.journal() as journal:
                self._entry = keep(journal, self._entry, self.outcome())
        except RefusedError as error:
            raise MessageError(error.code, str(error), fatal=True) from None


def add_practised(app: FastAPI) -> None:
    """Add the route of sessions of practice; they come in through live sessions alone."""

    @app.delete("/v1/journal/{person}/practice/{number}", response_model=answers.Done, **TOLD)
    def forget(reach: Reached, number: Number) -> Json:
        """Delete a session of practice."""
        with reach.journal() as journal:
            if number not in (one.id for one in journal.practised()):
                reason = f"the journal has no session of practice {number}"
                raise RefusedError(404, "not_found", reason)
            journal.forget_practised(number)
        return Json({"sessions": 0, "check_ins": 0, "practised": 1})
