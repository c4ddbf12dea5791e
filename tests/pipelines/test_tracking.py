"""Tracking reaches MLflow exactly once, whatever happens to the server, and never slows or ends a run."""

import contextlib
import json
import logging
import time
from pathlib import Path

import psutil
import pytest
from pytorch_lightning.utilities import rank_zero_only

from datamodules.errors import InputError
from pipelines import provenance
from pipelines.rundir import RunDir, write_text
from pipelines.tracking.journal import Sent, read
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.sender import Destination, Outbox, sender_lock
from pipelines.tracking.server import clean_name, load_mlflow
from pipelines.tracking.session import tracked
from pipelines.tracking.sync import send_pending, sync
from pipelines.tracking.system import SystemSampler
from tests.pipelines.mlflow_servers import client, everything, free_port, tell_everything, wait_for

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Destination:
    """A real MLflow database; each test has an experiment of its own in it."""
    folder = tmp_path_factory.mktemp("mlflow")
    to = Destination(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "mlartifacts"))
    load_mlflow(to.uri, to.timeout)
    client(to).search_experiments()
    return to


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> RunDir:
    folder = tmp_path / request.node.name / "a"
    folder.mkdir(parents=True)
    return RunDir(folder)


def test_all_that_a_run_tells_is_in_mlflow(run: RunDir, database: Destination) -> None:
    with tracked(run, database, system_every=None, wait=60, tags={"mlflow.user": "me"}) as logger:
        tell_everything(logger)
    found = everything(database, run)
    assert found["status"] == "FINISHED"
    assert found["history"]["train/loss"] == [(step, str(1 / (step + 1))) for step in range(2500)]
    assert set(found["history"]) == {"train/loss", "test/rmse/air/24h", "not/a number", "odd_ name"}
    assert found["params"]["model.kind"] == "convgru"
    assert len(found["params"]["text"]) == 500
    assert found["tags"]["mlflow.user"] == "me"
    assert found["tags"]["mlflow.note.content"] == "A first run."
    assert "tables/skill.json" in found["tags"]["mlflow.loggedArtifacts"]
    assert found["inputs"] == [("ncep", "abc", "training")]
    assert found["artifacts"] == ["checkpoints", "config.yaml", "tables"]
    assert provenance.read(run)["mlflow"]["run_id"] == found["id"]
    assert provenance.read(run)["status"] == "FINISHED"


def test_sending_again_after_a_crash_changes_nothing(run: RunDir, database: Destination) -> None:
    with tracked(run, database, system_every=None, wait=60) as logger:
        tell_everything(logger)
    before = everything(database, run)
    sent = Sent.load(run.path, database.shown)
    journal = run.tracking / "journal.jsonl"
    for offset in (read(journal, 0, limit=1000)[-1].end, 0):
        Sent(sent.uri, offset, sent.run_id if offset else None).save(run.path)
        result = send_pending(run, database)
        assert result.left == 0
        assert result.sent > 1000
        assert everything(database, run) == before


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")]
)
def test_how_a_run_ended_is_told_apart(
    run: RunDir, database: Destination, error: type[BaseException], status: str
) -> None:
    with pytest.raises(error), tracked(run, database, system_every=None, wait=60):
        raise error
    send_pending(run, database)  # what a busy machine did not send within the wait of a stopped run
    assert everything(database, run)["status"] == status
    assert provenance.read(run)["status"] == status


def test_a_run_that_goes_on_is_one_run_and_runs_again(run: RunDir, database: Destination) -> None:
    with contextlib.suppress(SystemExit), tracked(run, database, system_every=None, wait=60) as logger:
        logger.log_hyperparams({"trainer": {"max_steps": 10}})
        logger.log_metrics({"x": 1.0}, 1)
        raise SystemExit
    with tracked(run, database, system_every=None, wait=60) as logger:
        logger.log_hyperparams({"trainer": {"max_steps": 20}})
        wait_for(lambda: everything(database, run)["status"] == "RUNNING", 30)
        logger.log_metrics({"x": 2.0}, 2)
    found = everything(database, run)
    assert found["status"] == "FINISHED"
    assert found["history"]["x"] == [(1, "1.0"), (2, "2.0")]
    assert found["params"] == {"trainer.max_steps": "10"}
    assert found["tags"]["changed.trainer.max_steps"] == "20"


def test_a_run_whose_sender_is_killed_is_sent_by_another(run: RunDir, database: Destination) -> None:
    with tracked(run, database, system_every=None, wait=60) as logger:
        for step in (1, 2):
            logger.log_metrics({"x": float(step)}, step)
            wait_for(lambda: bool(senders()), 30)
            for sender in senders():
                sender.kill()
    found = everything(database, run)
    assert found["status"] == "FINISHED"
    assert found["history"]["x"] == [(1, "1.0"), (2, "2.0")]


