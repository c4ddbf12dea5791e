"""The page of one run."""

import shlex
from collections.abc import Mapping
from typing import Any

from pipelines import provenance
from pipelines.reports.clips import clips_section
from pipelines.reports.curves import curve_charts, curves_of
from pipelines.reports.headline import headline
from pipelines.reports.maps import run_maps
from pipelines.reports.markup import Html, element, joined, section
from pipelines.reports.origin import data_section, provenance_section, repeat_section, settings_section
from pipelines.reports.page import page
from pipelines.reports.scores import caption_section, skill_section
from pipelines.rundir import RunDir, read_metrics


def run_page(run: RunDir) -> str:
    """The whole page of a run: what is not there yet, or cannot be read, is left out."""
    config, known, metrics = settings_of(run), provenance.read(run), figures_of(run)
    name = f"{run.path.parent.name}/{run.path.name}"
    again = f"skyreel evaluate {shlex.quote(f'run={run.path}')}"
    sections = [
        section("What was run", settings_section(config), about="Settings that differ from the defaults."),
        section("Data", data_section(known)),
        section("Curves", curve_charts({run.path.name: curves_of(run.path)})),
        section("Skill", skill_section(run) or caption_section(metrics)),
        section("Maps", run_maps(run)),
        section("Clips", clips_section(run)),
        section("Provenance", provenance_section(known)),
        section("How to repeat it", repeat_section(known, again)),
    ]
    return page(name, _lead(config, metrics), sections)


def settings_of(run: RunDir) -> dict[str, Any]:
    """The settings of the run; empty where they cannot be read."""
    from datamodules.errors import InputError

    try:
        return run.read_config()
    except InputError:
        return {}


def figures_of(run: RunDir) -> dict[str, float]:
    """The final figures of the run; empty while it has none."""
    from datamodules.errors import InputError

    try:
        return read_metrics(run.metrics)
    except InputError:
        return {}


def _lead(config: Mapping[str, Any], metrics: Mapping[str, float]) -> Html:
    told = headline(config, metrics)
    return joined(element("p", told.what, class_="lead"), element("p", told.result) if told.result else None)
