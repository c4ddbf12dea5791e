"""A run in two sentences: what it is, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.reports.numbers import figure, percent


@dataclass(frozen=True)
class Headline:
    """what: the network and its data.     result: its figure beside references; empty while it has none."""

    what: str
    result: str


def headline(config: Mapping[str, Any], metrics: Mapping[str, float]) -> Headline:
    """The run's headline, from its settings and final figures."""
    return Headline(_what(config), _caption_result(metrics) or _forecast_result(metrics))


def network(config: Mapping[str, Any]) -> str:
    """What the network is called: convgru, captioner, s2vt."""
    model = config.get("model") or {}
    part = model.get("decoder" if model.get("kind") == "captioner" else "recurrent") or {}
    found = part.get("form") if model.get("kind") == "captioner" else part.get("kind")
    return str(found or model.get("kind") or "network")


def _what(config: Mapping[str, Any]) -> str:
    data, task = config.get("data") or {}, config.get("task") or {}
    name = data.get("name") or "its data"
    if task.get("kind") == "caption":
        how = "S2VT" if network(config) == "s2vt" else "a recurrent decoder with attention"
        return f"A CNN reads each frame, {how} writes a sentence. Data: {name}."
    if task.get("kind") == "forecast":
        return (
            f"A CNN reads each map, a {network(config)} reads the last {task.get('history')} of them and "
            f"forecasts {task.get('horizon')} steps. Data: {name}."
        )
    return f"Data: {name}." if config else "The settings of this run cannot be read."


def _forecast_result(metrics: Mapping[str, float]) -> str:
    """Mean skill over all variables and lead times, against persistence and the best known reference."""
    said = []
    for reference in ("persistence", "climatology", "linear"):
        values = [v for key, v in metrics.items() if key.startswith(f"test/skill_{reference}/")]
        if values:
            said.append(f"{percent(sum(values) / len(values))} against {reference}")
    return f"Mean skill on the test split: {', '.join(said)}." if said else ""


def _caption_result(metrics: Mapping[str, float]) -> str:
    """CIDEr beside the references that write a sentence, and people."""
    value = metrics.get("test/cider")
    if value is None:
        return ""
    beside = [
        f"{figure(metrics[key])} {told}"
        for name, told in (
            ("constant", "one sentence for all"),
            ("nearest", "the nearest clip's caption"),
            ("human", "people"),
        )
        if (key := f"reference/{name}/cider") in metrics
    ]
    clips = int(metrics.get("test/clips", 0))
    told = f" ({', '.join(beside)})" if beside else ""
    return f"CIDEr {figure(value)} on {clips} test clips{told}."
