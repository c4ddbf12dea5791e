"""What a sweep found, for people: a table of its trials, the best first, and what to do with the best."""

import math

from rich.console import Console
from rich.table import Table

from datamodules.errors import InputError
from pipelines.console import shown_path
from pipelines.rundir import RunDir
from pipelines.sweeps.ledger import Ledger, Trial
from pipelines.sweeps.plan import Plan


def show_sweep(plan: Plan, ledger: Ledger, console: Console) -> None:
    """Print the table and the next step."""
    ranking, unit = plan.ranking, unit_of(plan, ledger)
    best = "small is good" if ranking.mode == "min" else "large is good"
    table = Table(
        title=f"{plan.name}: {len(ledger.done())} of {plan.total} trials done",
        caption=f"Ranked by {ranking.figure} ({best}), at the epoch whose checkpoint is kept. The test split "
        "has no say in it; a run's metrics.json has its test figures.",
        caption_justify="left",
    )
    keys = [axis.key for axis in plan.axes]
    table.add_column("trial", no_wrap=True)
    table.add_column(f"{ranking.figure}{f' ({unit})' if unit else ''}", justify="right", no_wrap=True)
    table.add_column("state")
    for name in (*_short_keys(keys), "at epoch", "epochs", "minutes"):
        table.add_column(name, justify="right")
    for trial in ledger.ranked():
        table.add_row(*_row(trial, keys))
    console.print(table)
    for line in next_steps(plan, ledger):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _row(trial: Trial, keys: list[str]) -> list[str]:
    figure = "-" if trial.figure is None else f"{trial.figure:.5g}"
    epoch = "-" if trial.epoch is None else str(trial.epoch)
    values = [_short(trial.values.get(key, "-")) for key in keys]
    return [trial.name, figure, trial.state, *values, epoch, str(trial.epochs), f"{trial.seconds / 60:.1f}"]


def _short_keys(keys: list[str]) -> list[str]:
    """The last parts of the keys; whole ones where two end alike."""
    tails = [key.rpartition(".")[2] for key in keys]
    return tails if len(set(tails)) == len(tails) else keys


def _short(text: str) -> str:
    """A number with four digits, anything else as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    return text if len(text) <= 8 or not math.isfinite(value) else f"{value:.4g}"


def next_steps(plan: Plan, ledger: Ledger) -> list[str]:
    """What to do next, as lines: how the sweep goes on if it is not at its end, how its best run is used."""
    lines = []
    open_ones = plan.total - len(ledger.done())
    if open_ones:
        lines.append(f"{open_ones} trial(s) are not done: the same command goes on with them")
    best = ledger.best()
    if best is not None:
        place = shown_path(ledger.run(best))
        way = (
            f"skyreel predict run={place} output=forecast.nc"
            if plan.first.settings.task.kind == "forecast"
            else f"skyreel predict run={place} input='clips/*.mp4' output=captions.json"
        )
        lines += [
            f"the best run is {place}: its config.yaml, checkpoints/best.ckpt, metrics.json",
            f"  {way}",
        ]
    return [*lines, f"all trials, with every figure: {shown_path(ledger.results)}"]


def unit_of(plan: Plan, ledger: Ledger) -> str | None:
    """The unit of the ranking figure, where it is an error of a variable (validation/rmse/air/24h)."""
    parts, best = plan.ranking.figure.split("/"), ledger.best()
    if best is None or plan.first.settings.task.kind != "forecast" or len(parts) < 3:
        return None
    from pipelines.forecasts.kept import kept_model

    try:
        store, _ = kept_model(RunDir(ledger.run(best)))
    except (InputError, OSError):
        return None
    return next((one.units for one in store.channels if one.name == parts[2]), None)
