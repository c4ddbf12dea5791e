"""train: one command from NetCDF files to a run directory that explains itself."""

import csv
import json
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from pipelines.forecasts.data import open_data
from pipelines.forecasts.kept import kept_model
from pipelines.forecasts.model import build_module, domain_of
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.weights import load_weights
from tests.pipelines.conftest import Trained
from tests.pipelines.small_files import (
    answer,
    losses,
    mlflow_runs,
    result,
    start,
    steps_of,
    words,
    write_maps,
    write_series,
)

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

MODELS = {"skyreel", "persistence", "damped_persistence", "climatology", "linear"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with maps of 300 steps."""
    write_maps(tmp_path / "air.nc", steps_of(300))
    return tmp_path


def untracked(folder: Path, *more: str) -> list[str]:
    return words(folder, "tracking=off", *more)


def test_the_run_directory_holds_all_that_scripts_rely_on(trained: Trained) -> None:
    run = trained.run
    assert run.path == trained.folder / "runs" / "tiny" / "a"
    assert sorted(item.name for item in run.path.iterdir() if not item.name.startswith(".")) == [
        "checkpoints",
        "config.yaml",
        "log.txt",
        "metrics.json",
        "model",
        "plots",
        "predictions",
        "provenance.json",
        "report.html",
        "skill.csv",
        "tracking",
    ]
    names = sorted(item.name for item in run.checkpoints.iterdir())
    assert names == ["SHA256SUMS", "best.ckpt", "last.ckpt", "previous.ckpt"]
    assert {item.suffix for item in run.plots.iterdir()} == {".png"}
    config = yaml.safe_load(run.config.read_text())
    assert (config["data"]["path"], config["trainer"]["max_epochs"]) == (str(trained.maps), 2)
    assert "epoch 1" in run.log.read_text()


def test_the_figures_stand_beside_those_of_every_reference(trained: Trained) -> None:
    metrics = json.loads(trained.run.metrics.read_text())
    assert metrics == trained.result["metrics"]
    for lead in ("6h", "12h"):
        rmse = metrics[f"test/rmse/air/{lead}"]
        for reference in MODELS - {"skyreel"}:
            other = metrics[f"reference/{reference}/rmse/air/{lead}"]
            assert metrics[f"test/skill_{reference}/air/{lead}"] == pytest.approx(1 - rmse / other)
        assert rmse < metrics[f"reference/persistence/rmse/air/{lead}"]
    with trained.run.skill.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["variable", "lead_hours", "metric", "model", "value"]
    assert {row["model"] for row in rows} == MODELS
    assert {float(row["lead_hours"]) for row in rows} == {6.0, 12.0}


def test_provenance_names_code_packages_command_host_and_data(trained: Trained) -> None:
    found = json.loads(trained.run.provenance.read_text())
    assert found["code"]["version"]
    assert torch.__version__.startswith(found["packages"]["torch"])
    assert found["command"][:2] == ["skyreel", "train"]
    assert found["host"]["processors"] >= 1
    store = Path(found["data"]["store"]["path"])
    assert json.loads((store / "store.json").read_text())["digest"] == found["data"]["store"]["digest"]
    assert (found["status"], found["seed"]) == ("FINISHED", 3)
    assert found["mlflow"]["run_id"] == trained.result["mlflow_run_id"]


def test_mlflow_has_one_finished_run_with_everything(trained: Trained) -> None:
    client, runs = mlflow_runs(trained.folder)
    (run,) = runs
    assert run.info.run_id == trained.result["mlflow_run_id"]
    assert run.info.status == "FINISHED"
    assert run.data.params["task.history"] == "3"
    assert run.data.metrics["test/rmse/air/6h"] == trained.result["metrics"]["test/rmse/air/6h"]
    assert len(client.get_metric_history(run.info.run_id, "validation/loss")) == 2
    kept = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert kept >= {"config.yaml", "skill.csv", "provenance.json", "plots", "tables"}
    checkpoints = [item.path for item in client.list_artifacts(run.info.run_id, "checkpoints")]
    assert checkpoints == ["checkpoints/best.ckpt", "checkpoints/last.ckpt"]
    contexts = {tag.value for item in run.inputs.dataset_inputs for tag in item.tags}
    assert contexts == {"train", "validation", "test"}
    assert any(name.startswith("system/") for name in run.data.metrics)


def test_the_best_checkpoint_holds_the_weights_that_were_validated(trained: Trained) -> None:
    settings = Settings.model_validate(trained.run.read_config())
    data = open_data(settings.data, Path(settings.paths.stores), settings.task)
    fitted = kept_model(trained.run)[1]
    module = build_module(settings, domain_of(data.store, settings.task.horizon), fitted)
    load_weights(module, trained.run.best)
    windows = data.windows(settings.task, settings.data.batch_size, 0, settings.seed)
    with torch.inference_mode():
        for number, batch in enumerate(windows.val_dataloader()):
            module.validation_step(batch, number)
    best = min(one["validation/loss"] for one in losses(trained.run) if "validation/loss" in one)
    assert float(module.validation_loss.compute()) == pytest.approx(best, rel=1e-6)


def test_the_same_command_again_shows_the_result_and_trains_nothing(trained: Trained) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.run.path.rglob("*") if path.is_file()}
    status, again, said = answer("train", *trained.words)
    assert (status, again) == (0, trained.result)
    assert "is finished" in said
    changed = [path.name for path, when in before.items() if path.stat().st_mtime_ns != when]
    assert changed in ([], [".lock"])


def test_other_settings_under_the_name_of_a_run_are_refused(trained: Trained) -> None:
    status, _, said = answer("train", *trained.words, "task.loss=mae")
    assert status == 2
    assert "task.loss: 'mse' there, 'mae' now" in said
    assert "run.restart=true" in said


def test_restart_sets_the_earlier_run_aside(folder: Path) -> None:
    result("train", *untracked(folder, "trainer.max_steps=2"))
    result("train", *untracked(folder, "trainer.max_steps=2", "task.loss=mae", "run.restart=true"))
    aside, now = sorted((folder / "runs" / "tiny").iterdir(), key=lambda path: len(path.name), reverse=True)
    assert (now.name, aside.name[:9]) == ("a", "a-before-")
    assert RunDir(aside).read_config()["task"]["loss"] == "mse"
    assert RunDir(now).read_config()["task"]["loss"] == "mae"


def test_two_runs_with_one_seed_give_equal_losses_and_figures(trained: Trained) -> None:
    again = result("train", *trained.words, "run.name=twin", "tracking=off")
    assert again["metrics"] == trained.result["metrics"]
    assert losses(RunDir(Path(again["run"]))) == losses(trained.run)


@pytest.mark.parametrize(
    "more",
    [
        ("model=lstm", "model.encoder.pool=2", "model.recurrent.hidden=4"),
        ("model=convlstm", "model.encoder.kind=residual", "trainer.max_steps=3"),
    ],
    ids=["plain-lstm", "residual-convlstm"],
)
def test_networks_are_chosen_by_name(folder: Path, more: tuple[str, ...]) -> None:
    found = result("train", *untracked(folder, *more, "trainer.max_epochs=1"))
    assert found["metrics"]["test/rmse/air/12h"] > 0


def test_a_spread_is_judged_by_crps(folder: Path) -> None:
    found = result("train", *untracked(folder, "task.loss=crps", "trainer.max_epochs=1"))
    crps, mae = (found["metrics"][f"test/{name}/air/6h"] for name in ("crps", "mae"))
    assert 0 < crps < mae


def test_a_station_series_with_gaps_is_read_and_forecast(tmp_path: Path) -> None:
    steps = steps_of(300, gaps=[(100, 106)])
    write_maps(tmp_path / "air.nc", steps, ("air", "dew"))
    csv_file = write_series(tmp_path / "stations.csv", steps[5:])
    series = (f"data.series.path={csv_file}", "data.series.target=true", "data.series.units={harbour: K}")
    found = result("train", *untracked(tmp_path, *series, "trainer.max_epochs=1"))["metrics"]
    for name in ("air", "dew", "harbour", "hill"):
        assert found[f"test/rmse/{name}/6h"] > 0
        assert f"reference/climatology/rmse/{name}/6h" in found


def test_a_series_to_forecast_that_is_called_like_a_map_is_refused_before_training(folder: Path) -> None:
    csv_file = write_series(folder / "stations.csv", steps_of(300))
    csv_file.write_text(csv_file.read_text().replace("hill", "air"))
    series = (f"data.series.path={csv_file}", "data.series.target=true")
    status, _, said = answer("train", *untracked(folder, *series))
    assert status == 2
    assert "data.series.target: air is the name of a series" in said
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("bound", "steps"), [("trainer.max_steps=3", 3), ("trainer.max_minutes=1e-5", 1)], ids=["steps", "time"]
)
def test_a_bound_within_an_epoch_still_ends_with_a_judged_best_checkpoint(
    folder: Path, bound: str, steps: int
) -> None:
    found = result("train", *untracked(folder, bound))
    run = RunDir(Path(found["run"]))
    assert json.loads(run.metrics.read_text())["test/rmse/air/6h"] > 0
    kept = {path.name: torch.load(path, weights_only=True) for path in run.checkpoints.glob("*.ckpt")}
    assert {name: one["global_step"] for name, one in kept.items()} == {
        "best.ckpt": steps,
        "last.ckpt": steps,
    }


def test_a_tracking_server_that_is_down_does_no_harm_and_gets_all_later(folder: Path) -> None:
    down = ("tracking.uri=http://127.0.0.1:9", "tracking.timeout=1", "trainer.max_epochs=1")
    status, found, said = answer("train", *words(folder, *down))
    assert status == 0, said
    assert found["mlflow_run_id"] is None
    assert f"`skyreel review sync run={found['run']}` sends them" in said
    database = f"tracking.uri=sqlite:///{folder / 'runs' / 'mlflow.db'}"
    (sent,) = result("review", "sync", database, f"paths.runs={folder / 'runs'}")["runs"]
    _, runs = mlflow_runs(folder)
    assert (sent["left"], sent["run_id"]) == (0, runs[0].info.run_id)
    assert (len(runs), runs[0].info.status) == (1, "FINISHED")
    assert runs[0].data.metrics["test/rmse/air/6h"] == found["metrics"]["test/rmse/air/6h"]


def test_no_window_crosses_the_gap_between_two_winters(tmp_path: Path) -> None:
    winters = [(90 + 365 * year, 335 + 365 * year) for year in range(5)]
    write_maps(tmp_path / "air.nc", steps_of(5 * 365, winters), ("air", "dew", "wind"), (5, 7), hours=24)
    found = result("train", *untracked(tmp_path, "trainer.max_epochs=1"))
    assert found["metrics"]["test/rmse/wind/48h"] > 0
    assert_whole_windows(Path(found["run"]))


def test_real_winters_train_without_a_window_across_a_gap(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "weather" / "ncep_iberia_daily_djf_upper_5x7.nc"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    found = result("train", *untracked(tmp_path, "trainer.max_epochs=1"), f"data.path={source}")
    assert len({name.split("/")[2] for name in found["metrics"] if name.startswith("test/rmse/")}) == 3
    assert_whole_windows(Path(found["run"]))


def assert_whole_windows(path: Path) -> None:
    """Every window that the run's loaders read is one stretch of ticks, and there are gaps to cross."""
    settings = Settings.model_validate(RunDir(path).read_config())
    data = open_data(settings.data, Path(settings.paths.stores), settings.task)
    windows = data.windows(settings.task, settings.data.batch_size, 0, settings.seed)
    length = settings.task.history + settings.task.horizon
    tick = data.store.tick
    assert (tick[1:] - tick[:-1]).max() > 1
    for split in ("train", "validation", "test"):
        starts = windows.dataset(split).starts
        assert len(starts) > 0
        assert (tick[starts + length - 1] - tick[starts] == length - 1).all()


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ("trainer.max_epoch=1", "trainer.max_epochs"),
        ("model=convgro", "convgru"),
        ("data.path=/nowhere/air.nc", "/nowhere/air.nc"),
        ("task.history=400", "window"),
        ("task.channel_weights={aire:2}", "the channels are ['air']"),
        ("trainer=gpu trainer.devices=99", "trainer.devices=99"),
    ],
)
def test_a_mistake_ends_with_status_2_and_the_way_out(trained: Trained, mistake: str, told: str) -> None:
    own = ("run.name=wrong", "tracking=off")
    status, found, said = answer("train", *trained.words, *own, *mistake.split())
    assert (status, found) == (2, None)
    assert told in said
    assert "Traceback" not in said


def test_two_ranks_train_publish_once_and_print_one_json_object(folder: Path) -> None:
    call = words(folder, "trainer=ddp_cpu", "trainer.threads=1", "trainer.precision=32")
    with start("train", *call, "trainer.max_epochs=1", "--json") as process:
        try:
            out, said = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, said
    assert out.count("\n") == 1
    found = json.loads(out)
    assert found["metrics"]["test/rmse/air/6h"] < found["metrics"]["reference/persistence/rmse/air/6h"]
    _, runs = mlflow_runs(folder)
    assert [run.info.status for run in runs] == ["FINISHED"]
    one = result(
        "evaluate", f"run={found['run']}", "trainer=cpu", "trainer.threads=1", "trainer.precision=32"
    )
    assert one["metrics"] == pytest.approx(found["metrics"], rel=1e-6)
