"""What the tables of registered models have in common: empty cells, mistakes, one row at a time."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from datamodules.errors import InputError

SERVED = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
"""What MLflow's server sets in its environment."""


def rows_of(table: pd.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and cells of each row, without those that hold nothing."""
    for number, row in enumerate(table.to_dict(orient="records")):
        yield number, {str(name): cell for name, cell in row.items() if not _empty(cell)}


def _empty(cell: Any) -> bool:
    if _listed(cell):
        return len(cell) == 0
    return cell is None or cell is pd.NA or cell == "" or cell != cell  # NaN: pandas fills columns with it


def _listed(cell: Any) -> bool:
    return isinstance(cell, (list, tuple, np.ndarray))


@contextmanager
def naming_row(number: int) -> Iterator[None]:
    """Mistakes name the row; they are MLflow's own, which its server answers as the caller's mistakes."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except InputError as error:
        raise MlflowException.invalid_parameter_value(f"row {number}: {error}") from error


def one_of(row: Mapping[str, Any], path: str, instead: str) -> None:
    """Return when a row gives `path`, or `instead` and not both. InputError."""
    given = [name for name in (path, instead) if name in row]
    if len(given) != 1:
        has = "neither" if not given else "both"
        raise InputError(f"needs one of {path} and {instead}; it has {has}")


def as_array(cell: Any, axes: str, name: str, dtype: type) -> np.ndarray:
    """Nested lists or arrays as one array with these axes, NaN for None. InputError when they are uneven."""
    try:
        found: np.ndarray = np.array(_nested(cell), dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: not an array with the axes ({axes}) of numbers: {error}") from error
    if found.ndim != axes.count(",") + 1:
        raise InputError(f"{name}: {found.ndim} axes, not the axes ({axes})")
    return found


def _nested(cell: Any) -> Any:
    """Plain lists of what arrays of arrays hold, as tables read from files may have them."""
    if isinstance(cell, np.ndarray) and cell.dtype != object:
        return cell
    return [_nested(one) for one in cell] if _listed(cell) else np.nan if cell is None else cell


def values_for_answer(values: np.ndarray) -> Any:
    """The array; for an answer over HTTP lists with None where there is no value, which JSON can say."""
    if os.environ.get(SERVED) != "true":
        return values
    whole: np.ndarray = values.astype(object)
    whole[~np.isfinite(values)] = None
    return whole.tolist()
