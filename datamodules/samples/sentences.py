"""What people might say of a sample clip: always its thing, colour and motion, in ever different words.

The common word for a thing is said more often than its synonyms, as people do, so that there is a consensus
to learn. No phrase for a value is part of a phrase, or of anything else said, for another value of its kind.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Extent = Literal["small", "big"]
Backdrop = Literal["dark", "grey"]
Choices = dict[str, float]
"""what may be said -> how often"""

CAPTIONS = 5  # of a clip


@dataclass(frozen=True)
class Scene:
    """What a clip shows: thing, colour and motion are named by every caption, the rest by some."""

    thing: str
    colour: str
    motion: str
    extent: Extent
    backdrop: Backdrop
    pace: str


_NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

THINGS: dict[str, Choices] = {
    "circle": {"circle": 0.62, "ball": 0.18, "disc": 0.12, "dot": 0.08},
    "square": {"square": 0.75, "box": 0.15, "block": 0.1},
    "triangle": {"triangle": 0.9, "wedge": 0.1},
    "star": {"star": 1.0},
    "cross": {"cross": 0.72, "plus sign": 0.28},
    "ring": {"ring": 0.7, "hoop": 0.18, "doughnut": 0.12},
} | {
    str(digit): {
        f"number {numeral}": 0.6,
        f"digit {numeral}": 0.18,
        f"handwritten {numeral}": 0.14,
        f"number {digit}": 0.08,
    }
    for digit, numeral in enumerate(_NUMERALS)
}

COLOURS: dict[str, Choices] = {
    "red": {"red": 0.9, "crimson": 0.1},
    "green": {"green": 1.0},
    "blue": {"blue": 1.0},
    "yellow": {"yellow": 0.86, "golden": 0.14},
    "white": {"white": 1.0},
    "purple": {"purple": 0.78, "violet": 0.22},
}

# Directions and counts follow a verb; what becomes of the size is a verb itself.
ENDINGS: dict[str, Choices] = {
    "right": {
        "from left to right": 0.55,
        "to the right": 0.33,
        "rightwards": 0.06,
        "towards the right": 0.06,
    },
    "left": {"from right to left": 0.55, "to the left": 0.33, "leftwards": 0.06, "towards the left": 0.06},
    "up": {"upwards": 0.6, "from bottom to top": 0.25, "to the top": 0.15},
    "down": {"downwards": 0.6, "from top to bottom": 0.25, "to the bottom": 0.15},
    "up_right": {"up and then right": 0.65, "up then right": 0.2, "up before turning right": 0.15},
    "right_up": {"right and then up": 0.65, "right then up": 0.2, "right before turning up": 0.15},
    "blink_twice": {"twice": 0.72, "two times": 0.28},
    "blink_thrice": {"three times": 0.88, "thrice": 0.12},
}
_SIDEWAYS = {"moves": 0.62, "goes": 0.14, "slides": 0.12, "travels": 0.08, "drifts": 0.04}
_VERBS: dict[str, Choices] = {
    "right": _SIDEWAYS,
    "left": _SIDEWAYS,
    "up": {"moves": 0.62, "goes": 0.16, "rises": 0.12, "floats": 0.1},
    "down": {"moves": 0.62, "goes": 0.14, "falls": 0.16, "drops": 0.08},
    "up_right": {"moves": 0.66, "goes": 0.22, "travels": 0.12},
    "right_up": {"moves": 0.66, "goes": 0.22, "travels": 0.12},
    "grow": {"grows": 0.66, "gets bigger": 0.18, "becomes larger": 0.08, "expands": 0.08},
    "shrink": {"shrinks": 0.66, "gets smaller": 0.22, "becomes smaller": 0.12},
    "blink_twice": {"blinks": 0.66, "flashes": 0.22, "disappears": 0.12},
    "blink_thrice": {"blinks": 0.66, "flashes": 0.22, "disappears": 0.12},
}
_DOING = {
    "moves": "moving",
    "goes": "going",
    "slides": "sliding",
    "travels": "travelling",
    "drifts": "drifting",
    "rises": "rising",
    "floats": "floating",
    "falls": "falling",
    "drops": "dropping",
    "grows": "growing",
    "gets bigger": "getting bigger",
    "becomes larger": "becoming larger",
    "expands": "expanding",
    "shrinks": "shrinking",
    "gets smaller": "getting smaller",
    "becomes smaller": "becoming smaller",
    "blinks": "blinking",
    "flashes": "flashing",
    "disappears": "disappearing",
}
_EXTENTS: dict[str, Choices] = {
    "small": {"small": 0.8, "little": 0.2},
    "big": {"big": 0.65, "large": 0.35},
}
_PACES = {"quick": "quickly", "slow": "slowly"}
_PLACES = {
    "on a {} background": 0.55,
    "in front of a {} wall": 0.15,
    "against a {} background": 0.3,
}
# it: the thing with its adjectives; does, doing: what happens to it.
_TEMPLATES = {
    "a {it} {does}": 0.36,
    "a {it} is {doing}": 0.2,
    "the {it} {does}": 0.09,
    "{it} {doing}": 0.09,
    "there is a {it} {doing}": 0.06,
    "there is a {it} that {does}": 0.05,
    "we see a {it} {doing}": 0.06,
    "a {it} which is {doing}": 0.02,
    "this video shows a {it} {doing}": 0.04,
    "in this clip a {it} {does}": 0.03,
}


def describe(scene: Scene, rng: np.random.Generator) -> list[str]:
    """CAPTIONS sentences that differ in their words, not only in capitals or the full stop."""
    said: list[str] = []
    while len(said) < CAPTIONS:
        sentence = _sentence(scene, rng)
        if sentence not in said:
            said.append(sentence)
    return [_written(sentence, rng) for sentence in said]


def facts(scene: Scene) -> dict[str, tuple[str, ...]]:
    """The phrases of which a right sentence names one, of each of thing, colour and motion."""
    doing = {**_VERBS[scene.motion], **{_DOING[verb]: 0 for verb in _VERBS[scene.motion]}}
    return {
        "thing": tuple(THINGS[scene.thing]),
        "colour": tuple(COLOURS[scene.colour]),
        "motion": tuple(ENDINGS.get(scene.motion, doing)),
    }


def _sentence(scene: Scene, rng: np.random.Generator) -> str:
    it = [_pick(COLOURS[scene.colour], rng), _pick(THINGS[scene.thing], rng)]
    resized = scene.motion in ("grow", "shrink")
    if not resized and rng.random() < 0.25:
        it.insert(0, _pick(_EXTENTS[scene.extent], rng))
    verb = _pick(_VERBS[scene.motion], rng)
    does, doing = [verb], [_DOING[verb]]
    if scene.motion in ENDINGS:
        ending = _pick(ENDINGS[scene.motion], rng)
        does, doing = [*does, ending], [*doing, ending]
    has_pace = resized or scene.motion in ("right", "left", "up", "down")
    if has_pace and scene.pace in _PACES and rng.random() < 0.15:
        place = 0 if rng.random() < 0.5 else len(does)
        does.insert(place, _PACES[scene.pace])
        doing.insert(place, _PACES[scene.pace])
    words = {"it": " ".join(it), "does": " ".join(does), "doing": " ".join(doing)}
    sentence = _pick(_TEMPLATES, rng).format(**words)
    if rng.random() < 0.12:
        sentence += " " + _pick(_PLACES, rng).format(scene.backdrop)
    return sentence


def _written(sentence: str, rng: np.random.Generator) -> str:
    """The sentence as this person writes: a third with a capital letter, most of those with a full stop."""
    if rng.random() < 0.35:
        sentence = sentence[0].upper() + sentence[1:]
        if rng.random() < 0.8:
            sentence += "."
    return sentence


def _pick(choices: Choices, rng: np.random.Generator) -> str:
    at = rng.random() * sum(choices.values())
    for choice, often in choices.items():
        at -= often
        if at < 0:
            return choice
    return next(reversed(choices))
