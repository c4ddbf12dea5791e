"""All source files looked through once: which variables of which file are packed, and what is refused."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.axes import Layout, Misfit, auxiliary_names, layout_of
from datamodules.gridded.files import Contents, Field, Files
from datamodules.gridded.moments import read_moments
from datamodules.gridded.stills import Still, stills_of
from datamodules.gridded.units import require_equal_units
from datamodules.gridded.unpack import unpack

_MISFIT_ORDER = ("forecast", "dimension", "stations", "time", "grid", "static")


@dataclass(frozen=True, eq=False)
class Part:
    """One variable of one file: where it lies, its levels (None where it has no level) and its moments.

    time: int64 (record,) seconds since 1970 in `calendar`, in the file's order; records whose time is
    missing are not listed, and `record` (record,) holds the positions of the others.
    """

    contents: Contents
    field: Field
    layout: Layout
    levels: tuple[float | None, ...]
    time: np.ndarray
    record: np.ndarray
    calendar: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.contents.path


@dataclass(frozen=True, eq=False)
class Survey:
    """What all files hold: parts in the order of files and variables, maps without time, warnings."""

    parts: tuple[Part, ...]
    stills: tuple[Still, ...]
    warnings: tuple[str, ...]


def survey_files(files: Files, paths: Sequence[Path], variables: Sequence[str] | None) -> Survey:
    """The wanted variables of every file; all that are maps over time in floating point or packed when None.

    variables: names as in the files; "u_500" also asks for variable u. InputError: a variable that no file
    has (the nearest names), that is not a map over time (why), units that disagree, or nothing usable at all.
    """
    parts: list[Part] = []
    stills: list[Still] = []
    warnings: list[str] = []
    refused: list[tuple[Contents, Field, Misfit]] = []
    seen: set[str] = set()
    for path in paths:
        contents = files.inspect(path)
        auxiliary, used = auxiliary_names(contents), len(parts)
        misfits: list[tuple[Contents, Field, Misfit]] = []
        seen.update(
            name
            for name, field in contents.fields.items()
            if field.dtype is not None and name not in auxiliary
        )
        for field in _candidates(contents, auxiliary, variables):
            layout = layout_of(contents, field)
            if isinstance(layout, Layout):
                parts.append(_part(files, contents, field, layout, warnings))
            else:
                misfits.append((contents, field, layout))
        stills += [still for still in stills_of(contents) if still.timeless]
        refused += misfits
        _tell_skipped(path, len(parts) > used, misfits, variables, warnings)
    if variables is not None:
        _require(variables, parts, refused, seen, paths)
    if not parts:
        raise InputError(_nothing_usable(paths, refused))
    units = [(part.field.name, part.field.text("units"), part.path) for part in parts]
    warnings += require_equal_units(units)
    return Survey(tuple(parts), tuple(stills), tuple(warnings))


def asks_for(wanted: str, name: str) -> bool:
    """True where a wanted variable is `name` itself, or one level of it ("u_500")."""
    return wanted == name or re.fullmatch(re.escape(name) + r"_-?\d+(\.\d+)?", wanted) is not None


def is_floating_or_packed(field: Field) -> bool:
    """True for floating numbers and for integers that are scaled ones."""
    packed = {"scale_factor", "add_offset"} & set(field.attributes)
    return field.dtype is not None and (field.dtype.kind == "f" or bool(packed))


def _candidates(contents: Contents, auxiliary: set[str], variables: Sequence[str] | None) -> list[Field]:
    if variables is not None:
        return [
            field for name, field in contents.fields.items() if any(asks_for(one, name) for one in variables)
        ]
    return [
        field
        for name, field in contents.fields.items()
        if name not in auxiliary and is_floating_or_packed(field)
    ]


def _part(files: Files, contents: Contents, field: Field, layout: Layout, warnings: list[str]) -> Part:
    if field.dtype is None:
        raise InputError(
            f"{contents.path}: variable {field.name!r} holds text, not numbers. Choose another variable."
        )
    time, record, calendar = read_moments(files, contents, layout.time, warnings)
    levels: tuple[float | None, ...] = (None,)
    if layout.level is not None:
        level = contents.fields.get(layout.level)
        if level is None:
            levels = tuple(float(n) for n in range(field.size(layout.level)))
        else:
            levels = tuple(
                float(one)
                for one in unpack(files.read_all(contents.path, level), level.attributes).reshape(-1)
            )
    return Part(contents, field, layout, levels, time, record, calendar)


def _tell_skipped(
    path: Path,
    used: bool,
    misfits: list[tuple[Contents, Field, Misfit]],
    variables: Sequence[str] | None,
    warnings: list[str],
) -> None:
    """Warn of what is left out of a file that nobody asked for by name."""
    telling = [misfit for _, _, misfit in misfits if misfit.kind != "static"]
    if variables is None and telling:
        warnings.append(
            f"{path}: left out, {telling[0].reason}." if used else f"{path} is left out: {telling[0].reason}."
        )


def _require(
    variables: Sequence[str],
    parts: list[Part],
    refused: list[tuple[Contents, Field, Misfit]],
    seen: set[str],
    paths: Sequence[Path],
) -> None:
    """InputError unless every wanted variable is a map over time in some file."""
    for wanted in variables:
        if any(asks_for(wanted, part.field.name) for part in parts):
            continue
        reasons = [(contents, misfit) for contents, field, misfit in refused if asks_for(wanted, field.name)]
        if reasons:
            contents, misfit = reasons[0]
            hint = (
                f"{wanted!r} does not change in time: it is static, not a variable to forecast; "
                "give its file as data.static_path instead. (" + misfit.reason + ")"
            )
            raise InputError(f"{contents.path}: {hint if misfit.kind == 'static' else misfit.reason}.")
        near = difflib.get_close_matches(wanted, sorted(seen), n=1, cutoff=0.4)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        where = str(paths[0]) if len(paths) == 1 else f"the {len(paths)} files ({paths[0]}, ...)"
        raise InputError(
            f"data.variables: {where} has no {wanted!r}.{guess} It has: {', '.join(sorted(seen)) or 'none'}."
        )


def _nothing_usable(paths: Sequence[Path], refused: list[tuple[Contents, Field, Misfit]]) -> str:
    if not refused:
        return (
            f"{paths[0]}: no time axis and no grid: it has no variable in floating point or packed "
            "integers that could "
            "be a map over time. Name whole-number variables in data.variables, or give another file."
        )
    contents, _, misfit = min(refused, key=lambda one: _MISFIT_ORDER.index(one[2].kind))
    return f"{contents.path}: {misfit.reason}."
