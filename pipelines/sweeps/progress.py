"""How far a sweep is, in one line."""

from collections.abc import Mapping

from pipelines.sweeps.course import Course
from pipelines.sweeps.ledger import Ledger
from pipelines.sweeps.plan import Plan


def status_line(
    plan: Plan, ledger: Ledger, courses: Mapping[int, Course], running: Mapping[int, float]
) -> str:
    """How many trials are done, the best, how long the rest will take, and where those that run are.

    running: seconds that each trial that runs has run, by number.
    """
    best = ledger.best()
    parts = [f"sweep: {len(ledger.done())} of {plan.total} trials done"]
    if best is not None and best.figure is not None:
        parts.append(f"best {best.figure:.5g} ({best.name})")
    minutes = _minutes_left(plan, ledger, running)
    if minutes is not None:
        parts.append(f"about {minutes:.0f} min left" if minutes >= 1 else "about a minute left")
    return f"{', '.join(parts)}; {'; '.join(_place(ledger, courses, number) for number in sorted(running))}"


def _minutes_left(plan: Plan, ledger: Ledger, running: Mapping[int, float]) -> float | None:
    """At the pace of the trials that are done; None before the first."""
    done = [trial.seconds for trial in ledger.done() if trial.seconds]
    if not done:
        return None
    each = sum(done) / len(done)
    spent = sum(min(each, seconds) for seconds in running.values())
    left = each * (plan.total - len(ledger.done())) - spent
    return max(0.0, left) / min(plan.options.parallel, plan.total) / 60


def _place(ledger: Ledger, courses: Mapping[int, Course], number: int) -> str:
    name, best = ledger.trials[number].name, courses[number].best()
    return name if best is None else f"{name} epoch {courses[number].last}, {best.figure:.5g}"
