"""score forecast=: anybody's forecasts judged by what happened."""

import logging
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from pipelines.verbs import Call
from pipelines.verification.tables import as_plain, show, write_csv
from pipelines.verification.verify import verify

log = logging.getLogger(__name__)


def score_forecasts(call: Call) -> dict[str, Any]:
    """The verb: scores of `forecast=` by `truth=` beside persistence and, where given, `climatology=`.

    Keys: see `tables.as_plain`; output, the CSV file, where it was asked for.
    Errors: InputError (exit 2) for files that cannot be judged by one another.
    """
    output = None if call.output is None else Path(call.output)
    if output is not None and output.suffix.lower() != ".csv":
        raise InputError(f"output={output}: scores are written as CSV; name a file that ends in .csv")
    if output is not None and not output.parent.is_dir():
        raise InputError(
            f"output={output}: the folder {output.parent} does not exist; make it, or name another"
        )
    found = verify(call.forecast or "", call.truth or "", call.climatology, call.settings.seed)
    for warning in found.warnings:
        log.warning(warning)
    result = as_plain(found)
    if output is not None:
        result["output"] = str(write_csv(output, found))
    if not call.json:
        from rich.console import Console

        show(found, Console())
    return result
