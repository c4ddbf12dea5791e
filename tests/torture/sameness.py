"""In what two runs of the same settings differ: weights, states, figures, curves, files."""

import csv
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipelines.rundir import RunDir

TIMED = ("system/", "speed/")
"""Metrics of the machine, which no two launches share."""
CLOCKS = ("elapsed",)
"""Keys of a checkpoint that hold seconds."""


@dataclass(frozen=True)
class Compared:
    """What was found: differences in words, and how many values were held against each other."""

    differences: tuple[str, ...]
    values: int


class _Tally:
    """Values compared so far."""

    def __init__(self) -> None:
        self.values = 0


def compare_runs(whole: RunDir, victim: RunDir) -> Compared:
    """The undisturbed run and one that was killed and went on, bit by bit; paths and clocks aside."""
    tally = _Tally()
    found: list[str] = []
    for name in ("last.ckpt", "best.ckpt"):
        found += _checkpoints(whole, victim, name, tally)
    for name in ("metrics.json", "skill.csv", "scores.csv", "predictions/test.json"):
        found += _files(whole.path / name, victim.path / name, tally)
    found += _curves(whole, victim, tally)
    found += _provenance(victim)
    return Compared(tuple(found), tally.values)


def _checkpoints(whole: RunDir, victim: RunDir, name: str, tally: _Tally) -> Iterator[str]:
    """Differences within one checkpoint."""
    paths = [run.checkpoints / name for run in (whole, victim)]
    if absent := [str(path) for path in paths if not path.exists()]:
        yield f"{' and '.join(absent)} absent"
        return
    before, after = (
        _without_paths(torch.load(path, map_location="cpu", weights_only=True), run)
        for path, run in zip(paths, (whole, victim), strict=True)
    )
    yield from _values(before, after, name, tally)


def _without_paths(value: Any, run: RunDir) -> Any:
    """The value with the run's own folder replaced by a word."""
    if isinstance(value, str):
        return value.replace(str(run.path), "<run>")
    if isinstance(value, Mapping):
        return {_without_paths(key, run): _without_paths(item, run) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_paths(item, run) for item in value]
    return value


def _values(before: Any, after: Any, where: str, tally: _Tally) -> Iterator[str]:
    """Differences of two nested values; tensors bit by bit."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}, key=str):
            if key in CLOCKS:
                continue
            if (key in before) != (key in after):
                yield f"{where}[{key}] is only in the {'undisturbed run' if key in before else 'victim'}"
            else:
                yield from _values(before[key], after[key], f"{where}[{key}]", tally)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _values(one, other, f"{where}[{place}]", tally)
    elif isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
        tally.values += before.numel()
        if before.dtype != after.dtype or before.shape != after.shape:
            yield f"{where}: {before.dtype} {tuple(before.shape)}, {after.dtype} {tuple(after.shape)}"
        elif not torch.equal(before.nan_to_num(), after.nan_to_num()):
            apart = (before.double() - after.double()).abs().max().item()
            yield f"{where}: {tuple(before.shape)} values differ by up to {apart:.3g}"
    else:
        tally.values += 1
        if not _same(before, after):
            yield f"{where}: {before!r} undisturbed, {after!r} in the victim"


def _same(before: Any, after: Any) -> bool:
    """Equal, two NaN included."""
    both = isinstance(before, float) and isinstance(after, float)
    return (both and math.isnan(before) and math.isnan(after)) or bool(before == after)


def _files(before: Path, after: Path, tally: _Tally) -> Iterator[str]:
    """Differences of one published file; one that neither run has does not count."""
    if before.exists() != after.exists():
        yield f"{after.name} is only in the {'undisturbed run' if before.exists() else 'victim'}"
    elif before.exists():
        yield from _values(_content(before), _content(after), after.name, tally)


def _content(path: Path) -> Any:
    """A JSON or CSV file as nested values."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else list(csv.reader(text.splitlines()))


def _curves(whole: RunDir, victim: RunDir, tally: _Tally) -> Iterator[str]:
    """Differences of what MLflow holds: one finished run, each point once and equal."""
    (before, _), (after, states) = (tracked(run) for run in (whole, victim))
    if states != ["FINISHED"]:
        yield f"MLflow holds runs that are {', '.join(states) or 'none'}; one that is FINISHED is right"
    for name in sorted({*before, *after}):
        if name.startswith(TIMED):
            continue
        one, other = before.get(name, []), after.get(name, [])
        if more := Counter(step for step, _ in other) - Counter(step for step, _ in one):
            yield f"the curve {name} has more points than the undisturbed run's at step(s) {sorted(more)[:5]}"
            continue
        yield from _values([list(point) for point in one], [list(point) for point in other], name, tally)


def tracked(run: RunDir) -> tuple[dict[str, list[tuple[int, float]]], list[str]]:
    """The curves, by name and in order of steps, and the states of all runs in the database of `run`."""
    path = run.path.parent.parent / "mlflow.db"
    if not path.exists():
        return {}, []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        states = [state for (state,) in database.execute("select status from runs")]
        curves: dict[str, list[tuple[int, float]]] = {}
        points = "select key, step, value, is_nan from metrics order by key, step, timestamp"
        for key, step, value, is_nan in database.execute(points):
            curves.setdefault(key, []).append((step, math.nan if is_nan else value))
    return curves, states


def _provenance(victim: RunDir) -> Iterator[str]:
    """What provenance.json says wrongly of a run that has finished."""
    found = json.loads(victim.provenance.read_text(encoding="utf-8"))
    if found.get("status") != "FINISHED":
        yield f"provenance.json says {found.get('status')}; FINISHED is right"
