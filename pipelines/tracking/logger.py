"""What Lightning and the verbs call to tell of a run; everything goes to the journal and nothing waits."""

import json
import logging
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from pipelines.redact import settings_without_secrets, without_secrets
from pipelines.rundir import RunDir, write_text
from pipelines.tracking.journal import Journal
from pipelines.tracking.points import Points

log = logging.getLogger(__name__)


class JournalLogger(Logger):
    """Lightning's logger for a run directory. Every rank may make one; only rank 0 writes.

    No method raises because of tracking, and none waits for a server: whoever runs `tracking.session` sends.
    """

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.run = run
        self.journal = Journal(run.path)
        self._known: Points | None = None

    @property
    def name(self) -> str:
        """The experiment: the folder that the run directory lies in."""
        return self.run.path.parent.name

    @property
    def version(self) -> str:
        """The name of the run directory."""
        return self.run.path.name

    @property
    def save_dir(self) -> str:
        """The folder of all runs, so that `save_dir/name/version` is the run directory."""
        return str(self.run.path.parent.parent)

    @property
    def newest_step(self) -> int:
        """The largest step of train/* and validation/*, of this launch, else of earlier ones, else 0."""
        return self._points.newest_step

    @property
    def _points(self) -> Points:
        """What the journal holds; read before the first point of this launch."""
        if self._known is None:
            self._known = Points(self.journal.path)
        return self._known

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Note the values at `step` (0 when None); NaN and infinities are kept as they are.

        Points that an earlier launch of the run has logged are left out (see `Points`).
        """
        values = {name: number for name, value in metrics.items() if (number := _number(value)) is not None}
        if values := self._points.new(values, int(step or 0)):
            self.journal.append("metrics", metrics=values, step=int(step or 0))

    @rank_zero_only
    def log_hyperparams(
        self, params: Mapping[str, Any] | Namespace | None, *args: Any, **kwargs: Any
    ) -> None:
        """Note nested settings; secrets are left out, long values are cut by the sender."""
        if isinstance(params, Namespace):
            params = vars(params)
        if params:
            self.journal.append("params", params=settings_without_secrets(dict(params)))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Nothing: Lightning calls this after each stage; the run ends when `tracking.session` says so."""

    @rank_zero_only
    def set_tag(self, name: str, value: str) -> None:
        """Note a tag; a later one of the same name overwrites it."""
        self.journal.append("tag", name=name, value=without_secrets(str(value)))

    @rank_zero_only
    def note(self, text: str) -> None:
        """Note the text (Markdown) that MLflow shows on top of the run."""
        self.set_tag("mlflow.note.content", text)

    @rank_zero_only
    def describe_experiment(self, text: str) -> None:
        """Note the text (Markdown) that MLflow shows on top of the experiment; one that is there stays."""
        self.journal.append("about", text=without_secrets(text))

    @rank_zero_only
    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Note a file for `folder` among the artifacts, or a directory (its own name when `folder` is empty).

        The file is read when it is sent: leave it in place. Noted again, it is overwritten.
        """
        self.journal.append("artifact", path=self._relative(path), folder=folder)

    @rank_zero_only
    def log_checkpoints(self) -> None:
        """Note best.ckpt and last.ckpt; call it once, at the end, when they no longer change."""
        for path in (self.run.best, self.run.last):
            if path.exists():
                self.log_artifact(path, "checkpoints")

    @rank_zero_only
    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Note a table that MLflow shows as one: `name`.json among the artifacts under `tables`."""
        path = self.run.tracking / "tables" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.json"
        try:
            write_text(
                path, json.dumps({"columns": list(columns), "data": [list(row) for row in rows]}, default=str)
            )
        except OSError as error:
            log.warning("%s: the table could not be kept (%s); the run goes on", path, error)
            return
        self.journal.append("table", path=self._relative(path), folder="tables")

    @rank_zero_only
    def log_dataset(
        self,
        name: str,
        digest: str,
        source: str,
        context: str,
        schema: Mapping[str, Any] | None = None,
        profile: Mapping[str, Any] | None = None,
    ) -> None:
        """Note a dataset that the run reads; MLflow keeps one per (name, first 36 characters of the digest).

        `context` is its use, such as "training": splits that are to appear apart need a name or digest each.
        """
        self.journal.append(
            "input",
            name=name,
            digest=digest,
            source=without_secrets(source),
            context=context,
            schema=settings_without_secrets(schema),
            profile=settings_without_secrets(profile),
        )

    def _relative(self, path: Path) -> str:
        """The path from the run directory, when it lies there: the directory may move before it is sent."""
        path = Path(path).absolute()
        return str(path.relative_to(self.run.path) if path.is_relative_to(self.run.path) else path)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        log.debug("not a number, and not logged as a metric: %r", value)
        return None
