"""A run told to people: tags and texts for MLflow's own pages, and report.html in its directory."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.rundir import RunDir

if TYPE_CHECKING:
    from pipelines.tracking.logger import JournalLogger

log = logging.getLogger(__name__)

REPORT = "report.html"


def describe_start(run: RunDir, logger: "JournalLogger") -> None:
    """Note the tags of a run that begins and the description of its experiment. Never raises."""
    from pipelines import provenance
    from pipelines.reports.notes import experiment_note, run_tags

    try:
        config = run.read_config()
        for name, value in run_tags(config).items():
            logger.set_tag(name, value)
        logger.describe_experiment(experiment_note(config, provenance.read(run).get("command") or ()))
    except Exception:
        log.exception("%s: the run could not be described; it goes on", run.path)


def describe_end(run: RunDir, logger: "JournalLogger") -> Path | None:
    """Note the results of a run that has them, and its report.html; returns that. Never raises."""
    from pipelines.reports.notes import run_note
    from pipelines.reports.report import report_page

    try:
        logger.note(run_note(run))
        page = report_page([run], run.path / REPORT)
        logger.log_artifact(page)
    except Exception:
        log.exception("%s: the page of the run could not be made; its figures are in metrics.json", run.path)
        return None
    return page
