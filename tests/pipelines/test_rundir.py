"""A run directory is found again by the same command, held by one launcher, and never half written."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from datamodules.errors import InputError
from pipelines.find_run import find_run
from pipelines.locking import Lock
from pipelines.rundir import RunDir, default_name, open_run, write_json, write_text

CONFIG: dict[str, Any] = {
    "seed": 0,
    "model": {"recurrent": {"kind": "convgru", "layers": (1, 2)}, "rate": 1e-5},
    "data": {"path": "a.nc", "workers": 0, "split": {"train": ("2001", "2002-06-30")}},
    "trainer": {"max_steps": 10, "devices": 1},
    "tracking": {"uri": "http://me:hidden@host:5000"},
    "paths": {"runs": "runs"},
    "run": {"name": None},
}


def changed(**sections: dict[str, Any]) -> dict[str, Any]:
    return {key: {**value, **sections[key]} if key in sections else value for key, value in CONFIG.items()}


def test_a_directory_is_new_then_unfinished_then_finished(tmp_path: Path) -> None:
    states = []
    for _ in range(2):
        opened = open_run(tmp_path, "weather", "a", CONFIG)
        states.append(opened.state)
        opened.close()
    write_json(opened.run.metrics, {"test/rmse/air/24h": 2.0})
    opened = open_run(tmp_path, "weather", "a", CONFIG)
    opened.close()
    assert [*states, opened.state] == ["new", "unfinished", "finished"]
    assert opened.changes == ()
    assert opened.run.path == tmp_path / "weather" / "a"
    assert opened.run.best == tmp_path / "weather" / "a" / "checkpoints" / "best.ckpt"


def test_the_written_settings_hold_no_secret(tmp_path: Path) -> None:
    opened = open_run(tmp_path, "weather", "a", CONFIG)
    opened.close()
    assert "hidden" not in opened.run.config.read_text()
    assert opened.run.read_config()["tracking"]["uri"] == "http://***@host:5000"
    assert opened.run.read_config()["model"]["rate"] == 1e-5


def test_bounds_and_places_may_change_on_going_on(tmp_path: Path) -> None:
    open_run(tmp_path, "weather", "a", CONFIG).close()
    later = changed(trainer={"max_steps": 20, "devices": 2}, data={"workers": 3}, tracking={"uri": None})
    opened = open_run(tmp_path, "weather", "a", later)
    opened.close()
    assert opened.state == "unfinished"
    assert {change.key for change in opened.changes} == {
        "trainer.max_steps",
        "trainer.devices",
        "data.workers",
        "tracking.uri",
    }
    assert opened.run.read_config()["trainer"]["max_steps"] == 20


def test_other_settings_are_refused_with_every_difference_and_the_way_out(tmp_path: Path) -> None:
    first = open_run(tmp_path, "weather", "a", CONFIG)
    first.close()
    write_text(first.run.last, "weights")
    other = {**changed(data={"split": "b"}, trainer={"max_steps": 11}), "seed": 1}
    with pytest.raises(InputError) as refusal:
        open_run(tmp_path, "weather", "a", other)
    message = str(refusal.value)
    for part in (
        "data.split",
        "seed: 0 there, 1 now",
        "run.name=",
        "run.restart=true",
    ):
        assert part in message
    assert "max_steps" not in message


def test_a_run_that_ended_before_its_first_checkpoint_takes_other_settings(tmp_path: Path) -> None:
    open_run(tmp_path, "weather", "a", CONFIG).close()
    opened = open_run(tmp_path, "weather", "a", {**CONFIG, "seed": 1})
    opened.close()
    assert (opened.state, [change.key for change in opened.changes]) == ("unfinished", ["seed"])
    assert opened.run.read_config()["seed"] == 1


def test_a_finished_run_goes_on_where_its_bound_is_raised_and_keeps_its_figures(tmp_path: Path) -> None:
    first = open_run(tmp_path, "weather", "a", CONFIG)
    first.close()
    write_json(first.run.metrics, {"test/rmse/air/24h": 2.0})
    opened = open_run(tmp_path, "weather", "a", changed(trainer={"max_steps": 11, "devices": 2}))
    opened.close()
    assert opened.state == "unfinished"
    assert not opened.run.metrics.exists()
    assert json.loads((opened.run.path / "earlier_metrics.json").read_text()) == {"test/rmse/air/24h": 2.0}


def test_a_finished_run_of_another_optimiser_is_not_shown_as_this_one(tmp_path: Path) -> None:
    first = open_run(tmp_path, "weather", "a", {**CONFIG, "optimizer": {"learning_rate": 1e-3}})
    first.close()
    write_json(first.run.metrics, {"test/rmse/air/24h": 2.0})
    with pytest.raises(InputError, match=r"optimizer\.learning_rate: 0\.001 there, 0\.1 now"):
        open_run(tmp_path, "weather", "a", {**CONFIG, "optimizer": {"learning_rate": 0.1}})


def test_restart_sets_the_earlier_run_aside(tmp_path: Path) -> None:
    first = open_run(tmp_path, "weather", "a", CONFIG)
    first.close()
    write_text(first.run.last, "weights")
    opened = open_run(tmp_path, "weather", "a", {**CONFIG, "seed": 1}, restart=True)
    opened.close()
    assert opened.state == "new"
    assert not opened.run.last.exists()
    (aside,) = tmp_path.glob("weather/a-before-*")
    assert (aside / "checkpoints" / "last.ckpt").read_text() == "weights"


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weather" / "a").mkdir(parents=True)
    (tmp_path / "weather" / "a" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        open_run(tmp_path, "weather", "a", CONFIG)


def test_a_name_that_leaves_the_runs_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.name"):
        open_run(tmp_path, "weather", "../../a", CONFIG)


def test_a_second_launcher_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    folder = tmp_path / "weather" / "a"
    folder.mkdir(parents=True)
    code = (
        "import sys, pathlib; from pipelines.locking import Lock; lock = Lock(pathlib.Path(sys.argv[1]));"
        "print(lock.acquire(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        with pytest.raises(InputError, match=f"process {holder.pid} on"):
            open_run(tmp_path, "weather", "a", CONFIG, wait=0.1)
        holder.kill()
    open_run(tmp_path, "weather", "a", CONFIG).close()


def test_a_lock_excludes_its_own_process_too(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "x"), Lock(tmp_path / "x")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire(wait=0.15)
    assert second.holder() == "this process"
    first.release()
    with second:
        assert second.acquire()
    assert first.acquire()
    first.release()


def test_the_default_name_depends_on_what_decides_the_result() -> None:
    name = default_name("convgru", CONFIG)
    assert name.startswith("convgru-")
    assert len(name) == len("convgru-") + 8
    assert (
        default_name("convgru", changed(tracking={"uri": None}, paths={"runs": "x"}, run={"name": "b"}))
        == name
    )
    assert default_name("convgru", {**CONFIG, "seed": 1}) != name


def test_a_run_is_found_by_path_by_name_and_by_mlflow_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_run(tmp_path / "runs", "weather", "storm", CONFIG)
    opened.close()
    run_id = "0123456789abcdef" * 2
    write_json(opened.run.provenance, {"mlflow": {"run_id": run_id}})
    monkeypatch.chdir(tmp_path)
    for name in (str(opened.run.path), "runs/weather/storm", "weather/storm", run_id):
        assert find_run(name, Path("runs")) == RunDir(opened.run.path)


def test_an_unknown_run_names_the_nearest(tmp_path: Path) -> None:
    open_run(tmp_path, "weather", "storm", CONFIG).close()
    with pytest.raises(InputError, match="did you mean run=weather/storm"):
        find_run("weather/strom", tmp_path)
    with pytest.raises(InputError, match="MLflow run id"):
        find_run("f" * 32, tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("no space left on device")

    write_json(tmp_path / "a.json", {"x": 1})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_text(tmp_path / "a.json", "anything")
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_name_alone_is_enough_where_one_run_has_it(tmp_path: Path) -> None:
    for place in ("weather/storm", "weather/calm", "clips/calm"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.yaml").write_text("seed: 1\n")
    assert find_run("storm", tmp_path).path == tmp_path / "weather" / "storm"
    with pytest.raises(InputError, match="2 runs are called so; say which: run=clips/calm or run=weather"):
        find_run("calm", tmp_path)


def test_a_name_that_is_no_utf8_is_written_as_escapes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"path": os.fsdecode(b"\xff2.nc")})
    assert "\\udcff2.nc" in (tmp_path / "a.json").read_text(encoding="utf-8")
