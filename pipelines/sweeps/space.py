"""What a sweep varies: an axis for each key whose word holds several values, in Hydra's grammar."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.mistakes import Mistake

if TYPE_CHECKING:
    import numpy as np
    from hydra.core.override_parser.types import Override

GRAMMAR = (
    ("optimizer.learning_rate=1e-3,3e-4", "these values; the same: choice(1e-3,3e-4)"),
    ("model=convgru,convlstm", "choices of a group; also glob(conv*)"),
    ("task.history='range(3,9,2)'", "3, 5, 7"),
    ("model.noise='interval(0,0.5)'", "any number between (random, optuna)"),
    ("seed='int(interval(1,99))'", "any whole number between"),
    ("model.noise='tag(log,interval(1e-3,1))'", "as likely in one decade as in the next"),
)
"""How a key is given several values: words of a call (brackets in the shell's quotes), and their meaning."""

Values = dict[str, str]
"""What one trial sets: the text of each swept key, as it would be typed."""


@dataclass(frozen=True)
class Choices:
    """Some values of a key, as texts in their order; `steps`: (first, last, step) of a range of integers."""

    key: str
    asked: str
    texts: tuple[str, ...]
    steps: tuple[int, int, int] | None = None

    def draw(self, generator: "np.random.Generator") -> str:
        """One of the values, each as likely as the next."""
        return self.texts[int(generator.integers(len(self.texts)))]

    @property
    def ends(self) -> tuple[str, ...]:
        """Every value: what is valid is found by trying all."""
        return self.texts


@dataclass(frozen=True)
class Interval:
    """All numbers from `low` to `high`; `whole` ones only, on a `log` scale, where that is asked for."""

    key: str
    asked: str
    low: float
    high: float
    whole: bool = False
    log: bool = False

    def draw(self, generator: "np.random.Generator") -> str:
        """A number from the interval, to six digits, uniform on the interval's scale."""
        if self.log:
            lift = 0.5 if self.whole else 0.0
            value = math.exp(generator.uniform(math.log(self.low - lift), math.log(self.high + lift)))
            value = min(max(value, self.low), self.high)
            return str(round(value)) if self.whole else f"{value:.6g}"
        if self.whole:
            return str(int(generator.integers(int(self.low), int(self.high), endpoint=True)))
        return f"{generator.uniform(self.low, self.high):.6g}"

    @property
    def ends(self) -> tuple[str, ...]:
        """The two ends: where both are valid, so is what lies between."""
        return tuple(str(int(end)) if self.whole else repr(float(end)) for end in (self.low, self.high))


Axis = Choices | Interval


def read_axis(key: str, asked: str, override: "Override", names: Sequence[str] | None) -> Axis:
    """The axis that Hydra's parser read from `key=asked`; `names`: the choices, where the key is a group.

    Errors: ValueError with the way out.
    """
    from hydra.core.override_parser.types import Glob, IntervalSweep, RangeSweep

    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        return _interval(key, asked, value)
    if tags := sorted(getattr(value, "tags", ())):
        raise ValueError(f"tag({tags[0]},...) means something only around interval(...)")
    if getattr(value, "shuffle", False):
        raise ValueError("shuffle has no use here: sweep.method=random draws in random order")
    if isinstance(value, Glob):
        if names is None:
            raise ValueError("glob(...) chooses among the files of a group; list the values")
        texts = list(value.filter(list(names)))
    else:
        texts = [str(text) for text in override.sweep_string_iterator()]
    if not texts:
        raise ValueError("this holds no value at all")
    steps = None
    if isinstance(value, RangeSweep) and len(texts) > 1 and all(_is_whole(text) for text in texts):
        first, second, last = int(texts[0]), int(texts[1]), int(texts[-1])
        steps = (first, last, second - first) if second > first else None
    return Choices(key, asked, tuple(dict.fromkeys(texts)), steps)


def _interval(key: str, asked: str, value: Any) -> Interval:
    unknown = sorted(value.tags - {"log"})
    log, low, high = "log" in value.tags, value.start, value.end
    if unknown:
        raise ValueError(f"tag({unknown[0]},...) is not known; there is tag(log,interval(...))")
    if low is None or high is None or not low < high:
        raise ValueError("an interval goes from a smaller to a larger number: interval(0.1,0.9)")
    if log and low <= 0:
        raise ValueError(f"a log scale has no {low}; let the interval begin above 0")
    return Interval(key, asked, low, high, isinstance(low, int) and isinstance(high, int), log)


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdigit()


def mixed(axes: Sequence[Axis]) -> Mistake | None:
    """The mistake of an interval in a grid, if there is one."""
    for axis in axes:
        if isinstance(axis, Interval):
            problem = (
                "A grid needs the values: list them, or draw from the interval with sweep.method=random or "
                "sweep.method=optuna."
            )
            return Mistake(axis.key, problem, axis.asked)
    return None


def grid(axes: Sequence[Choices]) -> tuple[Values, ...]:
    """Every combination; the last axis changes fastest."""
    keys = [axis.key for axis in axes]
    return tuple(dict(zip(keys, texts, strict=True)) for texts in itertools.product(*(a.texts for a in axes)))


def draws(axes: Sequence[Axis], count: int, seed: int) -> tuple[Values, ...]:
    """`count` different draws, or all there are if those are fewer; more of them begin with the same ones."""
    import numpy as np

    generator = np.random.default_rng(seed)
    sizes = [len(axis.texts) for axis in axes if isinstance(axis, Choices)]
    most = math.prod(sizes) if len(sizes) == len(axes) else math.inf
    found: dict[tuple[str, ...], Values] = {}
    tries = 0
    while len(found) < min(count, most) and tries < 1000 * count:
        tries += 1
        values = {axis.key: axis.draw(generator) for axis in axes}
        found.setdefault(tuple(values.values()), values)
    return tuple(found.values())


def one_by_one(axes: Sequence[Axis]) -> tuple[Values, ...]:
    """Each end and value of each axis once, the others at their first: enough to find wrong ones."""
    first = {axis.key: axis.ends[0] for axis in axes}
    found = [first, *({**first, axis.key: text} for axis in axes for text in axis.ends[1:])]
    return tuple(found)
