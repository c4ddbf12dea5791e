"""What a registered model is, how good it is and how it is called, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines import provenance
from pipelines.registry.columns import Column, Tables
from pipelines.reports.scores import units_of
from pipelines.rundir import RunDir, read_metrics
from pipelines.settings import Settings

MOST_FIGURES = 16
REFERENCES = ("persistence", "damped_persistence", "climatology", "linear", "human", "constant")
"""Who stands beside the model, where the run was judged beside them."""
CALL = """```python
import mlflow, pandas
mlflow.set_tracking_uri("{uri}")
model = mlflow.pyfunc.load_model("models:/{name}@champion")
found = model.predict(pandas.DataFrame({{"path": [{path}]}}))
```

or `skyreel predict model=models:/{name}@champion input=FILES output=FILE`, which writes the same numbers into
a file, or, over HTTP (with the `bin` of this environment on PATH, where MLflow looks for its server),

```
MLFLOW_TRACKING_URI={uri} mlflow models serve --env-manager local -m models:/{name}@champion -p 5001
curl localhost:5001/invocations -H 'Content-Type: application/json' \\
     -d '{{"dataframe_records": [{{"path": {path}}}]}}'
```

Each row is answered by itself, as one call of `skyreel predict` would be. `champion` is the alias that
retraining moves; `models:/{name}/1` names a version."""
UNITLESS = ("acc", "skill")
"""Metrics of maps that have no unit."""


def card(run: RunDir, tables: Tables, name: str, uri: str) -> str:
    """The README.md of the model `name` in the registry at `uri`: the description, and how it is called."""
    settings = Settings.model_validate(run.read_config())
    path = '"clip.mp4"' if settings.task.kind == "caption" else '"newest_maps.nc"'
    return "\n\n".join(
        (
            describe(run),
            "## How to call it",
            CALL.format(uri=uri, name=name, path=path),
            "### What goes in\n\nA table. A row gives `path` or what stands in its place; the rest is null.",
            _columns(tables.inputs),
            "### What comes out\n\nA table.",
            _columns(tables.outputs),
            "",
        )
    )


def describe(run: RunDir) -> str:
    """What the model does, from which data and code, and its figures on the test split beside references."""
    settings, found = Settings.model_validate(run.read_config()), provenance.read(run)
    does = (
        "Writes a sentence for each clip."
        if settings.task.kind == "caption"
        else f"Forecasts {settings.forecast.horizon} maps from the last {settings.forecast.history}."
    )
    data = (found.get("data") or {}).get("store") or {}
    origin = [
        f"Run `{run.path.parent.name}/{run.path.name}`",
        f"data {data.get('name', settings.data.name)} (digest {str(data.get('digest', 'unknown'))[:12]})",
        f"seed {settings.seed}",
        _code(found.get("code") or {}),
    ]
    lines = [f"{does} {', '.join(part for part in origin if part)}."]
    if run.metrics.is_file():
        lines.append(_figures(read_metrics(run.metrics), units_of(run)))
    if command := found.get("command"):
        lines.append(f"Made by `{' '.join(map(str, command))}`.")
    return "\n\n".join(lines)


def _code(code: Mapping[str, Any]) -> str:
    commit = str(code.get("commit") or "")[:10]
    changed = ", changed since" if code.get("changed") else ""
    return f"code {commit}{changed}" if commit else f"version {code.get('version')}" if code else ""


def _figures(metrics: Mapping[str, float], units: Mapping[str, str]) -> str:
    """A table: figure with its unit, of the model, of each reference that has it."""
    names = [name.removeprefix("test/") for name in metrics if name.startswith("test/")]
    beside = [who for who in REFERENCES if any(f"reference/{who}/{name}" in metrics for name in names)]
    shown = [name for name in names if any(f"reference/{who}/{name}" in metrics for who in beside)] or names
    rows = [
        [
            _with_unit(name, units),
            _number(metrics[f"test/{name}"]),
            *(_number(metrics.get(f"reference/{who}/{name}")) for who in beside),
        ]
        for name in shown[:MOST_FIGURES]
    ]
    return _table(["on the test split", "this model", *(who.replace("_", " ") for who in beside)], rows)


def _with_unit(name: str, units: Mapping[str, str]) -> str:
    """`rmse/air/6h (K)`; a score of captions has no unit."""
    metric, _, rest = name.partition("/")
    unit = "" if metric.startswith(UNITLESS) else units.get(rest.partition("/")[0], "")
    return f"{name} ({unit})" if unit else name


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _columns(columns: Sequence[Column]) -> str:
    rows = [
        [f"`{one.name}`", f"{one.kind}{'[]' * one.depth}", one.meaning.replace("|", "\\|")] for one in columns
    ]
    return _table(["column", "type", "meaning"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
