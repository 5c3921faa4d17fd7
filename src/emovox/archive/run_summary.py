"""The summary of a run, as it is printed and written to summary.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from .rows import Tally


@dataclass(frozen=True)
class RunSummary:
    """The totals of a run, and its speed in this session."""

    recordings: int
    rows: int  # recordings, or segments and the recordings without any
    hours: float  # of audio, as far as it could be read
    failures: Mapping[str, int]  # recordings that could not be judged, or not to their end, by kind
    labels: Mapping[str, float]  # share of each label among the answers
    uncertain: float  # share of answers that are not certain
    baseline: str  # the kind of baseline that was used, in words
    model: str  # name and fingerprint
    new_recordings: int  # judged in this session: fewer than all if the run was resumed
    seconds: float  # of this session, from the start of the workers
    recordings_per_second: float
    times_real_time: float
    core_seconds: float  # that workers were busy, over all sessions

    def to_json(self) -> str:
        """Return the summary as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def summarise(total: Tally, new: Tally, seconds: float, baseline: str, model: str) -> RunSummary:
    """Sum up a run from the tallies of all parts, and of those done in this session."""
    answers = total.labels.total()
    by_count = sorted(total.labels.items(), key=lambda item: (-item[1], item[0]))
    return RunSummary(
        recordings=total.recordings,
        rows=total.rows,
        hours=round(total.seconds / 3600, 4),
        failures=dict(sorted(total.failures.items())),
        labels={label: round(count / answers, 4) for label, count in by_count},
        uncertain=round(total.uncertain / max(1, answers), 4),
        baseline=baseline,
        model=model,
        new_recordings=new.recordings,
        seconds=round(seconds, 2),
        recordings_per_second=round(new.recordings / seconds, 2),
        times_real_time=round(new.seconds / seconds, 1),
        core_seconds=round(total.compute_s, 2),
    )
