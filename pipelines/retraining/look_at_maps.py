"""The look at maps: gaps, units, ranges, missing values, and maps that repeat, in what is new."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.gridded.clock import dates, parse_moment
from datamodules.gridded.store import Store
from datamodules.gridded.units import plain_units
from pipelines.forecasts.data import packed
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.retraining.data_checks import ChecksOptions, Look

MOST_STEPS = 1000
"""Steps that figures are taken from, evenly chosen; more change them no more."""
OLD_STEPS = 300
"""Steps, evenly chosen among all, whose figures tell the next look whether older files were written over."""
FIRST_SHARE = 0.1
"""Share of the steps that the first look takes for new."""
TAILS = (0.001, 0.999)
"""Quantiles that make a range: single cells may be odd."""
SAME_PLACE = 1e-3
"""Degrees by which coordinates may differ: files round them."""

Figures = dict[str, float | None]


def look_at_maps(settings: Settings, options: "ChecksOptions", before: Mapping[str, Any] | None) -> "Look":
    """The look; see `data_checks.check_data`."""
    from pipelines.retraining.data_checks import Look

    store = packed(settings.maps, Path(settings.paths.stores))
    first, last = dates(store.time[[0, -1]], store.calendar)
    if before is not None and before["digest"] == store.digest:
        return Look("maps", len(store.time), 0, first, last, store.digest, before["summary"])
    start = _first_new(store, before)
    new = _figures(store, start, len(store.time))
    if before is None:
        known = _figures(store, 0, start)
        problems = list(_arrived(store, start, known, new, options))
    else:
        known = before["summary"]["variables"]
        problems = [*_described(store, before, options), *_arrived(store, start, known, new, options)]
        problems += _rewritten(store, known, new, options)
        old = _figures(store, 0, start, OLD_STEPS)
        problems += _altered(store, before["summary"].get("sample", {}), old, options)
    summary = {
        "variables": {name: _joined(known.get(name), new.get(name)) for name in store.names},
        "sample": _figures(store, 0, len(store.time), OLD_STEPS),
        "units": {channel.name: channel.units for channel in store.channels},
        "grid": list(store.grid.shape),
        "places": _places(store),
        "step_hours": store.step.hours,
        "gaps": store.report["time"]["first_gaps"],
        "missing_steps": store.report["time"]["missing_steps"],
        "empty_frames": store.report["time"]["empty_frames"],
        "duplicated": int(store.report["notes"].get("duplicated", 0)),
        "warnings": list(store.report["warnings"]),
    }
    count = len(store.time)
    return Look("maps", count, count - start, first, last, store.digest, summary, tuple(problems))


def _first_new(store: Store, before: Mapping[str, Any] | None) -> int:
    """The store index of the first step that is new."""
    if before is None:
        return len(store.time) - max(1, round(FIRST_SHARE * len(store.time)))
    moment = parse_moment(before["last"], store.calendar, "the last good look")
    return int(np.searchsorted(store.time, moment, side="right"))


def _figures(store: Store, start: int, stop: int, most: int = MOST_STEPS) -> dict[str, Figures]:
    """By variable: count, mean, std, change, low and high (quantiles), missing and repeated (shares)."""
    steps = np.arange(start, stop)[:: max(1, -(-(stop - start) // most))]
    if len(steps) == 0:
        return {}
    maps = np.stack([store.values[step] for step in steps])
    earlier = np.stack([store.values[max(step - 1, 0)] for step in steps])
    follows = (steps > 0) & (store.tick[steps] - store.tick[np.maximum(steps - 1, 0)] == 1)
    found = {}
    for number, name in enumerate(store.names):
        values = maps[:, number].astype(np.float64)
        finite = values[np.isfinite(values)]
        low, high = (float(one) for one in np.quantile(finite, TAILS)) if finite.size else (None, None)
        found[name] = {
            "count": float(finite.size),
            "mean": float(finite.mean()) if finite.size else None,
            "std": float(finite.std()) if finite.size else None,
            "change": _change(maps[:, number], earlier[:, number], follows),
            "low": low,
            "high": high,
            "missing": 1 - finite.size / values.size,
            "repeated": _repeated(maps[:, number], earlier[:, number], follows),
        }
    return found


def _change(maps: np.ndarray, earlier: np.ndarray, follows: np.ndarray) -> float | None:
    """The root mean square change from one step to the next: free of the season, unlike the deviation."""
    change = (maps[follows].astype(np.float64) - earlier[follows]) ** 2
    finite = change[np.isfinite(change)]
    return float(finite.mean() ** 0.5) if finite.size else None


def _repeated(maps: np.ndarray, earlier: np.ndarray, follows: np.ndarray) -> float:
    """The share of `maps` (step, lat, lon) that hold values and equal the map before."""
    equal = ((maps == earlier) | (np.isnan(maps) & np.isnan(earlier))).all(axis=(1, 2))
    return float((equal & follows & np.isfinite(maps).any(axis=(1, 2))).mean())


def _described(store: Store, before: Mapping[str, Any], options: "ChecksOptions") -> Iterator[str]:
    """What is wrong with what is said of the data, and with how much of them there is."""
    summary = before["summary"]
    if gone := [name for name in summary["units"] if name not in store.names]:
        yield f"{', '.join(gone)} is no longer in the data"
    for channel in store.channels:
        units = summary["units"].get(channel.name)
        if units is not None and plain_units(units) != plain_units(channel.units):
            yield f"{channel.name} is in {channel.units!r} now, and was in {units!r}"
    if list(store.grid.shape) != list(summary["grid"]):
        yield f"the grid has {list(store.grid.shape)} cells now, and had {list(summary['grid'])}"
    yield from _moved(store, summary.get("places"))
    if store.step.hours != summary["step_hours"]:
        yield f"a step is {store.step.hours:g} h now, and was {summary['step_hours']:g} h"
    left = int((store.time <= parse_moment(before["last"], store.calendar, "the last good look")).sum())
    if before["count"] - left > options.vanished * before["count"]:
        yield f"{before['count'] - left} of the {before['count']} steps up to {before['last']} have vanished"
    empty = store.report["time"]["empty_frames"] - summary["empty_frames"]
    if empty > options.missing_steps * (len(store.time) - left + empty):
        yield f"{empty} new maps hold no value in any variable"
    twice = int(store.report["notes"].get("duplicated", 0)) - summary["duplicated"]
    if twice > options.duplicated_steps:
        yield f"{twice} moments lie in two files or twice in one, which were not before"


def _places(store: Store) -> dict[str, list[float]]:
    """Latitudes and longitudes of the first, the last and a middle cell."""
    found = {}
    for name, values in (("lat", store.grid.lat), ("lon", store.grid.lon)):
        flat = np.asarray(values, np.float64).ravel()
        found[name] = [float(flat[0]), float(flat[-1]), float(flat[len(flat) // 3])]
    return found


def _moved(store: Store, before: Mapping[str, list[float]] | None) -> Iterator[str]:
    """Where the cells lie now, if it is elsewhere; looks of older versions did not say where they lay."""
    for name, now in _places(store).items():
        was = None if before is None else before.get(name)
        if was is None:
            continue
        apart = np.abs((np.subtract(now, was) + 180) % 360 - 180)  # 200 and -160 are one longitude
        if apart.max() > SAME_PLACE:
            yield (
                f"the grid has moved: {name} from {now[0]:.6g} to {now[1]:.6g}, "
                f"before from {was[0]:.6g} to {was[1]:.6g}"
            )


def _arrived(
    store: Store,
    start: int,
    known: Mapping[str, Figures],
    new: Mapping[str, Figures],
    options: "ChecksOptions",
) -> Iterator[str]:
    """What is wrong with the steps from `start` on."""
    count = len(store.time) - start
    if count == 0:
        return
    expected = int(store.tick[-1] - store.tick[start - 1]) if start else int(store.tick[-1]) + 1
    if expected - count > options.missing_steps * expected:
        yield f"{expected - count} of {expected} new steps are missing{_where(store, start)}"
    for name, figures in new.items():
        if name in known:
            yield from _variable(store, start, name, known[name], figures, options)
        elif figures["count"] == 0:
            yield f"{name} has no value at all"


def _where(store: Store, start: int) -> str:
    """The widest gap among the new steps, in words."""
    begin = max(start - 1, 0)
    jumps = np.diff(store.tick[begin:])
    if not len(jumps) or jumps.max() < 2:
        return ""
    place = begin + int(jumps.argmax())
    after, until = dates(store.time[[place, place + 1]], store.calendar)
    return f" (the widest gap is from {after} to {until})"


def _variable(
    store: Store, start: int, name: str, known: Figures, new: Figures, options: "ChecksOptions"
) -> Iterator[str]:
    """What is wrong with the new values of one variable."""
    missing, before = new["missing"] or 0.0, known["missing"] or 0.0
    if new["count"] == 0:
        if known["count"]:
            yield f"{name} has no value at all in what is new"
        return
    if missing - before > options.missing_values:
        yield f"{name}: {missing:.0%} of the new values are missing, {before:.0%} were"
    if (new["repeated"] or 0.0) - (known["repeated"] or 0.0) > options.repeated_steps:
        yield f"{name}: {new['repeated']:.0%} of the new maps repeat the one before"
    low, high = known["low"], known["high"]
    if low is None or high is None:
        return
    slack = options.range_slack * (high - low)
    share = _beyond(store, start, name, low - slack, high + slack)
    if share > options.beyond_range:
        yield (
            f"{name}: {share:.0%} of the new values are far from all known ones: they go from "
            f"{new['low']:.5g} to {new['high']:.5g}, known are {low:.5g} to {high:.5g}{_unit(store, name)}"
        )
    usual, change = known["change"], new["change"]
    if low == 0 or not usual or change is None:  # rain comes and goes with the season
        return
    if not 1 / options.change <= change / usual <= options.change:
        yield (
            f"{name}: it changes by {change:.3g}{_unit(store, name)} from step to step, "
            f"known are {usual:.3g}{_unit(store, name)}"
        )


def _beyond(store: Store, start: int, name: str, low: float, high: float) -> float:
    """The share of the new values outside low to high, in the worst tenth of the new steps.

    A bad day among many good ones is not thinned out.
    """
    number = store.names.index(name)
    shares = []
    for step in range(start, len(store.time)):
        values = store.values[step, number]
        finite = np.isfinite(values)
        if finite.any():
            shares.append(float(((values < low) | (values > high))[finite].mean()))
    worst = sorted(shares)[-max(1, len(shares) // 10) :]
    return float(np.mean(worst)) if worst else 0.0


def _rewritten(
    store: Store, known: Mapping[str, Figures], new: Mapping[str, Figures], options: "ChecksOptions"
) -> Iterator[str]:
    """What is wrong with the range of everything: older files may have been written over."""
    for one in store.report["variables"]:
        figures = known.get(one["name"])
        if figures is None or figures["low"] is None or figures["high"] is None:
            continue
        slack = max(1.0, options.range_slack) * 2 * (figures["high"] - figures["low"])
        inside = new.get(one["name"], {})
        low, high = inside.get("low"), inside.get("high")
        least = min(figures["low"], figures["low"] if low is None else low) - slack
        most = max(figures["high"], figures["high"] if high is None else high) + slack
        if slack > 0 and (one["min"] < least or one["max"] > most):
            yield (
                f"{one['name']}: older steps have changed, they reach from {one['min']:.5g} to "
                f"{one['max']:.5g} now{_unit(store, one['name'])}"
            )


def _altered(
    store: Store, known: Mapping[str, Figures], old: Mapping[str, Figures], options: "ChecksOptions"
) -> Iterator[str]:
    """What is wrong with the steps of the last good look, by a sample of them then and now."""
    for name, was in known.items():
        if name not in old or not was["count"]:
            continue
        now, unit = old[name], _unit(store, name)
        missing, before = now["missing"] or 0.0, was["missing"] or 0.0
        if missing - before > options.missing_values:
            yield f"{name}: {missing:.0%} of the values known before are missing now, {before:.0%} were"
        if (now["repeated"] or 0.0) - (was["repeated"] or 0.0) > options.repeated_steps:
            yield f"{name}: {now['repeated']:.0%} of the maps known before repeat the one before now"
        mean, usual, spread = now["mean"], was["mean"], was["std"]
        if mean is not None and usual is not None and spread and abs(mean - usual) > spread:
            yield f"{name}: the mean of what was known before is {mean:.5g} now, and was {usual:.5g}{unit}"


def _unit(store: Store, name: str) -> str:
    """The unit of a variable, after a space."""
    units = store.channels[store.names.index(name)].units
    return f" {units}" if units else ""


def _joined(known: Figures | None, new: Figures | None) -> Figures:
    """Figures of both together; counts weigh means and spreads."""
    if not known or not new:
        return dict(new or known or {})
    if not known["count"] or not new["count"]:
        return dict(known if known["count"] else new)
    counts = [float(one["count"] or 0.0) for one in (known, new)]
    weights = [one / sum(counts) for one in counts]
    means = [float(one["mean"] or 0.0) for one in (known, new)]
    mean = sum(w * m for w, m in zip(weights, means, strict=True))
    variance = sum(
        w * (float(one["std"] or 0.0) ** 2 + (m - mean) ** 2)
        for w, m, one in zip(weights, means, (known, new), strict=True)
    )
    shares = {
        key: sum(w * float(one[key] or 0.0) for w, one in zip(weights, (known, new), strict=True))
        for key in ("missing", "repeated")
    }
    change = sum(w * float(one["change"] or 0.0) ** 2 for w, one in zip(weights, (known, new), strict=True))
    low = min(float(one["low"]) for one in (known, new) if one["low"] is not None)
    high = max(float(one["high"]) for one in (known, new) if one["high"] is not None)
    return {
        "count": sum(counts),
        "mean": mean,
        "std": variance**0.5,
        "change": change**0.5,
        "low": low,
        "high": high,
        **shares,
    }
