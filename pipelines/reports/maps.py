"""The maps of a run on its page: a forecast beside what happened by lead time, the error of every place."""

import numpy as np

from pipelines.forecasts.example import Example, example_file
from pipelines.reports.map_pictures import Scale, extent, map_panel, north_up, slider
from pipelines.reports.markup import Html, element, joined
from pipelines.reports.numbers import MINUS
from pipelines.reports.page import picture_file
from pipelines.rundir import RunDir


def example_of_run(run: RunDir) -> Example | None:
    """The example that the run keeps; None where it has none that can be read."""
    try:
        return Example.read(example_file(run))
    except (OSError, ValueError, KeyError):
        return None


def run_maps(run: RunDir, mark: str = "") -> Html:
    """Maps of a forecast with a slider over lead times, a block a variable; else the run's own pictures.

    mark: makes the sliders' names this run's own on a page of several.
    """
    found = example_of_run(run)
    if found is None:
        names = sorted(run.plots.glob("maps_*.png"))
        return joined(picture_file(path, f"Maps of {path.stem.removeprefix('maps_')}") for path in names)
    about = element(
        "p",
        f"One forecast of the test split, from {found.issued}: {extent(found.lat, found.lon)}. "
        "A pixel is a cell of the grid.",
        class_="about",
    )
    return joined(about, [_variable(found, number, mark) for number in range(len(found.variables))])


def _variable(found: Example, number: int, mark: str) -> Html:
    """One variable: forecast, what happened, and the difference; one scale for the first two at all leads."""
    turn = north_up(found.lat, found.lon)
    forecast, truth = turn(found.forecast[:, number]), turn(found.truth[:, number])
    name, unit = found.variables[number], found.units[number]
    values, errors = Scale.of(np.stack([forecast, truth])), Scale.around_zero(forecast - truth)
    frames = []
    for lead, lead_name in enumerate(found.lead_names):
        shown = (
            (values, forecast[lead], "forecast"),
            (values, truth[lead], "what happened"),
            (errors, forecast[lead] - truth[lead], f"forecast {MINUS} what happened"),
        )
        panels = [
            map_panel(scale, field, title, f"Map of {name} after {lead_name}: {title}{_told(field, unit)}")
            for scale, field, title in shown
        ]
        frames.append((f"+{lead_name}", element("div", panels, class_="panels")))
    bars = element(
        "div", values.bar(_label(name, unit)), errors.bar(_label("difference", unit)), class_="panels"
    )
    slug = "".join(letter if letter.isalnum() else "-" for letter in name)
    return joined(
        element("h3", _label(name, unit)),
        slider(frames, "Lead time", f"lead-{mark}{number}-{slug}"),
        bars,
        _by_place(found, number, turn(found.error_by_place[:, number])),
    )


def _by_place(found: Example, number: int, errors: np.ndarray) -> Html:
    """The error of every place over all test windows, a map a lead time, closed at first."""
    name, unit = found.variables[number], found.units[number]
    scale = Scale.of(errors, from_zero=True)
    panels = [
        map_panel(scale, field, f"+{lead}", f"Map of the RMSE of {name} after {lead}{_told(field, unit)}")
        for field, lead in zip(errors, found.error_leads, strict=True)
    ]
    return element(
        "details",
        element("summary", f"Where {name} is hard: RMSE of every place over all test windows"),
        element("div", panels, class_="panels"),
        scale.bar(_label("RMSE", unit)),
    )


def _label(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _told(field: np.ndarray, unit: str) -> str:
    """The range of a map in words, for those who do not see it."""
    finite = field[np.isfinite(field)]
    if not finite.size:
        return ", no values"
    return f", {finite.min():.4g} to {finite.max():.4g} {unit}".rstrip()
