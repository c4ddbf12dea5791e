"""The scores of runs beside their references, as tables and lines over lead time."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.reports.charts import Line, chart
from pipelines.reports.markup import Html, element, joined, table
from pipelines.reports.numbers import MINUS, NOTHING, column, figure, percent
from pipelines.rundir import RunDir

MODEL = "skyreel"
MOST_ROWS = 12
REFERENCES = {
    "persistence": "the last map stays as it is",
    "damped_persistence": "its departure from the climatology fades at the rate of the training years",
    "climatology": "the mean of the training years for the time of year and day",
    "linear": "a linear model fitted to the training years",
}
CAPTION_REFERENCES = {
    "human": "each person judged by the others",
    "nearest": "the caption of the training clip that looks most alike",
    "constant": "one sentence for all clips, the best there is",
    "frequent": "the most frequent training caption for all clips",
}


@dataclass(frozen=True)
class SkillFile:
    """skill.csv by variable: rows[variable][model][lead_hours] of one metric."""

    metric: str
    rows: Mapping[str, Mapping[str, Mapping[float, float]]]


def read_skill(run: RunDir, metric: str = "rmse") -> SkillFile:
    """The metric in the run's skill.csv; empty where there is none."""
    rows: dict[str, dict[str, dict[float, float]]] = {}
    if run.skill.is_file():
        with run.skill.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("metric") == metric:
                    by_lead = rows.setdefault(row["variable"], {}).setdefault(row["model"], {})
                    by_lead[float(row["lead_hours"])] = float(row["value"] or "nan")
    return SkillFile(metric, rows)


def units_of(run: RunDir) -> dict[str, str]:
    """The unit of each variable that the run forecasts; empty where it keeps no model."""
    from datamodules.errors import InputError
    from pipelines.forecasts.kept import kept_model

    try:
        store = kept_model(run)[0]
    except (InputError, OSError, ValueError, KeyError):
        return {}
    found = {channel.name: channel.units for channel in store.channels}
    if store.series is not None:
        found |= dict(zip(store.series.names, store.series.units, strict=True))
    return found


def lead_label(hours: float) -> str:
    """A lead time, short: 6 h, 36 h, 5 d."""
    return f"{hours / 24:g} d" if hours >= 72 and hours % 24 == 0 else f"{hours:g} h"


def skill_section(run: RunDir) -> Html:
    """RMSE by lead time beside every reference, a table and a chart a variable, each in its unit."""
    found, units = read_skill(run), units_of(run)
    if not found.rows:
        return Html("")
    charts = [_by_lead(name, models, units.get(name, "")) for name, models in found.rows.items()]
    known = {model for models in found.rows.values() for model in models}
    told = [(model.replace("_", " "), text) for model, text in REFERENCES.items() if model in known]
    notes = element(
        "p",
        "; ".join(f"{name}: {text}" for name, text in told)
        + f". Skill is 1 {MINUS} RMSE / RMSE of the reference.",
        class_="about",
    )
    return joined(
        element("div", charts, class_="charts"),
        [_table(name, models, units.get(name, "")) for name, models in found.rows.items()],
        notes,
    )


def _by_lead(name: str, models: Mapping[str, Mapping[float, float]], unit: str) -> Html:
    ordered = sorted(models, key=lambda model: model != MODEL)
    lines = [
        Line(model.replace("_", " "), tuple(sorted(models[model].items())), number, dashed=model != MODEL)
        for number, model in enumerate(ordered)
    ]
    return chart(name, lines, "hours ahead", f"RMSE, {unit}" if unit else "RMSE")


def shown_leads(hours: Sequence[float]) -> list[float]:
    """At most twelve of the lead times, the first and the last among them."""
    count = len(hours)
    if count <= MOST_ROWS:
        return list(hours)
    stride = math.ceil(count / (MOST_ROWS - 1))
    return sorted({hours[0], *hours[stride - 1 :: stride], hours[-1]})


def _table(name: str, models: Mapping[str, Mapping[float, float]], unit: str) -> Html:
    ordered = sorted(models, key=lambda model: model != MODEL)
    leads = shown_leads(sorted(models.get(MODEL, {})))
    columns = {model: [models[model].get(lead) for lead in leads] for model in ordered}
    every = column([value for values in columns.values() for value in values])
    texts = {model: every[i * len(leads) : (i + 1) * len(leads)] for i, model in enumerate(ordered)}
    rows = []
    for place, lead in enumerate(leads):
        values = {model: columns[model][place] for model in ordered}
        best = min((one for one in values.values() if _known(one)), default=None)  # type: ignore[type-var]
        cells = [
            element("b", texts[model][place])
            if _known(values[model]) and values[model] == best
            else texts[model][place]
            for model in ordered
        ]
        gains = [
            percent(_skill(values.get(MODEL), values.get(one))) for one in ordered if one == "persistence"
        ]
        rivals = [one for model, one in values.items() if model != MODEL and _known(one)]
        against = percent(_skill(values.get(MODEL), min(rivals))) if rivals else NOTHING  # type: ignore[type-var]
        rows.append([lead_label(lead), *cells, *gains, against])
    head = ["lead", *(model.replace("_", " ") for model in ordered)]
    head += ["skill on persistence"] if "persistence" in ordered else []
    label = f"{name}: RMSE in {unit}" if unit else f"{name}: RMSE"
    return table([*head, "skill on the best"], rows, caption=f"{label}, the smallest in bold")


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _skill(value: float | None, reference: float | None) -> float | None:
    if value is None or reference is None or not reference > 0:
        return None
    return 1 - value / reference


def score_figure(metric: str, value: float | None) -> str:
    """Scores with three decimals, counts of words as they are."""
    if metric in ("distinct_words", "mean_words") or value is None or not math.isfinite(value):
        return figure(value)
    return f"{value:.3f}"


def caption_section(metrics: Mapping[str, float]) -> Html:
    """Caption scores beside every reference; the best of the automatic ones bold."""
    from pipelines.captions.score_table import METRICS, NAMES, read_scores

    scores = read_scores(metrics)
    if not scores.figures[MODEL]:
        return Html("")
    people = [who for who in scores.figures if who in ("human",)]
    rows = []
    for metric, shown in NAMES.items():
        values = {who: found.get(metric) for who, found in scores.figures.items()}
        if all(value is None for value in values.values()):
            continue
        rivals = [one for who, one in values.items() if who not in people and one is not None]
        best = max(rivals, default=None) if metric in METRICS else None
        cells = []
        for who, value in values.items():
            text = (
                percent(value, 0, sign=False) if metric == "unseen_sentences" else score_figure(metric, value)
            )
            cells.append(
                element("b", text) if value is not None and value == best and who not in people else text
            )
        rows.append([shown, *cells])
    told = "; ".join(f"{who}: {text}" for who, text in CAPTION_REFERENCES.items() if who in scores.figures)
    missing = f", {scores.missing} more could not be read" if scores.missing else ""
    named = ", ".join(f"{name} {share:.0%}" for name, share in scores.facts.items())
    return joined(
        table(
            ["", *scores.figures],
            rows,
            caption=f"{scores.clips} test clips{missing}; the best automatic figure in bold",
        ),
        element("p", f"Sentences that name it right: {named}.") if named else None,
        element("p", f"{told}.", class_="about") if told else None,
    )
