"""Sessions: which recordings of a speaker a copy puts into the same room and line.

A head learns each clip beside the speaker's mean. If every clip had a channel of its own, that mean
would not have the channel of any clip; so some 40 clips share one, as in a session of later use.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...corpora import Utterance

N_CLIPS = 40  # in a session, about

Session = tuple[str, str, int, int]  # corpus, speaker, copy, number


@dataclass(frozen=True)
class Sessions:
    """The sessions of all speakers of a run, `n_of` of each (corpus, speaker)."""

    n_of: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, utterances: Iterable[Utterance]) -> "Sessions":
        """Divide the speakers of some recordings: the same recordings give the same sessions."""
        counts = Counter((one.corpus, one.speaker) for one in utterances)
        return cls({speaker: max(1, round(n / N_CLIPS)) for speaker, n in sorted(counts.items())})

    def session_of(self, utterance: Utterance, copy: int) -> Session:
        """Return the session of a copy (from 1 on) of a recording.

        It is drawn by the recording's content, so that a speaker's sessions hold other clips in
        each copy.
        """
        n_sessions = self.n_of[utterance.corpus, utterance.speaker]
        drawn = int(hashlib.sha256(f"{utterance.digest} {copy}".encode()).hexdigest()[:12], 16)
        return utterance.corpus, utterance.speaker, copy, drawn % n_sessions
