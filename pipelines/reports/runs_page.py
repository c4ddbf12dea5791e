"""The page of several runs side by side: where they differ, and what came of it."""

import shlex
from collections.abc import Mapping, Sequence

from pipelines import provenance
from pipelines.reports.charts import Line, chart
from pipelines.reports.clips import captions_of, strip
from pipelines.reports.curves import curve_charts, curves_of
from pipelines.reports.headline import headline
from pipelines.reports.maps import run_maps
from pipelines.reports.markup import Child, Html, code, element, joined, section, table
from pipelines.reports.numbers import column
from pipelines.reports.origin import data_section, provenance_section, settings_beside
from pipelines.reports.page import page
from pipelines.reports.run_page import figures_of, settings_of
from pipelines.reports.scores import MODEL, lead_label, read_skill, score_figure, shown_leads, units_of
from pipelines.rundir import RunDir

MOST_CLIPS = 24


def runs_page(runs: Sequence[RunDir]) -> str:
    """The whole page; runs have a colour each, the same in every chart."""
    named = labels(runs)
    configs = {name: settings_of(run) for name, run in named.items()}
    figures = {name: figures_of(run) for name, run in named.items()}
    known = {name: provenance.read(run) for name, run in named.items()}
    heads = {name: headline(configs[name], figures[name]) for name in named}
    lead = element(
        "ul",
        [element("li", element("b", name), ": ", heads[name].result or "no result yet") for name in named],
    )
    sections = [
        section("What differs", settings_beside(configs)),
        section("Data", [_part(name, data_section(known[name])) for name in named]),
        section("Curves", curve_charts({name: curves_of(run.path) for name, run in named.items()})),
        section("Skill", skill_beside(named) or scores_beside(figures)),
        section("Maps", [_part(name, run_maps(run, f"{i}-")) for i, (name, run) in enumerate(named.items())]),
        section("Clips", clips_beside(named)),
        section("Provenance", [_part(name, provenance_section(known[name])) for name in named]),
        section("How to repeat them", [_part(name, _command(known[name])) for name in named]),
    ]
    return page(f"{len(runs)} runs side by side", lead, sections)


def labels(runs: Sequence[RunDir]) -> dict[str, RunDir]:
    """The runs by their names; experiment/name, then the whole path, where that tells them apart."""
    for name in (
        lambda run: run.path.name,
        lambda run: f"{run.path.parent.name}/{run.path.name}",
        lambda run: str(run.path),
    ):
        found = {name(run): run for run in runs}
        if len(found) == len(runs):
            break
    return found


def _part(name: str, inside: Html) -> Html:
    return joined(element("h3", name), inside) if inside else Html("")


def _command(known: Mapping[str, object]) -> Html:
    words = known.get("command")
    return code(shlex.join(str(word) for word in words)) if isinstance(words, list) else Html("")


def skill_beside(runs: Mapping[str, RunDir]) -> Html:
    """RMSE by lead time of each run and of persistence, for variables that any of them forecasts."""
    found = {name: read_skill(run).rows for name, run in runs.items()}
    units = {key: unit for run in runs.values() for key, unit in units_of(run).items()}
    variables = list(dict.fromkeys(variable for rows in found.values() for variable in rows))
    charts, tables = [], []
    for variable in variables:
        by_run = {name: rows[variable] for name, rows in found.items() if variable in rows}
        columns = {name: models.get(MODEL, {}) for name, models in by_run.items()}
        reference = next(
            (models["persistence"] for models in by_run.values() if "persistence" in models), None
        )
        unit = units.get(variable, "")
        colours = {name: number for number, name in enumerate(runs)}
        lines = [Line(name, tuple(sorted(values.items())), colours[name]) for name, values in columns.items()]
        if reference is not None:
            columns = {**columns, "persistence": reference}
            lines.append(Line("persistence", tuple(sorted(reference.items())), 4, dashed=True))
        charts.append(chart(variable, lines, "hours ahead", f"RMSE, {unit}" if unit else "RMSE"))
        tables.append(_leads_beside(variable, unit, columns))
    return joined(element("div", charts, class_="charts"), tables) if charts else Html("")


def _leads_beside(variable: str, unit: str, columns: Mapping[str, Mapping[float, float]]) -> Html:
    leads = shown_leads(sorted({lead for values in columns.values() for lead in values}))
    rows = []
    for lead in leads:
        values = [one.get(lead) for one in columns.values()]
        rows.append([lead_label(lead), *_with_best(values, column(values), min)])
    label = f"{variable}: RMSE in {unit}" if unit else f"{variable}: RMSE"
    return table(["lead", *columns], rows, caption=f"{label}, the smallest in bold")


def _with_best(values: Sequence[float | None], texts: Sequence[str], choose: object) -> list[Child]:
    known = [one for one in values if one is not None]
    best = (min if choose is min else max)(known) if known else None
    return [
        element("b", text) if value is not None and value == best else text
        for value, text in zip(values, texts, strict=True)
    ]


def scores_beside(figures: Mapping[str, Mapping[str, float]]) -> Html:
    """Caption scores, a column a run, the best in bold."""
    from pipelines.captions.score_table import METRICS, NAMES

    rows = []
    for metric, shown in NAMES.items():
        values = [one.get(f"test/{metric}") for one in figures.values()]
        if any(value is not None for value in values):
            texts = [score_figure(metric, value) for value in values]
            rows.append([shown, *(_with_best(values, texts, max) if metric in METRICS else texts)])
    return table(["", *figures], rows, caption="test clips; the best in bold") if rows else Html("")


def clips_beside(runs: Mapping[str, RunDir]) -> Html:
    """What each run wrote for the same clips: those first for which the sentences differ."""
    from pipelines.captions.films import film_file

    written = {name: captions_of(run.predictions / "test.json") for name, run in runs.items()}
    written = {name: found for name, found in written.items() if found}
    if len(written) < 2:
        return Html("")
    by_clip = {name: {str(one.get("clip")): one for one in found} for name, found in written.items()}
    first, *others = by_clip
    shared = [clip for clip in by_clip[first] if all(clip in by_clip[name] for name in others)]
    places = {clip: number for number, clip in enumerate(by_clip[first], start=1)}
    said = {
        clip: [str(by_clip[name][clip].get("caption") or "(nothing)") for name in by_clip] for clip in shared
    }
    changed = [clip for clip in shared if len(set(said[clip])) > 1]
    drawn = [clip for clip in changed if film_file(runs[first], places[clip]).exists()] or changed
    about = f"{len(changed)} of {len(shared)} clips have other sentences."
    articles = [
        element(
            "article",
            element("h3", clip),
            strip(film_file(runs[first], places[clip]), clip),
            element(
                "dl",
                [
                    element("div", element("dt", name), element("dd", text))
                    for name, text in zip(by_clip, said[clip], strict=True)
                ],
            ),
            element(
                "ul", [element("li", text) for text in (by_clip[first][clip].get("references") or ())[:3]]
            ),
            class_="clip",
        )
        for clip in drawn[:MOST_CLIPS]
    ]
    return joined(element("p", about, class_="about"), element("div", articles, class_="clips"))
