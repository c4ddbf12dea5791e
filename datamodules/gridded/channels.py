"""Channels named: variables and their levels, grouped as they lie together in the files."""

from collections.abc import Sequence
from dataclasses import dataclass

from datamodules.errors import InputError
from datamodules.gridded.describe import Channel
from datamodules.gridded.survey import Part, asks_for


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that one read of a variable gives: the same variable and the same levels in every part.

    picks: for each channel its position among the part's levels.
    """

    parts: tuple[Part, ...]
    channels: tuple[Channel, ...]
    picks: tuple[int, ...]


def choose_channels(
    parts: Sequence[Part], variables: Sequence[str] | None, levels: Sequence[float] | None
) -> tuple[list[Group], list[str]]:
    """The groups in the order asked for, else of the files, and warnings.

    A variable with one level keeps its name; with several, in one file or over several, each channel is
    called VARIABLE_LEVEL. `levels` chooses among several; a variable without levels is not touched by it.
    InputError: a level that no variable has, levels that change between files.
    """
    by_name: dict[str, list[Part]] = {}
    for part in parts:
        by_name.setdefault(part.field.name, []).append(part)
    names = list(by_name)
    if variables is not None:
        ranks = {name: min(i for i, one in enumerate(variables) if asks_for(one, name)) for name in names}
        names = sorted(names, key=lambda name: ranks[name])
    groups: list[Group] = []
    offered: set[float] = set()
    met: set[float] = set()
    for name in names:
        sets = _level_sets(by_name[name])
        several = sum(len(one) for one in sets) > 1
        for found, owners in sets.items():
            named = [
                (position, level, _channel_name(name, level, several)) for position, level in enumerate(found)
            ]
            chosen = []
            for position, level, label in named:
                if several and level is not None:
                    offered.add(level)
                    if levels is not None and not _among(level, levels):
                        continue
                    met.add(level)
                if variables is None or name in variables or label in variables:
                    chosen.append((position, _channel(owners[0], level, label)))
            if chosen:
                channels = tuple(channel for _, channel in chosen)
                groups.append(Group(tuple(owners), channels, tuple(position for position, _ in chosen)))
    _require_levels(levels, offered, met, parts)
    if not groups:
        raise InputError(
            f"data.variables, data.levels: {parts[0].path} has none of {', '.join(variables or [])} "
            "at these levels. "
            f"It has the levels {_listed(offered)}."
        )
    if levels is not None and not offered:
        return groups, ["data.levels is set, but no variable has several levels."]
    return groups, []


def _level_sets(parts: Sequence[Part]) -> dict[tuple[float | None, ...], list[Part]]:
    """Parts of one variable by their levels; sets that overlap without being equal are refused."""
    sets: dict[tuple[float | None, ...], list[Part]] = {}
    for part in parts:
        sets.setdefault(part.levels, []).append(part)
    taken: dict[float | None, Part] = {}
    for found, owners in sets.items():
        for level in found:
            if level in taken:
                raise InputError(
                    f"levels of {owners[0].field.name!r} change between files: "
                    f"{_listed(taken[level].levels)} in "
                    f"{taken[level].path}, {_listed(found)} in {owners[0].path}. Give files with the "
                    "same levels."
                )
            taken[level] = owners[0]
    if len(sets) > 1 and (None,) in sets:
        other = next(owners[0] for found, owners in sets.items() if found != (None,))
        raise InputError(
            f"{other.field.name!r} has levels in {other.path} but none in {sets[(None,)][0].path}. "
            "Rename one of them (ncrename -v), or leave one file out."
        )
    return sets


def _channel_name(variable: str, level: float | None, several: bool) -> str:
    return variable if level is None or not several else f"{variable}_{level:.10g}"


def _channel(part: Part, level: float | None, name: str) -> Channel:
    field = part.field
    return Channel(
        name, field.name, level, field.text("units"), field.text("standard_name"), field.text("long_name")
    )


def _among(level: float, levels: Sequence[float]) -> bool:
    return any(abs(level - one) <= 1e-6 * max(abs(one), 1.0) for one in levels)


def _require_levels(
    levels: Sequence[float] | None, offered: set[float], met: set[float], parts: Sequence[Part]
) -> None:
    for level in levels or ():
        if offered and not any(_among(one, [level]) for one in met):
            unit = next(
                (
                    part.contents.fields[str(part.layout.level)].text("units")
                    for part in parts
                    if part.layout.level in part.contents.fields and len(part.levels) > 1
                ),
                "",
            )
            raise InputError(
                f"data.levels: no variable of {parts[0].path} has the level {level:g}. "
                f"Allowed: {_listed(offered)} {unit}".rstrip()
                + "."
            )


def _listed(levels: Sequence[float | None] | set[float]) -> str:
    return ", ".join("none" if level is None else f"{level:g}" for level in levels) or "none"
