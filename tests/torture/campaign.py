"""One plan tortured: an undisturbed run, and victims that are killed over and over and have to equal it."""

import logging
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.plans import Plan, generator
from tests.torture.processes import Launch, command_of
from tests.torture.sameness import compare_runs
from tests.torture.strikes import Strike, deliver, draw
from tests.torture.told import ends_of_launches, phase_of, warnings_of
from tests.torture.wreckage import half_written, steps_of

log = logging.getLogger(__name__)

LONGEST = 300.0
"""Seconds that any launch may take."""
PATIENCE = 20.0
"""Seconds within which everything ends once a part of it was killed, or was asked to end."""
WORKERS = (0, 2)


class DifferenceError(Exception):
    """A victim that does not equal the undisturbed run, or did not behave; the message says in what."""


@dataclass
class Tally:
    """What one plan has been through; `failure` says what differed first.

    slowest: seconds that a launch took at most to end after its signal.
    values: how many weights, states, figures and points were held against those of the undisturbed run.
    """

    plan: Plan
    signals: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    victims: int = 0
    launches: int = 0
    values: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    failure: str = ""

    @property
    def kills(self) -> int:
        """How many signals have been delivered."""
        return sum(self.signals.values())


def torture(plan: Plan, kills: int, seed: int, stop: threading.Event, patience: float = PATIENCE) -> Tally:
    """What happened to the victims of a plan until `kills` signals were delivered; a failure sets `stop`.

    patience: seconds from a signal until all processes of a launch have to be gone.
    """
    tally, begin = Tally(plan), time.monotonic()
    chance = generator(seed, plan.system, str(plan.ranks))
    try:
        whole = _undisturbed(plan)
        log.info("%s: undisturbed, it takes %.0f s", plan.name, whole)
        while tally.kills < kills and not stop.is_set():
            tally.victims += 1
            victim = Victim(plan, f"victim{tally.victims}", tally, chance, patience)
            victim.finish(kills, whole, stop)
            victim.compare()
    except DifferenceError as error:
        tally.failure = str(error)
        stop.set()
    finally:
        tally.seconds = time.monotonic() - begin
    return tally


def _undisturbed(plan: Plan) -> float:
    """Seconds that the run took which nobody disturbs. Errors: DifferenceError when it failed."""
    launch = _launch(plan, "undisturbed", 0, plan.words("undisturbed"))
    try:
        gone = launch.gone_after(LONGEST)
        took = time.monotonic() - launch.begun
        if gone is None or launch.process.returncode:
            raise DifferenceError(f"the undisturbed run failed; {launch.log} ends:\n{launch.tail}")
    finally:
        launch.end()
    return took


class Victim:
    """A run that is struck, and started again, until it is finished."""

    def __init__(self, plan: Plan, name: str, tally: Tally, chance: random.Random, patience: float) -> None:
        self.plan, self.name, self.tally, self.chance, self.patience = plan, name, tally, chance, patience
        self.run = plan.run_dir(name)
        self.history: list[str] = []

    def finish(self, kills: int, whole: float, stop: threading.Event) -> None:
        """Start it until it is finished, striking while fewer than `kills` signals were delivered in all."""
        number = 0
        while True:
            more = self.tally.kills < kills and not stop.is_set()
            strike = draw(self.chance, whole, first=not number) if more else None
            workers, shorter = self.chance.choice(WORKERS), self.chance.random() < 0.5
            words = self.plan.words(self.name, workers)
            if shorter and self.run.config.exists():
                words = [f"run={self.run.path}", f"data.workers={workers}"]
            launch = _launch(self.plan, self.name, number, words)
            self.tally.launches += 1
            try:
                self._live_through(launch, strike, workers)
            finally:
                launch.end()
            if launch.process.returncode == 0:
                return
            number += 1

    def compare(self) -> None:
        """Return when it equals the undisturbed run. Errors: DifferenceError with all that differs."""
        compared = compare_runs(self.plan.run_dir("undisturbed"), self.run)
        self.tally.values += compared.values
        found = compared.differences
        if found:
            more = [f"and {len(found) - 20} more"] if len(found) > 20 else []
            lines = "".join(f"\n  {line}" for line in [*found[:20], *more])
            raise self._difference(f"it differs from the undisturbed run in {len(found)} places:{lines}")
        log.info("%s, %s: equal after %d kills", self.plan.name, self.name, len(self.history))

    def _live_through(self, launch: Launch, strike: Strike | None, workers: int) -> None:
        """One launch, struck or not, to its end. Errors: DifferenceError when it or its files misbehave."""
        ends_before = len(ends_of_launches(self.run))
        struck = strike is not None and deliver(
            strike, launch, self.run, self.plan.place(self.name) / "stores", self.chance
        )
        if strike is not None and struck:
            self._note(strike, workers, launch)
        gone = launch.gone_after(self.patience if struck else LONGEST)
        if gone is None:
            living = "; ".join(f"{number}: {command_of(number)}" for number in launch.processes())
            raise self._difference(
                f"{self.patience if struck else LONGEST:.0f} s later there live {living}", launch
            )
        self.tally.warnings.update(warnings_of(launch.said))
        if bad := half_written(self.run):
            raise self._difference("\n  ".join(["a reader would find:", *bad]), launch)
        status = launch.process.returncode
        if strike is not None and struck:
            self.tally.slowest = max(self.tally.slowest, gone)
            left = steps_of(self.run.checkpoints)
            self.history[-1] += f"; it ended {gone:.1f} s later with {status} and left {left}"
            log.info("%s, %s: %s", self.plan.name, self.name, self.history[-1])
            self._check_note_of_end(strike, launch, ends_before)
        elif status:
            raise self._difference(f"a launch that nobody struck ended with exit status {status}", launch)

    def _note(self, strike: Strike, workers: int, launch: Launch) -> None:
        phase = phase_of(launch.said)
        self.history.append(f"{strike}, with {workers} workers, while {phase}")
        self.tally.signals[f"{strike.number.name} {strike.target}"] += 1
        self.tally.phases[phase] += 1

    def _check_note_of_end(self, strike: Strike, launch: Launch, ends_before: int) -> None:
        """A launch that was asked to end, and whose tracking had begun, is KILLED, or FINISHED by then."""
        ends = ends_of_launches(self.run)[ends_before:]
        if strike.asks and ends and ends[-1] not in ("KILLED", "FINISHED"):
            raise self._difference(f"its tracking says {ends[-1]} after {strike.number.name}", launch)

    def _difference(self, what: str, launch: Launch | None = None) -> DifferenceError:
        """The error that tells `what`, all strikes so far, and how the launch's log ends."""
        story = "".join(f"\n  strike {number}: {line}" for number, line in enumerate(self.history, start=1))
        tail = f"\n{launch.log} ends:\n{launch.tail}" if launch else ""
        return DifferenceError(f"{self.run.path}: {what}{story}{tail}")


def _launch(plan: Plan, run: str, number: int, words: list[str]) -> Launch:
    """The verb `train`, its messages kept in a file of its own."""
    log_file: Path = plan.place(run) / "launches" / f"{number:02d}.log"
    return Launch(["train", *words], uuid.uuid4().hex, log_file)
