"""Where a run comes from: what differs from the defaults, the data, the code, and how to repeat it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.changes import flat
from pipelines.reports.markup import Html, code, element, facts, joined, table
from pipelines.reports.numbers import NOTHING, figure

if TYPE_CHECKING:
    from pydantic import BaseModel

PLACES = ("paths.", "run.", "tracking.")
"""How keys begin that say where things are, not what they are."""


KINDS = ("data.kind", "task.kind", "model.kind")
"""Keys that the other settings follow from: the first sentence of a page tells them."""


def default_values(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The default of every setting that has one, by its key; None where this release cannot read them."""
    from pydantic import ValidationError

    from pipelines.settings import Settings

    try:
        settings = Settings.model_validate(dict(config))
    except ValidationError:
        return None
    return dict(_defaults(settings, ""))


def _defaults(options: "BaseModel", prefix: str) -> Iterator[tuple[str, Any]]:
    from pydantic import BaseModel

    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if isinstance(value, BaseModel):
            yield from _defaults(value, f"{prefix}{name}.")
        elif not field.is_required():
            default = field.get_default(call_default_factory=True)
            yield f"{prefix}{name}", default.model_dump() if isinstance(default, BaseModel) else default


def chosen_settings(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings that differ from their defaults, and the others; where things lie counts as the others."""
    defaults = default_values(config) or {}
    chosen: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for key, value in flat(config).items():
        told = key in KINDS
        same = told or (key in defaults and _plain(defaults[key]) == _plain(value))
        (others if same or key.startswith(PLACES) else chosen)[key] = value
    return chosen, others


def _plain(value: Any) -> Any:
    """A value as YAML and JSON hold it: tuples are lists, paths are text."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return value if isinstance(value, bool | int | float | None) else str(value)


def settings_section(config: Mapping[str, Any]) -> Html:
    """What differs from the defaults, with meanings; the rest closed below."""
    from pipelines.mistakes import branch_of
    from pipelines.usage import meanings

    if not config:
        return Html("")
    chosen, others = chosen_settings(config)
    known = meanings(branch_of(dict(config)))
    rows = [[element("code", key), shown(value), known.get(key, "")] for key, value in chosen.items()]
    rest = [[element("code", key), shown(value)] for key, value in others.items()]
    return joined(
        table(["setting", "value", "meaning"], rows, numbers=False)
        if rows
        else element("p", "All defaults."),
        element(
            "details",
            element("summary", f"{len(rest)} settings at their defaults, and places"),
            table(["setting", "value"], rest, numbers=False),
        ),
    )


def shown(value: Any) -> str:
    """A setting's value as it would be typed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(one) for one in value) + "]"
    return str(value)


def settings_beside(configs: Mapping[str, Mapping[str, Any]]) -> Html:
    """The settings in which runs differ, a column a run; places are left out."""
    flats = {name: flat(config) for name, config in configs.items()}
    keys = sorted({key for one in flats.values() for key in one if not key.startswith(PLACES)})
    rows = [
        [element("code", key), *(shown(one[key]) if key in one else NOTHING for one in flats.values())]
        for key in keys
        if len({shown(one.get(key)) for one in flats.values()}) > 1
    ]
    if not rows:
        return element("p", "All settings are the same, but for names and places.")
    return table(["setting", *flats], rows, numbers=False)


def data_section(provenance: Mapping[str, Any]) -> Html:
    """The files, the store, its digest and the splits."""
    data = provenance.get("data")
    store = data.get("store") if isinstance(data, Mapping) else None
    if not isinstance(store, Mapping):
        return Html("")
    known = dict(store)
    splits = known.pop("splits", None)
    pairs = [(_named(name), _short(value)) for name, value in known.items() if value is not None]
    rows = [[split, *_counted(part)] for split, part in splits.items()] if isinstance(splits, Mapping) else []
    head = (
        ["split", "first step", "up to step", "steps"] if rows and len(rows[0]) == 4 else ["split", "clips"]
    )
    same = rows and len({len(row) for row in rows}) == 1 and len(rows[0]) == len(head)
    return joined(facts(pairs), table(head, rows) if same else None)


def _counted(part: Any) -> list[str]:
    """The ends of a stretch of steps and its length, or how many clips."""
    if isinstance(part, Sequence) and not isinstance(part, str):
        if len(part) == 2 and all(isinstance(one, int) for one in part):
            return [f"{part[0]:,}", f"{part[1]:,}", f"{part[1] - part[0]:,}"]
        return [f"{len(part):,}"]
    return [f"{part:,}" if isinstance(part, int) else str(part)]


def _named(name: str) -> str:
    return str(name).replace("_", " ")


def _short(value: Any) -> Html | str:
    """Lists of files short, digests as code."""
    if isinstance(value, Mapping):
        return ", ".join(f"{_named(name)} {str(one)[:16]}" for name, one in value.items() if one is not None)
    if isinstance(value, list | tuple):
        text = ", ".join(str(one) for one in value[:4])
        return text if len(value) <= 4 else f"{text} and {len(value) - 4} more"
    text = str(value)
    hexadecimal = len(text) >= 16 and all(letter in "0123456789abcdef" for letter in text)
    return element("code", text[:16], title=text) if hexadecimal else text


def provenance_section(provenance: Mapping[str, Any]) -> Html:
    """Code, machine, packages, when, and the place in MLflow."""
    if not provenance:
        return Html("")
    version, host = provenance.get("code") or {}, provenance.get("host") or {}
    mlflow = provenance.get("mlflow") or {}
    commit = version.get("commit")
    changed = " with changes since" if version.get("changed") else ""
    packages = provenance.get("packages") or {}
    pairs = [
        ("started", provenance.get("start")),
        ("ended", _ended(provenance)),
        ("code", f"Skyreel {version.get('version')}{f', commit {commit[:12]}{changed}' if commit else ''}"),
        ("machine", _machine(host)),
        ("Python", provenance.get("python")),
        ("packages", ", ".join(f"{name} {number}" for name, number in packages.items())),
        ("seed", provenance.get("seed")),
        ("MLflow", f"{mlflow.get('experiment')}, run {mlflow.get('run_id')}" if mlflow else None),
        ("launches", str(1 + len(provenance.get("earlier") or ()))),
    ]
    return facts(pairs)


def _ended(provenance: Mapping[str, Any]) -> str | None:
    end, status = provenance.get("end"), provenance.get("status")
    return f"{end}, {str(status).lower()}" if end else None


def _machine(host: Mapping[str, Any]) -> str:
    memory = host.get("memory")
    parts = [
        f"{host.get('processors')} processors" if host.get("processors") else "",
        f"{figure(memory / 2**30)} GiB" if isinstance(memory, int | float) else "",
        ", ".join(host.get("gpus") or ()),
        str(host.get("system") or ""),
    ]
    return ", ".join(part for part in parts if part)


def repeat_section(provenance: Mapping[str, Any], again: str | None = None) -> Html:
    """The command that made it; `again`: one that judges or opens it."""
    command = provenance.get("command")
    if not command:
        return Html("")
    commit = (provenance.get("code") or {}).get("commit")
    lines = [f"git checkout {commit}"] if commit else []
    lines.append(shlex.join(str(word) for word in command))
    return joined(
        code("\n".join(lines)),
        joined(element("p", "To judge its checkpoint again:"), code(again)) if again else None,
    )