def senders() -> list[psutil.Process]:
    """The living processes that send for runs of this process."""
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in alive if "pipelines.tracking.process" in "".join(one.cmdline())]


def test_a_run_made_offline_is_sent_later_with_its_own_times(run: RunDir, database: Destination) -> None:
    with tracked(run, None, system_every=None) as logger:
        logger.log_metrics({"x": 1.0}, 1)
    lines = [json.loads(line) for line in (run.tracking / "journal.jsonl").read_text().splitlines()]
    write_text(run.config, "seed: 0\n")
    runs = run.path.parent.parent
    (result,) = sync(str(run.path), runs, database)
    found = everything(database, run)
    assert (result.sent, result.left, result.run_id) == (3, 0, found["id"])
    assert (found["start"], found["end"]) == (lines[0]["time"], lines[-1]["time"])
    assert found["status"] == "FINISHED"
    assert provenance.read(run)["mlflow"]["run_id"] == found["id"]
    assert [item.sent for item in sync(None, runs, database)] == [0]


def test_a_run_whose_process_died_is_ended_as_killed(run: RunDir, database: Destination) -> None:
    logger = JournalLogger(run)
    logger.journal.start(logger.name, "a", {})
    logger.log_metrics({"x": 1.0}, 1)
    logger.journal.close()
    send_pending(run, database)
    assert everything(database, run)["status"] == "KILLED"


def test_two_senders_never_work_on_one_run(run: RunDir, database: Destination) -> None:
    with tracked(run, None, system_every=None):
        pass
    with sender_lock(run.path) as lock:
        assert lock.acquire()
        with pytest.raises(InputError, match="sends this run"):
            send_pending(run, database)


def test_a_refused_record_is_put_aside_and_the_rest_passes(run: RunDir, database: Destination) -> None:
    with tracked(run, database, system_every=None, wait=60) as logger:
        logger.log_metrics({"x": 1.0}, 1)
        logger.journal.append("metrics", metrics={"bad": "a word"}, step=2)
        logger.log_artifact(run.path / "not-there.png")
        logger.log_metrics({"x": 3.0}, 3)
    assert everything(database, run)["history"]["x"] == [(1, "1.0"), (3, "3.0")]
    refused = [json.loads(line) for line in (run.tracking / "refused.jsonl").read_text().splitlines()]
    assert [item["record"]["kind"] for item in refused] == ["metrics", "artifact"]


def test_a_server_that_lost_the_run_gets_all_of_it_again(run: RunDir, database: Destination) -> None:
    with tracked(run, None, system_every=None) as logger:
        logger.log_metrics({"x": 1.0}, 1)
    size = (run.tracking / "journal.jsonl").stat().st_size
    Sent(database.shown, size, "0" * 32).save(run.path)
    outbox = Outbox(run.path, database)
    assert outbox.left() == 0
    while outbox.send():
        pass
    assert everything(database, run)["history"]["x"] == [(1, "1.0")]


def test_a_server_that_is_absent_costs_a_run_one_line_and_the_wait_at_its_end(
    run: RunDir, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Destination(f"http://127.0.0.1:{free_port()}", timeout=1)
    begin = time.monotonic()
    with caplog.at_level(logging.INFO), tracked(run, nowhere, system_every=None, wait=4) as logger:
        for step in range(100):
            logger.log_metrics({"x": 1.0}, step)
    assert time.monotonic() - begin < 8
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([line for line in told if "does not take records now" in line]) == 1
    assert f"`skyreel review sync run={run.path}`" in told[-1]
    assert told[-1].startswith("102 tracking records")


def test_only_rank_zero_writes(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = JournalLogger(run)
    logger.log_metrics({"x": 1.0}, 1)
    logger.log_hyperparams({"seed": 1})
    logger.log_artifact(run.config)
    assert not list(run.path.iterdir())


def test_the_machine_is_sampled_under_the_names_of_mlflow(run: RunDir) -> None:
    journal = JournalLogger(run).journal
    sampler = SystemSampler(journal, begin=time.time(), every=0.05)
    sampler.start()
    wait_for(lambda: len(read(journal.path, 0)) >= 3, 10)
    sampler.close()
    journal.close()
    samples = [entry.record for entry in read(journal.path, 0) if entry.record]
    names = set(samples[0]["metrics"])
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= names
    steps = [sample["step"] for sample in samples]
    assert steps == sorted(steps)
    assert len(set(steps)) == len(steps)


@pytest.mark.parametrize(
    ("name", "clean"),
    [("a b/c.d-e_f", "a b/c.d-e_f"), ("rmse(air)", "rmse_air_"), ("/a//b", "a/b"), ("..", "_")],
)
def test_names_are_made_acceptable_to_mlflow(name: str, clean: str) -> None:
    assert clean_name(name) == clean
