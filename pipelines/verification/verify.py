"""`verify`: every forecast in somebody's files judged, one reference time after the other, beside references.

Nothing but one forecast's maps, the truth of its times and sums by forecast are in memory.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import GREGORIAN_FROM
from datamodules.gridded.clock import DAY, dates
from datamodules.gridded.discover import find_sources
from datamodules.gridded.units import plain_units
from pipelines.console import progress
from pipelines.retraining.bootstrap import FEWEST_BLOCKS, Interval
from pipelines.verification.climatology_file import Climatology
from pipelines.verification.forecast_file import ForecastFile, open_forecast
from pipelines.verification.skill_intervals import overlap, skill_block, skill_intervals
from pipelines.verification.sums import FORECAST, Maps, Sums, scores_of, sums_of
from pipelines.verification.truth import Truth

log = logging.getLogger(__name__)

CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Verification:
    """What the forecasts scored.

    scores: who -> metric -> float64 (lead, variable); who is "forecast", "persistence", "climatology".
    skill: reference -> intervals by lead, then variable.     reference_times: ISO, in order.
    judged: int64 (lead,), how many forecasts had a truth at this lead.     block: forecasts drawn together.
    """

    variables: tuple[str, ...]
    units: tuple[str, ...]
    lead_names: tuple[str, ...]
    lead_hours: tuple[float, ...]
    scores: Mapping[str, Mapping[str, np.ndarray]]
    skill: Mapping[str, list[list[Interval]]]
    reference_times: tuple[str, ...]
    judged: np.ndarray
    block: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Case:
    """One forecast: when it was issued, and its sums by who and what, (lead, channel) each."""

    issued: int
    sums: Mapping[str, Sums]


def verify(forecast: str, truth: str, climatology: str | None = None, seed: int = 0) -> Verification:
    """The scores of all forecasts in the files that `forecast` names, by the files that `truth` names.

    Errors: InputError for files that do not tell their times, or that differ in variables, units, cells,
    lead times or calendar; for a reference time that comes twice; where no forecast has a truth.
    """
    paths = find_sources(forecast, "forecast")
    warnings: list[str] = []
    first = open_forecast(paths[0])
    try:
        happened = Truth(truth, first)
        usual = Climatology(climatology, happened) if climatology is not None else None
    except BaseException:
        first.close()
        raise
    warnings += [*first.warnings, *happened.warnings]
    try:
        with progress("judging forecasts") as advance:
            cases: list[_Case] = []
            for number, path in enumerate(paths):
                file = first if number == 0 else _like(open_forecast(path), first)
                warnings += _require_units(file, first, happened)
                cases += _cases(file, happened, usual)
                file.close()
                advance(number + 1, len(paths))
    finally:
        happened.close()
        if usual is not None:
            usual.close()
    cases.sort(key=lambda case: case.issued)
    _require_once(cases, happened.calendar)
    return _verification(first, happened, cases, warnings, seed)


def _like(file: ForecastFile, first: ForecastFile) -> ForecastFile:
    """The file, when it forecasts what the first one does. InputError otherwise."""
    names, others = ([channel.name for channel in one.channels] for one in (first, file))
    calendars = [_one_gregorian(one) for one in (first, file)]
    for what, ours, theirs in (
        ("variables", names, others),
        ("lead times", first.times.lead_names, file.times.lead_names),
        ("cells", (first.lat.tolist(), first.lon.tolist()), (file.lat.tolist(), file.lon.tolist())),
        ("spread", first.has_spread, file.has_spread),
        ("days (its calendar)", *calendars),
    ):
        if ours != theirs:
            file.close()
            raise InputError(
                f"forecast: {file.path} has other {what} than {first.path}; judge them one by one"
            )
    return file


def _require_units(file: ForecastFile, first: ForecastFile, truth: Truth) -> list[str]:
    """Warnings on variables without units. InputError where the file has others than the truth."""
    told = []
    for place, happened in zip(truth.chosen, truth.channels, strict=True):
        theirs, wanted = file.channels[place], happened.units or first.channels[place].units
        if theirs.units and wanted and plain_units(theirs.units) != plain_units(wanted):
            file.close()
            raise InputError(
                f"forecast: {theirs.name!r} of {file.path} is in {theirs.units!r}, wanted is {wanted!r}; "
                "convert it (cdo mulc, addc and setunit)"
            )
        if file is not first and wanted and not theirs.units:
            told.append(f"{theirs.name!r} has no units in {file.path}; they are taken to be {wanted!r}")
    return told


def _one_gregorian(file: ForecastFile) -> str:
    """The calendar; the two Gregorian ones are one since the reform."""
    calendar = file.times.calendar
    modern = int(file.times.reference.min()) >= GREGORIAN_FROM * DAY
    return "standard" if calendar == "proleptic_gregorian" and modern else calendar


def _cases(file: ForecastFile, truth: Truth, climatology: Climatology | None) -> Iterator[_Case]:
    """Each forecast of a file that has any truth."""
    for place, issued in enumerate(file.times.reference.tolist()):
        parts: dict[str, dict[str, list[np.ndarray]]] = {}
        for leads in file.blocks():
            for who, sums in _block_sums(file, place, issued, leads, truth, climatology).items():
                for name, values in sums.items():
                    parts.setdefault(who, {}).setdefault(name, []).append(values)
        yield _Case(
            issued,
            {
                who: {name: np.concatenate(values) for name, values in sums.items()}
                for who, sums in parts.items()
            },
        )


def _block_sums(
    file: ForecastFile,
    place: int,
    issued: int,
    leads: slice,
    truth: Truth,
    climatology: Climatology | None,
) -> dict[str, Sums]:
    """Sums of some lead times of one forecast."""
    when = file.times.valid[place, leads].tolist()
    maps, spread = file.read(place, leads)
    chosen = list(truth.chosen)
    ours = truth.cells.of_theirs(maps[:, chosen])
    missing = np.full(ours.shape[1:], np.nan, np.float32)
    happened = np.stack([missing if (found := truth.at(time)) is None else found for time in when])
    last = truth.at(issued)
    references = {"persistence": np.broadcast_to(missing if last is None else last, ours.shape)}
    usual = None
    if climatology is not None:
        usual = np.stack([climatology.at(time) for time in when])
        references["climatology"] = usual
    uncertain = None if spread is None else truth.cells.of_theirs(spread[:, chosen])
    return sums_of(Maps(ours, happened, usual, references, uncertain), truth.cells.cell_area)


def _require_once(cases: list[_Case], calendar: str) -> None:
    """InputError when two forecasts were issued at the same time."""
    for one, other in pairwise(cases):
        if one.issued == other.issued:
            when = dates(np.array([one.issued]), calendar)[0]
            raise InputError(f"forecast: the reference time {when} comes twice; give each forecast once")


def _verification(
    file: ForecastFile, truth: Truth, cases: list[_Case], warnings: list[str], seed: int
) -> Verification:
    """Sums of all forecasts turned into scores, skill and intervals."""
    stacked = {
        who: {name: np.stack([case.sums[who][name] for case in cases]) for name in cases[0].sums[who]}
        for who in cases[0].sums
    }
    weight = stacked[FORECAST]["weight"]
    known = weight.sum(axis=2) > 0  # (case, lead)
    if not known.any():
        issued = dates(np.array([cases[0].issued, cases[-1].issued]), truth.calendar)
        raise InputError(
            f"forecast: none of the {len(cases)} forecasts, issued {issued[0]} to {issued[1]}, has a truth "
            f"at its valid times; the truth goes from {truth.span}"
        )
    warnings += _lacking(file, stacked[FORECAST], known)
    kept = known.any(axis=1)
    scores = {
        who: scores_of({name: values.sum(axis=0) for name, values in sums.items()})
        for who, sums in stacked.items()
    }
    issued = np.array([case.issued for case in cases])[kept]
    names = [who for who in stacked if who != FORECAST and stacked[who]["weight"].any()]
    ours, theirs = (
        {who: stacked[who][name][kept].reshape(len(issued), -1) for who in names}
        for name in ("ours", "squared")
    )
    least = overlap(issued, max(file.times.lead_hours))
    block = max((skill_block(ours[who], theirs[who], least) for who in names), default=least)
    if len(issued) < FEWEST_BLOCKS * block:
        warnings.append(
            f"no intervals: errors hang together over {block} forecasts, and {len(issued)} are fewer than "
            f"{FEWEST_BLOCKS} such blocks; {FEWEST_BLOCKS * block} forecasts could tell"
        )
    width = len(truth.channels)
    skills = {}
    for who in names:
        flat = skill_intervals(ours[who], theirs[who], block, CONFIDENCE, seed)
        skills[who] = [flat[place : place + width] for place in range(0, len(flat), width)]
    return Verification(
        variables=tuple(file.channels[place].name for place in truth.chosen),
        units=tuple(
            channel.units or file.channels[place].units
            for place, channel in zip(truth.chosen, truth.channels, strict=True)
        ),
        lead_names=file.times.lead_names,
        lead_hours=file.times.lead_hours,
        scores={who: scores[who] for who in (FORECAST, *names)},
        skill=skills,
        reference_times=tuple(dates(issued, truth.calendar)),
        judged=known.sum(axis=0),
        block=block,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _lacking(file: ForecastFile, sums: Sums, known: np.ndarray) -> list[str]:
    """What a reader of the figures must know is not in them."""
    told = []
    if not known.all():
        told.append(f"{int((~known).sum())} of {known.size} forecast maps have no truth and are not judged")
    missing = float(sums["missing"].sum() / max(sums["known"].sum(), 1))
    if missing > 0:
        told.append(
            f"the forecast is missing in {missing:.1%} of the values that happened; they are not judged"
        )
    if any(one.member_dim for one in file.variables):
        told.append("an ensemble is judged by its mean, its CRPS as a Gaussian's of its members' deviation")
    return told
