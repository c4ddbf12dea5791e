"""`skyreel review report`: one run, or several side by side, as one HTML file."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from pipelines.find_run import find_run
from pipelines.rundir import RunDir, write_text
from pipelines.verbs import Call

log = logging.getLogger(__name__)

MOST_RUNS = 8


def report(call: Call) -> dict[str, Any]:
    """Write the page of `run=`, or of `runs=` side by side, to `output=`. Returns output, runs, bytes."""
    runs = named_runs(call)
    output = Path(call.output) if call.output else runs[0].path / "report.html"
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"output={output}: the report is an HTML page; name a file that ends in .html")
    if not output.parent.is_dir():
        raise InputError(
            f"output={output}: the folder {output.parent} does not exist; make it, or name another"
        )
    report_page(runs, output)
    size = output.stat().st_size
    if not call.json:
        log.info("%s: %.1f MB, complete in itself", output, size / 1e6)
    return {"output": str(output), "runs": [str(run.path) for run in runs], "bytes": size}


def named_runs(call: Call) -> list[RunDir]:
    """The runs of a call, each once, in its order. InputError for none, too many, or one that is unknown."""
    words = [word.strip() for word in (call.runs or "").split(",") if word.strip()]
    if call.run:
        words.insert(0, call.run)
    found = [find_run(word, Path(call.settings.paths.runs)) for word in words]
    runs = list({run.path: run for run in found}.values())
    if not runs:
        raise InputError("review report: which run? run=RUN, or runs=RUN,RUN for several side by side")
    if len(runs) > MOST_RUNS:
        raise InputError(
            f"runs: {len(runs)} do not fit side by side, at most {MOST_RUNS} do; review compare takes more"
        )
    if len(runs) > 1 and not call.output:
        raise InputError("review report: several runs need output=FILE.html, for none of them is its place")
    return runs


def report_page(runs: Sequence[RunDir], output: Path) -> Path:
    """Publish the page of one run, or of several side by side; returns `output`."""
    from pipelines.reports.run_page import run_page
    from pipelines.reports.runs_page import runs_page

    write_text(output, run_page(runs[0]) if len(runs) == 1 else runs_page(runs))
    return output
