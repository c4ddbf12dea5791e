"""What MLflow's own pages say of a run: description, note, tags and the report among its files."""

import shutil
from pathlib import Path

from pipelines.reports.describe import describe_end, describe_start
from pipelines.reports.notes import markdown_table, run_note
from pipelines.rundir import RunDir
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.sender import Destination
from pipelines.tracking.session import tracked
from tests.pipelines.conftest import Trained
from tests.pipelines.reports.decisions import captioner_run
from tests.pipelines.small_files import mlflow_runs

NOTE = "mlflow.note.content"


def test_a_trained_run_is_described_in_mlflow(trained: Trained) -> None:
    client, (run,) = mlflow_runs(trained.folder)
    tags = run.data.tags
    assert (tags["skyreel.kind"], tags["skyreel.task"], tags["skyreel.data"]) == ("train", "forecast", "tiny")
    assert "| air | 6 h |" in tags[NOTE]
    assert "skyreel train" in tags[NOTE]
    assert "report.html" in [item.path for item in client.list_artifacts(run.info.run_id)]
    assert "test/skill" in client.get_experiment(run.info.experiment_id).tags[NOTE]


def test_a_description_that_somebody_wrote_stays(trained: Trained, tmp_path: Path) -> None:
    shutil.copy(trained.folder / "runs" / "mlflow.db", tmp_path / "mlflow.db")  # making one takes seconds
    run = captioner_run(tmp_path, "a", "a man runs")
    to = Destination(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "files"))
    with tracked(run, to, system_every=None, wait=60) as logger:
        describe_start(run, logger)
        describe_end(run, logger)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=to.uri, registry_uri=to.uri)
    experiment = client.get_experiment_by_name("clips")
    assert "test/cider" in experiment.tags[NOTE]
    client.set_experiment_tag(experiment.experiment_id, NOTE, "ours")
    with tracked(run, to, system_every=None, wait=60) as logger:
        describe_start(run, logger)
    assert client.get_experiment_by_name("clips").tags[NOTE] == "ours"


def test_a_run_that_cannot_be_described_goes_on(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "a" / "b")
    run.path.mkdir(parents=True)
    logger = JournalLogger(run)
    describe_start(run, logger)
    (run.path / "report.html").mkdir()
    assert describe_end(run, logger) is None


def test_a_note_is_short_enough_and_its_words_are_no_markup(trained: Trained) -> None:
    note = run_note(trained.run)
    assert len(note) <= 4800
    assert "<" not in markdown_table(["a", "b"], [["<script>", "|"]]).replace("\\<", "")
