"""What `--help` says, read from the registry of verbs, from `conf/` and from the options' docstrings."""

import re
from collections.abc import Iterable, Iterator
from textwrap import shorten
from typing import TYPE_CHECKING

from pipelines.compose import CONF, group_choices
from pipelines.mistakes import known_keys, options_of, shown
from pipelines.verbs import ARGUMENTS, VERBS

if TYPE_CHECKING:
    from pydantic import BaseModel

FLAGS = {
    "--help": "this text; after a verb, its settings with their defaults",
    "--version": "the version",
    "--cfg job": "print the composed settings as YAML and stop",
    "--json": "print the result as one JSON object on standard output",
    "--debug": "more log lines, and the whole traceback of a failure",
    "--dry-run": "of retrain: tell what would happen and why, change nothing",
}


def overview() -> str:
    """The help of the whole program."""
    presets = [(name, _about("experiment", name)) for name in group_choices()["experiment"]]
    return "\n".join(
        [
            "usage: skyreel VERB [key=value ...] [--json] [--cfg job] [--help]",
            "",
            "Forecasts maps, captions clips: a CNN reads each frame, a recurrent network reads the sequence.",
            "",
            "verbs",
            *_table((name, verb.summary) for name, verb in VERBS.items()),
            "",
            "presets (experiment=NAME)",
            *_table(presets),
            "",
            "flags",
            *_table(FLAGS.items()),
            "",
            "examples",
            *(f"  {verb.example}" for verb in VERBS.values()),
            "",
            "skyreel VERB --help lists every setting, its default and its meaning.",
            "",
        ]
    )


def verb_usage(name: str) -> str:
    """The help of one verb: its arguments, the groups with their choices, and every key."""
    verb = VERBS[name]
    action = (" [ACTION]" if verb.alone else " ACTION") if verb.actions else ""
    lines = [f"usage: skyreel {name}{action} [key=value ...]", "", verb.summary, "", f"  {verb.example}"]
    if verb.actions:
        lines += ["", "actions", *_table(verb.actions.items())]
    if verb.takes:
        arguments = (
            (f"{key}=", ARGUMENTS[key] + (" (needed)" if key in verb.needs else "")) for key in verb.takes
        )
        lines += ["", "arguments", *_table(arguments)]
    if verb.sweeps:
        lines += _sweep_usage()
    for group, choices in group_choices().items():
        lines += ["", f"{group}=", *_table((choice, _about(group, choice)) for choice in choices)]
    lines += ["", "settings, with their defaults (a preset may choose others: --cfg job prints what holds)"]
    return "\n".join([*lines, *_settings(), ""])


def _sweep_usage() -> list[str]:
    """How a key is given several values, and the keys of the sweep itself."""
    from pipelines.sweeps.options import SweepSettings
    from pipelines.sweeps.space import GRAMMAR

    known = dict(_meanings(SweepSettings, "", None))
    rows = [
        (f"{key}={shown(field.get_default())}", known.get(key, ""))
        for key, field in known_keys(SweepSettings).items()
        if not options_of(field)
    ]
    values = ["", "several values for a key", *_table(GRAMMAR)]
    return [*values, "", "the sweep, with its defaults", *_table(rows)]


def meanings(branch: int | None = None) -> dict[str, str]:
    """What each key means, by its full name: from the line `key: meaning` in its class's docstring.

    branch: as in `known_keys`.
    """
    from pipelines.settings import Settings

    found: dict[str, str] = {}
    for key, meaning in _meanings(Settings, "", branch):
        found.setdefault(key, meaning)
    return found


def _meanings(options: type["BaseModel"], prefix: str, branch: int | None) -> Iterator[tuple[str, str]]:
    text = re.sub(r"\n {8,}", " ", options.__doc__ or "")
    for name, field in options.model_fields.items():
        found = re.search(rf"(?:^|\s|,\s){name}(?:, \w+)*:[ ]+(.+?)(?=[ ]{{3,}}|\n|$)", text)
        if found is not None:
            yield prefix + name, found[1].strip().rstrip(".") + "."
        sections = options_of(field)
        if len(sections) > 1 and branch is not None:
            sections = sections[branch : branch + 1]
        for section in sections:
            yield from _meanings(section, f"{prefix}{name}.", branch)


SYSTEMS = ("of forecasts", "of captions")


def _settings() -> list[str]:
    """One line for each key: first those of every run, then those of either system."""
    rows = [_rows(branch) for branch in range(len(SYSTEMS))]
    shared = [row for row in rows[0] if row in rows[1]]
    lines = _table(shared)
    for title, own in zip(SYSTEMS, rows, strict=True):
        lines += [f" {title}", *_table(row for row in own if row not in shared)]
    return lines


def _rows(branch: int) -> list[tuple[str, str]]:
    """The name and default, and the meaning, of each key of one system."""
    from pipelines.settings import Settings

    known, rows = meanings(branch), []
    for key, field in known_keys(Settings, branch=branch).items():
        if options_of(field) and (field.is_required() or field.default is not None):
            continue
        default = "..." if field.is_required() else shown(field.get_default())
        rows.append((f"{key}={default}", known.get(key, "")))
    return rows


def _about(group: str, choice: str) -> str:
    """The first comment of a choice's file that is no instruction to Hydra."""
    for line in (CONF / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Two columns, the second cut at the width of a page."""
    pairs = list(rows)
    width = min(40, max((len(left) for left, _ in pairs), default=0))
    return [f"  {left:<{width}}  {shorten(right, 100, placeholder=' ...')}".rstrip() for left, right in pairs]
