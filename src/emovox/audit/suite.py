"""The tests: what is done to a recording, what is measured, and the threshold it has to meet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..audio import RATE, Samples
from ..errors import ConfigError
from ..evaluation import perturbations as sound
from .scene import Scene
from .subjects import PREDICT

PUBLISHED = "ser-tests"  # audEERING 2024, arXiv 2312.06270
OWN = "emovox"  # a floor of this project
ROBUSTNESS = ("small", "background", "tilt", "lines", "rooms", "pauses", "levels")
GROUPS = ("correctness", "certainty", "fairness", "wording", *ROBUSTNESS, "doors")
MEANINGS = {
    "correctness": "How often it is right, emotion by emotion.",
    "certainty": "Whether its scores can be believed.",
    "fairness": "Whether it serves all speakers alike.",
    "wording": "Whether what is said, rather than how, moves its answers: synthesised sentences.",
    "small": "Changes that nobody hears, or hardly.",
    "background": "Other sounds, 20 dB below the voice.",
    "tilt": "Brighter and duller microphones.",
    "lines": "Phone lines and codecs.",
    "rooms": "Rooms that answer.",
    "pauses": "Room tone before, after and below the voice, 0.5 to 5 s on either side.",
    "levels": "The level of the recording.",
    "doors": "Whether all ways into the model give the same answer.",
}

Apply = Callable[[Samples, Scene], Samples]
Background = Callable[[Scene, int], Samples]
"""A function of a scene and a number of samples to a sound of mean power 1."""


@dataclass(frozen=True)
class Limit:
    """A figure to measure, and the bound that it has to keep.

    `measure` is a key of `measures.MEASURES` or the name of a figure of clean answers; `bound` is
    None for a figure that is told, but not judged.
    """

    measure: str
    bound: float | None = None
    at_least: bool = True
    source: str = ""

    def kept(self, value: float) -> bool | None:
        """Tell whether a value keeps the bound; None where there is none."""
        if self.bound is None:
            return None
        slack = 1e-9  # of rounding: 0.95 is 19 of 20
        return value >= self.bound - slack if self.at_least else value <= self.bound + slack


@dataclass(frozen=True)
class Test:
    """A change that should not matter, and the limits of how much it does.

    `needs` is "noises" or "voices" where it mixes those in, else ""; `door` is the way into the
    model, "predict" but for tests of the other ones.
    """

    __test__ = False  # not one of pytest's

    name: str
    group: str
    apply: Apply
    limits: tuple[Limit, ...]
    needs: str = ""
    door: str = PREDICT


def at_least(measure: str, bound: float, source: str = PUBLISHED) -> Limit:
    """Return a limit from below."""
    return Limit(measure, bound, True, source)


def at_most(measure: str, bound: float, source: str = PUBLISHED) -> Limit:
    """Return a limit from above."""
    return Limit(measure, bound, False, source)


def changes(groups: Sequence[str] = ()) -> tuple[Test, ...]:
    """Return the tests that change recordings, of some groups or (empty) of all.

    Raises
    ------
    ConfigError
        If there is no such group.
    """
    wanted = chosen_groups(groups)
    made = (
        *_small(),
        *_background(),
        *_tilt(),
        *_lines(),
        *_rooms(),
        *_pauses(),
        *_levels(),
        *_doors(),
    )
    return tuple(test for test in made if test.group in wanted)


def chosen_groups(groups: Sequence[str]) -> tuple[str, ...]:
    """Return the names of groups in their order; "robustness" stands for seven of them.

    Raises
    ------
    ConfigError
        If one is unknown.
    """
    if unknown := [group for group in groups if group not in (*GROUPS, "robustness")]:
        raise ConfigError(
            f"expected a group of tests ({', '.join(GROUPS)}, or robustness for {ROBUSTNESS[0]} "
            f"to {ROBUSTNESS[-1]}), got {unknown[0]!r}"
        )
    wanted = {*groups, *(ROBUSTNESS if "robustness" in groups else ())}
    return tuple(group for group in GROUPS if not groups or group in wanted)


def _small() -> list[Test]:
    limits = (at_least("unchanged", 0.95),)
    named: dict[str, Apply] = {
        "100 to 1,000 zeros before": lambda clip, scene: np.pad(clip, (_few(scene), 0)),
        "100 to 1,000 zeros after": lambda clip, scene: np.pad(clip, (0, _few(scene))),
        "100 to 1,000 samples cut off the beginning": lambda clip, scene: clip[_few(scene) :],
        "100 to 1,000 samples cut off the end": lambda clip, scene: clip[: -_few(scene)],
        "0.1 to 0.3 % of the samples clipped": lambda clip, scene: sound.clipped(
            clip, scene.rng.uniform(0.001, 0.003)
        ),
        "gain of 1 or 2 dB, up or down": lambda clip, scene: sound.louder(
            clip, scene.rng.choice([-2.0, -1.0, 1.0, 2.0])
        ),
        "high-pass at 50 to 150 Hz": lambda clip, scene: sound.high_passed(
            clip, scene.rng.uniform(50, 150)
        ),
        "low-pass at 6.5 to 7.5 kHz": lambda clip, scene: sound.low_passed(
            clip, scene.rng.uniform(6_500, 7_500)
        ),
        "tone of 5 to 7 kHz, 40 to 50 dB down": lambda clip, scene: sound.with_tone(
            clip, scene.rng.uniform(5_000, 7_000), scene.rng.uniform(40, 50)
        ),
        "white noise, 35 to 45 dB down": lambda clip, scene: sound.with_noise(
            clip, sound.noise(len(clip), 0.0, scene.rng), scene.rng.uniform(35, 45)
        ),
    }
    return [Test(name, "small", apply, limits) for name, apply in named.items()]


def _few(scene: Scene) -> int:
    return int(scene.rng.integers(100, 1_001))


def _background() -> list[Test]:
    limits = (at_least("unchanged", 0.9), at_most("uar_loss", 0.05))

    def mixed(draw: Background, clip: Samples, scene: Scene) -> Samples:
        return sound.with_noise(clip, draw(scene, len(clip)), 20.0)

    def white(scene: Scene, n_samples: int) -> Samples:
        return sound.noise(n_samples, 0.0, scene.rng)

    name = "background"
    return [
        Test("white noise at 20 dB", name, partial(mixed, white), limits),
        Test("babble at 20 dB", name, partial(mixed, Scene.babble), limits, "voices"),
        Test("real noise at 20 dB", name, partial(mixed, Scene.real_noise), limits, "noises"),
    ]


def _tilt() -> list[Test]:
    limits = (at_least("unchanged", 0.8), at_most("uar_loss", 0.02))
    return [
        Test("tilt up", "tilt", lambda clip, _: sound.tilted(clip, 0.6), limits),
        Test("tilt down", "tilt", lambda clip, _: sound.tilted(clip, -0.6), limits),
    ]


def _lines() -> list[Test]:
    floor = at_least("unchanged", 0.75, OWN)
    published = (at_least("unchanged", 0.5), at_most("uar_loss", 0.05))
    codecs: dict[str, Apply] = {
        "Opus, 11 kbit/s": lambda clip, _: sound.coded(clip, "OGG", "OPUS", compression=0.99),
        "MP3, 25 kbit/s": lambda clip, _: sound.coded(
            clip, "MP3", "MPEG_LAYER_III", compression=0.9
        ),
        "GSM 6.10 at 8 kHz": lambda clip, _: sound.coded(clip, *sound.GSM, 8_000),
        "mu-law at 8 kHz": lambda clip, _: sound.coded(clip, "WAV", "ULAW", 8_000),
    }
    phone = Test(
        "phone line", "lines", lambda clip, scene: sound.phoned(clip, scene.rng),
        (*published, floor),
    )  # fmt: skip
    return [phone, *(Test(name, "lines", apply, (floor,)) for name, apply in codecs.items())]


def _rooms() -> list[Test]:
    def heard(
        decay_s: float, volume_m3: float, metres: float, clip: Samples, scene: Scene
    ) -> Samples:
        return sound.in_room(clip, decay_s, volume_m3, metres, scene.rng)

    rooms = {
        "room, 0.4 s, at 1 m": partial(heard, 0.4, 60.0, 1.0),
        "room, 0.8 s, at 2 m": partial(heard, 0.8, 200.0, 2.0),
    }
    limits = (at_least("unchanged", 0.8),)
    return [Test(name, "rooms", apply, limits) for name, apply in rooms.items()]


def _pauses() -> list[Test]:
    limits = (at_least("unchanged", 0.95, OWN), at_most("certain_wrong_rise", 0.02, OWN))

    def within(draw: Background, level_dbfs: float, clip: Samples, scene: Scene) -> Samples:
        before_s, after_s = scene.rng.uniform(0.5, 5.0, 2)
        n_samples = len(clip) + round(before_s * RATE) + round(after_s * RATE)
        return sound.between_pauses(clip, draw(scene, n_samples), level_dbfs, before_s)

    def coloured(steepness: float, scene: Scene, n_samples: int) -> Samples:
        return sound.noise(n_samples, steepness, scene.rng)

    tones: dict[str, Background] = {
        "white": partial(coloured, 0.0),
        "pink": partial(coloured, 1.0),
        "brown": partial(coloured, 2.0),
        "real": Scene.real_noise,
    }

    def test(tone: str, level_dbfs: float) -> Test:
        apply = partial(within, tones[tone], level_dbfs)
        needs = "noises" if tone == "real" else ""
        return Test(f"{tone} room tone, {level_dbfs:g} dBFS", "pauses", apply, limits, needs)

    return [test(tone, level_dbfs) for level_dbfs in (-62.0, -50.0) for tone in tones]


def _levels() -> list[Test]:
    limits = (at_least("unchanged", 0.95, OWN), at_most("refused", 0.0, OWN))

    def at(gain_db: float, clip: Samples, _: Scene) -> Samples:
        return sound.louder(clip, gain_db)

    levels = (-40.0, -35.0, -30.0, -20.0, -10.0, 6.0)
    return [Test(f"{level:+g} dB", "levels", partial(at, level), limits) for level in levels]


def _doors() -> list[Test]:
    limits = (at_least("unchanged", 0.97, OWN),)
    return [
        Test(f"{door} as predict", "doors", lambda clip, _: clip, limits, door=door)
        for door in ("segments", "stream")
    ]
