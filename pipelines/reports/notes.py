"""What MLflow's own pages say of a run and of its experiment, in Markdown."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.reports.headline import headline, network
from pipelines.reports.numbers import figure, percent
from pipelines.rundir import RunDir

MOST_LEADS, MOST_VARIABLES, LONGEST = 6, 8, 4800
"""MLflow keeps 5,000 characters of a note."""


def run_note(run: RunDir) -> str:
    """The result in a sentence, the table of results, what differs from the defaults, how to repeat it."""
    from pipelines import provenance
    from pipelines.reports.origin import chosen_settings, shown
    from pipelines.reports.run_page import figures_of, settings_of

    config, metrics = settings_of(run), figures_of(run)
    told = headline(config, metrics)
    chosen, _ = chosen_settings(config)
    settings = ", ".join(f"`{key}={_code(shown(value))}`" for key, value in chosen.items())
    command = provenance.read(run).get("command") or []
    parts = [
        text(told.what),
        f"**{text(told.result)}**" if told.result else "",
        skill_table(run) or caption_table(metrics),
        "`report.html` among the artifacts shows curves, maps or clips, and where the run comes from.",
        f"Settings that differ from the defaults: {settings}" if settings else "",
        f"To repeat it:\n\n    {shlex.join(str(word) for word in command)}" if command else "",
    ]
    kept = [part for part in parts if part]
    while len("\n\n".join(kept)) > LONGEST and len(kept) > 2:
        kept.pop(max(range(2, len(kept)), key=lambda place: len(kept[place])))
    return "\n\n".join(kept)[:LONGEST]


def skill_table(run: RunDir) -> str:
    """RMSE of the run and skill against references, a row a variable and lead time; empty without any."""
    from pipelines.reports.scores import MODEL, lead_label, read_skill, units_of

    rows, units = read_skill(run).rows, units_of(run)
    lines: list[Sequence[str]] = []
    references = [
        one for one in ("persistence", "climatology", "linear") if any(one in m for m in rows.values())
    ]
    for variable, models in list(rows.items())[:MOST_VARIABLES]:
        own = models.get(MODEL, {})
        leads = sorted(own)
        stride = max(1, -(-len(leads) // MOST_LEADS))
        for lead in sorted({*leads[stride - 1 :: stride], *leads[-1:]}):
            gains = [_gain(own[lead], models.get(one, {}).get(lead)) for one in references]
            unit = units.get(variable, "")
            lines.append([variable, lead_label(lead), f"{figure(own[lead])} {unit}".strip(), *gains])
    head = ["variable", "lead", "RMSE", *(f"skill on {one}" for one in references)]
    return markdown_table(head, lines)


def _gain(value: float, reference: float | None) -> str:
    return percent(1 - value / reference if reference else None)


def caption_table(metrics: Mapping[str, float]) -> str:
    """Caption scores beside the references; empty without any."""
    from pipelines.captions.score_table import METRICS, NAMES, read_scores

    figures = read_scores(metrics).figures
    lines = [
        [NAMES[metric], *(figure(found.get(metric)) for found in figures.values())]
        for metric in METRICS
        if any(metric in found for found in figures.values())
    ]
    return markdown_table(["score", *figures], lines)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, text escaped; empty without rows."""
    if not rows:
        return ""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(text(str(cell)) for cell in line)} |" for line in lines)


def text(words: str) -> str:
    """Words that Markdown and HTML leave as they are."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", words.replace("\n", " "))


def _code(words: str) -> str:
    """Words within backquotes."""
    return words.replace("`", "'").replace("|", "/").replace("\n", " ")


def experiment_note(config: Mapping[str, Any], command: Sequence[str]) -> str:
    """What the runs of an experiment have in common, how to add one, and how to look at them."""
    data, task = config.get("data") or {}, config.get("task") or {}
    captions = task.get("kind") == "caption"
    name = text(str(data.get("name") or "its data"))
    what = (
        f"Captions of video clips: a CNN reads each frame, a recurrent network reads the sequence. "
        f"Data: {name}. Compare runs by `test/cider`; "
        "`reference/*` are the same figures for people and simple captioners."
        if captions
        else f"Forecasts of maps: a CNN reads each map, a recurrent network reads the sequence. "
        f"Data: {name}. Compare runs by `test/skill_persistence/*` (larger is better) or "
        "`test/rmse/*` (smaller); "
        "`reference/*` are the same figures for persistence, climatology and a linear model."
    )
    words = [str(word) for word in command if not str(word).startswith(("run.name=", "run="))]
    repeat = f"A run like the first one:\n\n    {shlex.join(words)}" if words else ""
    look = "Side by side on one page:\n\n    skyreel review report runs=RUN,RUN output=report.html"
    return "\n\n".join(part for part in (what, repeat, look) if part)[:LONGEST]


def run_tags(config: Mapping[str, Any]) -> dict[str, str]:
    """What MLflow's table of runs can be filtered by: kind, task, network, data, and the sweep, if any."""
    data, task, run = (config.get(key) or {} for key in ("data", "task", "run"))
    found = {
        "skyreel.kind": "train",
        "skyreel.task": task.get("kind"),
        "skyreel.network": network(config),
        "skyreel.data": data.get("name"),
        "skyreel.sweep": run.get("sweep"),
        "skyreel.start": config.get("start"),
    }
    return {name: str(value) for name, value in found.items() if value}
