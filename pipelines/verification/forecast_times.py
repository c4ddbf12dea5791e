"""When a forecast was issued, and for when: reference and lead times in the spellings that files use."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.axes import has_dates
from datamodules.gridded.calendars import month_number, months_later
from datamodules.gridded.clock import DAY
from datamodules.gridded.describe import HOURS_PER_MONTH
from datamodules.gridded.files import Contents, Field, Files
from datamodules.gridded.moments import read_moments
from datamodules.gridded.unpack import unpack

# fmt: off
REFERENCES = (
    "forecast_reference_time", "reference_time", "ref_time", "reftime", "init_time", "init",
    "initial_time", "initialization_time", "initialisation_time", "initialization",
    "initialisation", "analysis_time", "base_time", "basetime", "start_time", "start_date",
    "startdate", "run_time", "runtime", "run", "issue_time", "issued", "model_run",
    "forecast_time0", "initial_time0_hours", "s",
)
LEADS = (
    "forecast_period", "step", "lead", "lead_time", "leadtime", "prediction_timedelta",
    "forecast_hour", "forecast_hours", "fhour", "fhr", "forecast_lead", "forecast_lead_time",
    "forecast_step", "timedelta", "time_delta", "lead_hours", "lead_days", "lead_months",
    "fcst_hour", "horizon", "tau", "l",
)
# fmt: on
VALID = ("time", "valid_time", "validtime", "verification_time", "valid", "date", "t")
SECONDS = {
    "nanosecond nanoseconds ns": 1e-9,
    "microsecond microseconds us": 1e-6,
    "millisecond milliseconds ms": 1e-3,
    "second seconds sec secs s": 1.0,
    "minute minutes min mins m": 60.0,
    "hour hours hr hrs h": 3600.0,
    "day days d": float(DAY),
    "week weeks": 7.0 * DAY,
}
MONTHS = ("month", "months", "mon", "mo")
SLACK = 60
"""Seconds by which a valid time may differ from reference time and lead: coordinates are rounded."""


@dataclass(frozen=True, eq=False)
class ForecastTimes:
    """The times of one file.

    reference: int64 (reference,), valid: int64 (reference, lead), seconds since 1970 in `calendar`.
    lead_names: "6h", "1mo"; lead_hours: hours, a month counting 730.5.
    reference_dim, lead_dim: the dimensions along which they lie; None where there is one only.
    """

    reference: np.ndarray
    valid: np.ndarray
    lead_names: tuple[str, ...]
    lead_hours: tuple[float, ...]
    calendar: str
    reference_dim: str | None
    lead_dim: str | None


def forecast_times(files: Files, contents: Contents, dims: Sequence[str]) -> ForecastTimes:
    """The times of a variable whose dimensions, latitude and longitude aside, are `dims`.

    The reference time is told by its standard name or a usual name, else it is the `time` beside a lead axis;
    the lead by a lead axis, else by the valid times. InputError where the file tells one of them only.
    """
    dated = [one for one in contents.fields.values() if has_dates(one) and set(one.dims) <= set(dims)]
    lead = _lead_field(contents, dims)
    reference = _reference_field(dated, lead)
    valid = _valid_field(dated, reference)
    if reference is None and (lead is None or valid is None):
        raise InputError(_untold(contents, dims, "when its forecasts were issued", REFERENCES))
    if lead is None and valid is None:
        raise InputError(_untold(contents, dims, "for which lead times its forecasts are", LEADS))
    periods = None if lead is None else _periods(files, contents, lead)
    moments, calendar = (None, "") if valid is None else _moments(files, contents, valid)
    if reference is None:
        return _issued_before(contents, lead, periods, moments, calendar)
    issued, calendar = _moments(files, contents, reference)
    reference_dim = _only_dim(contents, reference)
    lead_dim = None if lead is None else _only_dim(contents, lead)
    if valid is not None and lead is None:
        lead_dim = next((dim for dim in valid.dims if dim != reference_dim), None)
    if reference_dim is not None and reference_dim == lead_dim and len(issued.ravel()) > 1:
        raise InputError(
            f"{contents.path}: {reference.name!r} and the lead time both lie along {reference_dim!r}, record "
            "by record. Write it with an axis of reference times and one of lead times (xarray: set_index "
            "and unstack)"
        )
    issued = issued.ravel()
    after = None
    if valid is not None and moments is not None:
        after = _as_table(moments, valid, reference_dim, lead_dim, len(issued))
    if reference_dim == lead_dim:
        reference_dim = None
    return _joined(contents, issued, periods, after, calendar, reference_dim, lead_dim)


def _joined(
    contents: Contents,
    issued: np.ndarray,
    periods: tuple[np.ndarray, bool] | None,
    after: np.ndarray | None,
    calendar: str,
    reference_dim: str | None,
    lead_dim: str | None,
) -> ForecastTimes:
    """Reference times, leads and valid times brought together, whichever of the latter two was told."""
    if periods is None and after is not None:
        periods = _from_valid(contents, issued, after, calendar)
    if periods is None:
        raise InputError(_untold(contents, (), "in which unit its lead times are", LEADS))
    count, monthly = periods
    reckoned = _after(issued, count, monthly, calendar)
    if after is None:
        after = reckoned
    elif after.shape != reckoned.shape or (not monthly and np.abs(after - reckoned).max() > SLACK):
        raise InputError(
            f"{contents.path}: its valid times are not its reference times and lead times added up. Repair "
            "the coordinates, or leave the wrong one out (ncks -C -x -v NAME IN OUT)"
        )
    elif not monthly:
        after = reckoned  # the times of the truth are looked up to the second
    if monthly:
        names, hours = (
            tuple(f"{one:g}mo" for one in count),
            tuple(float(one) * HOURS_PER_MONTH for one in count),
        )
    else:
        hours = tuple(float(one) / 3600 for one in count)
        names = tuple(f"{one:.10g}h" for one in hours)
    return ForecastTimes(issued, after, names, hours, calendar, reference_dim, lead_dim)


def _after(issued: np.ndarray, count: np.ndarray, monthly: bool, calendar: str) -> np.ndarray:
    """Valid times int64 (reference, lead): so many seconds, or calendar months, after."""
    if not monthly:
        return np.asarray(issued[:, None] + np.rint(count).astype(np.int64))
    later = months_later(issued[:, None] // DAY, np.rint(count).astype(np.int64), calendar)
    return np.asarray(later * DAY + issued[:, None] % DAY)


def _from_valid(
    contents: Contents, issued: np.ndarray, after: np.ndarray, calendar: str
) -> tuple[np.ndarray, bool]:
    """The leads by the valid times: seconds where they are the same for all references, else months."""
    seconds = after - issued[:, None]
    if (seconds == seconds[:1]).all():
        return seconds[0].astype(float), False
    months = month_number(after // DAY, calendar) - month_number(issued[:, None] // DAY, calendar)
    if (months == months[:1]).all():
        return months[0].astype(float), True
    raise InputError(
        f"{contents.path}: its lead times differ from one reference time to the next; give files in which "
        "they are the same"
    )


def _issued_before(
    contents: Contents,
    lead: Field | None,
    periods: tuple[np.ndarray, bool] | None,
    moments: np.ndarray | None,
    calendar: str,
) -> ForecastTimes:
    """One forecast that tells its valid times and leads: it was issued at their difference."""
    if lead is None or periods is None or moments is None or periods[1]:
        raise InputError(_untold(contents, (), "when its forecasts were issued", REFERENCES))
    count, valid = periods[0], moments.ravel()
    issued = valid - np.rint(count).astype(np.int64) if len(count) == len(valid) else np.array([0, 1])
    if np.ptp(issued) > SLACK:
        raise InputError(_untold(contents, (), "when its forecasts were issued", REFERENCES))
    return _joined(contents, issued[:1], periods, valid[None], calendar, None, _only_dim(contents, lead))


def _reference_field(dated: Sequence[Field], lead: Field | None) -> Field | None:
    """The variable of reference times: by its standard name, its name, or the time beside a lead axis."""
    declared = [one for one in dated if one.text("standard_name") == "forecast_reference_time"]
    named = [one for one in dated if one.name.lower() in REFERENCES and len(one.dims) <= 1]
    if found := [*declared, *named]:
        return found[0]
    if lead is None or not lead.dims:
        return None
    beside = [one for one in dated if len(one.dims) <= 1 and one.dims != lead.dims]
    usual = [one for one in beside if one.name.lower() in VALID]
    return next(iter([*usual, *beside]), None)


def _valid_field(dated: Sequence[Field], reference: Field | None) -> Field | None:
    """The variable of valid times, where there is one."""
    others = [one for one in dated if one is not reference]
    declared = [one for one in others if one.text("standard_name") == "time"]
    named = [one for one in others if one.name.lower() in VALID]
    return next(iter([*declared, *named]), None)


def _lead_field(contents: Contents, dims: Sequence[str]) -> Field | None:
    """The variable of lead times, by its standard name or a usual name."""
    usable = [
        one
        for one in contents.fields.values()
        if one.dtype is not None and len(one.dims) <= 1 and set(one.dims) <= set(dims) and not has_dates(one)
    ]
    declared = [one for one in usable if one.text("standard_name") == "forecast_period"]
    named = [one for one in usable if one.name.lower() in LEADS]
    return next(iter([*declared, *named]), None)


def _periods(files: Files, contents: Contents, lead: Field) -> tuple[np.ndarray, bool] | None:
    """Lead times float64 (lead,), in seconds or (True) calendar months; None where no unit is told."""
    values = unpack(files.read_all(contents.path, lead), lead.attributes).reshape(-1)
    if not np.isfinite(values).all():
        raise InputError(f"{contents.path}: {lead.name!r} has missing lead times. Leave those out (ncks -d)")
    units = lead.text("units").lower()
    if not units and (kind := lead.text("dtype")).startswith("timedelta64["):
        units = kind.removeprefix("timedelta64[").removesuffix("]")
    if not units:
        units = next((one for one in ("hour", "day", "month") if one in lead.name.lower()), "")
        units = units or ("hour" if lead.name.lower() in ("fhr",) else "")
    if units in MONTHS:
        return values, True
    for names, seconds in SECONDS.items():
        if units in names.split():
            return np.rint(values * seconds), False
    return None


def _moments(files: Files, contents: Contents, field: Field) -> tuple[np.ndarray, str]:
    """The dates of a variable, int64 in its shape, and their calendar."""
    time, _, calendar = read_moments(files, contents, field.name, [])
    if time.size != int(np.prod(field.shape)):
        raise InputError(
            f"{contents.path}: {field.name!r} has missing dates. Leave those records out (ncks -d)"
        )
    return time.reshape(field.shape), calendar


def _as_table(
    moments: np.ndarray, valid: Field, reference_dim: str | None, lead_dim: str | None, references: int
) -> np.ndarray:
    """Valid times (reference, lead) from a variable along one or both of them."""
    along_reference = reference_dim in valid.dims and reference_dim != lead_dim
    if len(valid.dims) == 2 and along_reference and valid.dims[0] != reference_dim:
        moments = moments.T
    if not along_reference:
        return np.broadcast_to(moments.reshape(1, -1), (references, moments.size))
    return moments.reshape(references, -1)


def _only_dim(contents: Contents, field: Field) -> str | None:
    if len(field.dims) > 1:
        raise InputError(
            f"{contents.path}: {field.name!r} lies on ({', '.join(field.dims)}); reference times and lead "
            "times are read along one dimension each"
        )
    return field.dims[0] if field.dims else None


def _untold(contents: Contents, dims: Sequence[str], what: str, names: Sequence[str]) -> str:
    along = f" along ({', '.join(dims)})" if dims else ""
    return (
        f"{contents.path} does not tell {what}{along}. Name a coordinate one of {', '.join(names[:8])}, ... "
        "(xarray: rename), with units such as 'hours since 2020-01-01' (times) or 'hours' (lead times)"
    )
