"""When a launch is struck, where, and with which signal: drawn at random, told in words."""

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.rundir import RunDir
from tests.torture.processes import Launch

After = Literal["start", "packing", "checkpoint", "judging", "sending"]
Target = Literal["launcher", "group", "any process"]

SIGNALS = {signal.SIGKILL: 5, signal.SIGTERM: 2, signal.SIGINT: 2, signal.SIGUSR1: 2}
MOMENTS: dict[After, int] = {"start": 5, "checkpoint": 3, "judging": 1, "sending": 1}
"""How often each is drawn, beside the others."""
POLL = 0.002


@dataclass(frozen=True)
class Strike:
    """A signal for `target`, `delay` seconds after `after` has come for the `count`-th time."""

    number: signal.Signals
    target: Target
    after: After
    count: int
    delay: float

    def __str__(self) -> str:
        place = "the start" if self.after == "start" else self.after
        times = f" (change {self.count})" if self.after == "checkpoint" else ""
        return f"{self.number.name} to {self.target}, {self.delay:.3f} s after {place}{times}"

    @property
    def asks(self) -> bool:
        """Whether the signal leaves time to end in order."""
        return self.number is not signal.SIGKILL


def draw(chance: random.Random, whole: float, *, first: bool) -> Strike:
    """A strike at a launch that would last `whole` seconds; only a `first` one is struck while it packs."""
    (number,) = chance.choices(list(SIGNALS), list(SIGNALS.values()))
    (after,) = chance.choices(list(MOMENTS), list(MOMENTS.values()))
    if first and chance.random() < 0.3:
        after = "packing"
    targets: tuple[Target, ...] = ("launcher", "group", "any process")
    target = chance.choice(targets if number is signal.SIGKILL else targets[:2])
    longest: dict[After, float] = {
        "start": 1.1 * whole,
        "packing": 0.1,
        "checkpoint": 0.01,
        "judging": 1.0,
        "sending": 0.3,
    }
    return Strike(number, target, after, chance.randint(1, 20), chance.uniform(0, longest[after]))


class Watch:
    """How often what a strike waits for has come, seen in the files of the run."""

    def __init__(self, strike: Strike, run: RunDir, stores: Path) -> None:
        self.strike, self.run, self.stores = strike, run, stores
        self.seen = 0
        self.last = self._look()

    def has_come(self) -> bool:
        """Whether it has come by now."""
        if self.strike.after == "start":
            return True
        now = self._look()
        if now != self.last:
            self.seen, self.last = self.seen + 1, now
        return self.seen >= (self.strike.count if self.strike.after == "checkpoint" else 1)

    def _look(self) -> object:
        """What changes when it comes."""
        if self.strike.after == "packing":
            return sorted(path.name for path in self.stores.glob("*"))
        if self.strike.after == "checkpoint":
            return _changed(self.run.checkpoints)
        if self.strike.after == "judging":
            return sorted(path.name for path in self.run.plots.glob("*"))
        return _changed(self.run.metrics)


def deliver(strike: Strike, launch: Launch, run: RunDir, stores: Path, chance: random.Random) -> bool:
    """Wait for the moment and strike; False when the launch had ended by then."""
    watch = Watch(strike, run, stores)
    while not watch.has_come():
        if launch.process.poll() is not None:
            return False
        time.sleep(POLL)
    until = time.monotonic() + strike.delay
    while (left := until - time.monotonic()) > 0:
        if launch.process.poll() is not None:
            return False
        time.sleep(min(left, 0.05))
    if launch.process.poll() is not None:
        return False
    if strike.target == "group":
        launch.signal_group(strike.number)
    elif strike.target == "launcher":
        launch.process.send_signal(strike.number)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(launch.processes() or [launch.process.pid]), strike.number)
    return True


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
