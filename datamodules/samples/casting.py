"""Which clip shows what: every value and pair of values in training, new combinations in validation and test.

A combination is (thing, colour, motion). Numbered along each, it belongs to validation when the three numbers
sum to one remainder modulo 7, to test when to another, and to training otherwise: one combination in seven
each, spread evenly over all values, as a Latin square does.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from datamodules.samples.drawing import SHAPES
from datamodules.samples.motions import MOTIONS, PACES
from datamodules.samples.sentences import COLOURS, Backdrop, Extent, Scene

SPLITS = ("train", "validation", "test")
DIGITS = tuple(str(digit) for digit in range(10))
THINGS = (*SHAPES, *DIGITS)

_SMALLEST_SPLIT = 30  # clips that validate or test at least
_MODULUS, _HELD_OUT = 7, {0: "validation", 3: "test"}

Combination = tuple[str, str, str]


@dataclass(frozen=True)
class Part:
    """One clip's part in the sample set.

    image: of a handwritten digit, which of its images, counted on within the split; 0 for shapes.
    """

    clip: str
    split: str
    scene: Scene
    image: int


def split_sizes(clips: int) -> dict[str, int]:
    """Clips in each split, for `clips` of training."""
    judged = max(_SMALLEST_SPLIT, round(clips / 6))
    return {"train": clips, "validation": judged, "test": judged}


def combinations(things: tuple[str, ...], seed: int) -> dict[str, list[Combination]]:
    """The combinations of `things`, every colour and every motion that each split may show."""
    rng = np.random.default_rng([seed, len(things), 1])
    numbers = [rng.permutation(len(values)) for values in (things, tuple(COLOURS), MOTIONS)]
    allowed: dict[str, list[Combination]] = {split: [] for split in SPLITS}
    for thing, first in zip(things, numbers[0], strict=True):
        for colour, second in zip(COLOURS, numbers[1], strict=True):
            for motion, third in zip(MOTIONS, numbers[2], strict=True):
                rest = int(first + second + third) % _MODULUS
                allowed[_HELD_OUT.get(rest, "train")].append((thing, colour, motion))
    return allowed


def cast_clips(clips: int, seed: int) -> list[Part]:
    """The parts of all clips, in order of their ids, which tell nothing of the split; a third shows digits.

    clips: of training. From 1,200 on, training shows every pair of values of two different attributes.
    """
    rng = np.random.default_rng([seed, 2])
    shapes, digits = combinations(tuple(SHAPES), seed), combinations(DIGITS, seed)
    cast: list[tuple[str, Scene, int]] = []
    for split, size in split_sizes(clips).items():
        written = round(size / 3)
        dealt = _deal(shapes[split], size - written, rng) + _deal(digits[split], written, rng)
        images = dict.fromkeys(DIGITS, 0)
        for thing, colour, motion in dealt:
            scene = Scene(thing, colour, motion, *_manner(rng))
            cast.append((split, scene, images.get(thing, 0)))
            if thing in images:
                images[thing] += 1
    order = rng.permutation(len(cast))
    return [Part(f"clip{place + 1:04d}", *cast[which]) for place, which in enumerate(order)]


def _deal(cards: list[Combination], count: int, rng: np.random.Generator) -> list[Combination]:
    """`count` cards from a shuffled pack, and from the pack shuffled again when it is used up."""
    dealt: list[Combination] = []
    while len(dealt) < count:
        dealt += [cards[place] for place in rng.permutation(len(cards))[: count - len(dealt)]]
    return dealt


def _manner(rng: np.random.Generator) -> tuple[Extent, Backdrop, str]:
    extents, backdrops, paces = get_args(Extent), get_args(Backdrop), tuple(PACES)
    return rng.choice(extents).item(), rng.choice(backdrops).item(), rng.choice(paces).item()
