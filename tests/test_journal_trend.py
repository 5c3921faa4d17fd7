"""Trends say what the sessions bear, and no more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox.errors import JournalError
from emovox.journal.comparison import compare
from emovox.journal.records import CheckIn, Conditions, Session
from emovox.journal.totals import Totals
from emovox.journal.trend import trend

pytestmark = pytest.mark.needs("scipy")

MONDAY = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SAD, NEUTRAL = "sounded.sad", "sounded.neutral"


def session(number: int, week: float, sad: float, **changes: object) -> tuple[Session, Totals]:
    """Make a session in which a share of five minutes of speech sounded sad."""
    conditions = Conditions(600.0, 300.0, 35.0, 7_500.0)
    one = Session(
        MONDAY + timedelta(weeks=week), "microphone", "built-in", conditions,
        model="m1", labels=("neutral", "sad"), is_whole=True, id=number,
    )  # fmt: skip
    speech_s = float(changes.pop("speech_s", 300.0))
    seconds = {"sad": sad * speech_s, "neutral": (1 - sad) * speech_s}
    totals = Totals(60, speech_s, speech_s, 0.0, seconds, {"pitch_st": 30.0})
    return replace(one, **changes), totals


def sessions(rng: np.random.Generator, share: Callable[[int], float], n_weeks: int = 10):
    """Make three sessions a week whose share of sad lies around that of the week."""
    days = [week + day / 7 for week in range(n_weeks) for day in (0, 2, 4)]
    return [
        session(n, at, float(np.clip(rng.normal(share(int(at)), 0.03), 0, 1)))
        for n, at in enumerate(days, 1)
    ]


class TestTrend:
    """Weeks against the first sessions."""

    def test_values_and_change(self, rng):
        """A rise of 20 points is a change, and its interval holds it; before it there is none."""
        found = trend(sessions(rng, lambda week: 0.2 if week < 6 else 0.4))
        assert len(found.weeks) == 10
        assert {week.monday.isoweekday() for week in found.weeks} == {1}
        late = found.weeks[8].points[SAD]
        assert late.is_change
        assert late.difference_low < 0.2 < late.difference_high
        assert not any(week.points[SAD].is_change for week in found.weeks[:6])
        assert found.usual.sessions == (1, 2, 3, 4, 5)

    def test_nothing_changes(self):
        """Of 100 journals in which nothing changes, few tell of a change."""
        told = [
            bool(trend(sessions(np.random.default_rng(seed), lambda week: 0.2)).changes())
            for seed in range(100)
        ]
        assert sum(told) <= 8

    def test_interval_holds_the_share(self):
        """The interval of a week holds the true share in nine of ten weeks and more."""
        held = [
            week.points[SAD].low <= 0.2 + 0.01 * n <= week.points[SAD].high
            for seed in range(20)
            for n, week in enumerate(
                trend(sessions(np.random.default_rng(seed), lambda week: 0.2 + 0.01 * week)).weeks
            )
        ]
        assert np.mean(held) > 0.9

    def test_too_little(self):
        """Under 60 s of speech there is no point, and the week says so."""
        found = trend([session(n, n, 0.2, speech_s=59.9) for n in range(4)])
        assert not found.usual.sessions
        assert all(not week.points and week.n_too_little == 1 for week in found.weeks)

    def test_never_heard_is_zero(self):
        """A label that no segment of a session had counts with a share of 0."""
        found = trend([session(n, n, 0.0) for n in range(6)])
        assert [week.points[SAD].value for week in found.weeks] == [0.0] * 6

    @pytest.mark.parametrize(
        ("reason", "changes"),
        [
            ("device", {"device": "headset"}),
            ("noise", {"conditions": Conditions(600.0, 300.0, 20.0, 7_500.0)}),
            ("band", {"conditions": Conditions(600.0, 300.0, 35.0, 3_400.0)}),
            ("model", {"model": "m2"}),
        ],
    )
    def test_other_conditions(self, rng, reason, changes):
        """A rise that comes with another microphone, noise or model is marked and no change."""
        first = sessions(rng, lambda week: 0.2, 6)
        later = [session(20 + n, 6 + n / 7, 0.6, **changes) for n in range(3)]
        week = trend([*first, *later]).weeks[-1]
        assert week.is_apart
        assert week.apart == (reason,)
        assert week.points[SAD].value == pytest.approx(0.6)
        assert not week.points[SAD].is_change

    def test_mixed_week(self, rng):
        """Where some sessions of a week are as usual, the others are set aside."""
        first = sessions(rng, lambda week: 0.2, 6)
        later = [session(20, 6, 0.2), session(21, 6.2, 0.9, device="headset")]
        week = trend([*first, *later]).weeks[-1]
        assert (week.n_sessions, week.n_apart, week.is_apart) == (1, 1, False)
        assert week.points[SAD].value == pytest.approx(0.2)

    def test_a_model_does_not_matter_to_the_voice(self, rng):
        """Pitch is compared across models, since none measures it."""
        first = sessions(rng, lambda week: 0.2, 6)
        week = trend([*first, session(30, 6, 0.2, model="m2")]).weeks[-1]
        assert week.points["pitch_st"].difference == pytest.approx(0.0)
        assert week.points[SAD].difference is None

    def test_check_ins_stand_beside(self, rng):
        """What the person says changes nothing that was heard."""
        heard = sessions(rng, lambda week: 0.2, 4)
        said = [
            CheckIn(MONDAY + timedelta(weeks=w), "daily", v) for w, v in ((1, -1), (1, 0), (6, 1))
        ]
        alone, beside = trend(heard), trend(heard, said)
        assert [week.points for week in beside.weeks[:4]] == [week.points for week in alone.weeks]
        assert [week.valence for week in beside.weeks] == [None, -0.5, None, None, 1.0]

    def test_since(self, rng):
        """The first sessions can be counted from later on."""
        found = trend(sessions(rng, lambda week: 0.2), since=MONDAY + timedelta(weeks=5))
        assert len(found.weeks) == 5
        assert min(found.usual.sessions) > 15

    @given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 1), st.floats(0, 600)), max_size=30))
    def test_any(self, made):
        """Whatever the sessions, shares and their intervals stay between 0 and 1."""
        pairs = [session(n, *one[:2], speech_s=one[2]) for n, one in enumerate(sorted(made))]
        for week in trend(pairs).weeks:
            for name in (SAD, NEUTRAL):
                if point := week.points.get(name):
                    assert 0 <= (point.low or 0) <= point.value + 1e-9
                    assert point.value - 1e-9 <= (1 if point.high is None else point.high) <= 1


class TestCompare:
    """Two sessions."""

    def test_beyond_chance(self, rng):
        """A difference counts where it is larger than sessions usually lie apart."""
        pairs = sessions(rng, lambda week: 0.2, 6)
        pairs += [session(50, 7, 0.7), session(51, 7.2, 0.2), session(52, 7.3, 0.7, device="x")]
        assert compare(pairs, 1, 50).differences[SAD].is_beyond_chance
        assert not compare(pairs, 1, 2).differences[SAD].is_beyond_chance
        other = compare(pairs, 1, 52)
        assert other.apart == ("device",)
        assert not other.differences[SAD].is_beyond_chance

    def test_missing(self, rng):
        """A session that is not there is an error."""
        with pytest.raises(JournalError, match="no session 99"):
            compare(sessions(rng, lambda week: 0.2, 2), 1, 99)
