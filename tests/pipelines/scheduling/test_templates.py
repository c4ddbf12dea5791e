"""The templates in docs/templates are read by what will read them, and their commands run."""

import configparser
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from pipelines.cli import read_command_line
from pipelines.retraining import exit_codes
from pipelines.scheduling.options import ScheduleOptions
from tests.pipelines.small_files import ROOT, start

TEMPLATES = ROOT / "docs" / "templates"
DECISIONS = {exit_codes.NOTHING, exit_codes.REFUSED, exit_codes.BUSY}
STATUSES = [exit_codes.PROMOTED, exit_codes.FAILED, exit_codes.MISTAKE, *sorted(DECISIONS)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose skyreel notes how it was called, and ends as the environment's STATUS says."""
    program = tmp_path / ".venv" / "bin" / "skyreel"
    program.parent.mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'echo "$@" >> "$CALLS"\n'
        "trap 'echo stopped >> \"$CALLS\"; exit 143' TERM\n"
        '[ -z "$SLEEP" ] || while true; do sleep 0.05; done\n'
        "exit ${STATUS:-0}\n"
    )
    program.chmod(0o755)
    return tmp_path


def environment(checkout: Path, **more: str) -> dict[str, str]:
    path = f"{checkout / '.venv' / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, "CALLS": str(checkout / "calls"), "PATH": path, **more}


def calls(checkout: Path) -> list[str]:
    path = checkout / "calls"
    return path.read_text().splitlines() if path.exists() else []


def composes(*words: str) -> None:
    """The CLI takes these words, and composes the settings of the job they name."""
    line = read_command_line(words)
    assert line.verb == "retrain"
    with start(*words, "--cfg", "job") as process:
        out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert yaml.safe_load(out)["run"]["experiment"]


def cron_lines() -> Iterator[tuple[str, str]]:
    for line in (TEMPLATES / "crontab").read_text().splitlines():
        if line and not line.startswith("#") and "=" not in line.split()[0]:
            fields = line.split(maxsplit=5)
            yield " ".join(fields[:5]), fields[5]


def test_the_lines_of_the_crontab_are_times_and_commands_that_run(checkout: Path) -> None:
    lines = list(cron_lines())
    assert len(lines) == 3
    for cron, command in lines:
        ScheduleOptions(cron=cron)
        assert "%" not in command, "cron takes it for the end of the line"
        values = environment(checkout, SKYREEL=str(checkout))
        assert subprocess.run(["/bin/sh", "-c", command], env=values, timeout=60).returncode == 0
    assert calls(checkout) == [
        "retrain watch-champion job=sample_weather",
        "retrain job=sample_weather",
        "retrain job=sample_clips",
    ]
    assert (checkout / "runs" / "retrain.log").exists()
    text = (TEMPLATES / "crontab").read_text()
    assert {"SHELL=/bin/sh", "SKYREEL=/srv/skyreel"} <= set(text.splitlines())


@pytest.mark.parametrize("words", [("retrain", "job=sample_weather"), ("retrain", "job=sample_clips")])
def test_the_jobs_of_the_templates_exist(words: tuple[str, ...]) -> None:
    composes(*words)


def unit(name: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, comment_prefixes="#", strict=True)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read_string((TEMPLATES / name).read_text())
    return found


def test_the_units_of_systemd_start_a_shot_and_know_its_exit_statuses() -> None:
    service, timer = unit("skyreel-retrain.service"), unit("skyreel-retrain.timer")
    _program, *words = service["Service"]["ExecStart"].split()
    assert words == ["retrain", "job=sample_weather"]
    assert {int(status) for status in service["Service"]["SuccessExitStatus"].split()} == DECISIONS
    assert service["Service"]["Type"] == "oneshot"
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_itself_finds_nothing_wrong_with_the_units(checkout: Path) -> None:
    for name in ("skyreel-retrain.service", "skyreel-retrain.timer"):
        text = (TEMPLATES / name).read_text().replace("/srv/skyreel", str(checkout))
        (checkout / name).write_text(text)
    found = subprocess.run(
        ["systemd-analyze", "verify", "./skyreel-retrain.timer", "./skyreel-retrain.service"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.returncode, found.stderr) == (0, "")
    when = unit("skyreel-retrain.timer")["Timer"]["OnCalendar"]
    subprocess.run(["systemd-analyze", "calendar", when], check=True, stdout=subprocess.DEVNULL, timeout=60)


def container() -> tuple[dict[str, Any], dict[str, Any]]:
    plain = yaml.safe_load((TEMPLATES / "kubernetes-cronjob.yaml").read_text())
    assert (plain["apiVersion"], plain["kind"]) == ("batch/v1", "CronJob")
    (found,) = plain["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return plain["spec"], found


def test_the_cronjob_comes_when_it_says_and_its_words_are_ours() -> None:
    spec, one = container()
    ScheduleOptions(cron=spec["schedule"], timezone=spec["timeZone"])
    assert spec["concurrencyPolicy"] == "Forbid"
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in one["volumeMounts"]} == volumes
    composes(*one["args"])


@pytest.mark.parametrize("status", STATUSES)
def test_the_container_tells_kubernetes_a_decision_from_a_failure(checkout: Path, status: int) -> None:
    _, one = container()
    found = subprocess.run(
        [*one["command"], *one["args"]],
        env=environment(checkout, STATUS=str(status)),
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    assert found.returncode == (0 if status in DECISIONS else status)
    assert calls(checkout) == [" ".join(one["args"])]


def test_the_container_passes_sigterm_on_to_the_shot(checkout: Path) -> None:
    _, one = container()
    with subprocess.Popen(
        [*one["command"], *one["args"]], env=environment(checkout, SLEEP="1"), start_new_session=True
    ) as process:
        try:
            until = time.monotonic() + 60
            while not calls(checkout) and time.monotonic() < until:
                time.sleep(0.02)
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 143
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert calls(checkout)[-1] == "stopped"


class Skip(Exception): ...  # noqa: N818


class Fail(Exception): ...  # noqa: N818


class Again(Exception): ...  # noqa: N818


@pytest.fixture
def dags(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, dict[str, Any]]:
    """The DAG file as Airflow would import it, and its DAGs by id: what they were made with, and their task.

    Airflow is not among the packages of this project: the names of its interface that the file uses stand in
    its place here. With Airflow 3.3 itself the file was tried by hand.
    """
    made: dict[str, Any] = {}

    def dag(dag_id: str, **options: Any) -> Any:
        def decorate(body: Any) -> Any:
            def call() -> None:
                made[dag_id] = {**options, "tasks": tasks}
                tasks.clear()
                body()
                made[dag_id]["tasks"] = list(tasks)

            return call

        return decorate

    tasks: list[Any] = []

    def task(**options: Any) -> Any:
        return lambda body: lambda: tasks.append((options, body))

    sdk, errors, airflow = (
        ModuleType("airflow.sdk"),
        ModuleType("airflow.sdk.exceptions"),
        ModuleType("airflow"),
    )
    context = {"logical_date": datetime(2026, 11, 22, 6, tzinfo=UTC)}
    vars(sdk).update(dag=dag, task=task, get_current_context=lambda: context)
    vars(errors).update(AirflowException=Again, AirflowFailException=Fail, AirflowSkipException=Skip)
    for module in (airflow, sdk, errors):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    spec = importlib.util.spec_from_file_location("airflow_retrain", TEMPLATES / "airflow_retrain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SKYREEL", str(checkout))
    return module, made


@pytest.mark.parametrize(
    ("status", "raised"),
    [(0, None), (1, Again), (2, Fail), (10, Skip), (11, Skip), (12, Skip), (137, Again)],
)
def test_airflow_learns_success_skip_and_failure(
    checkout: Path,
    dags: tuple[types.ModuleType, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    raised: type[Exception] | None,
) -> None:
    _module, made = dags
    assert sorted(made) == ["skyreel_retrain_sample_clips", "skyreel_retrain_sample_weather"]
    for one in made.values():
        ScheduleOptions(cron=one["schedule"])
        assert (one["catchup"], one["max_active_runs"]) == (False, 1)
    monkeypatch.setenv("CALLS", str(checkout / "calls"))
    monkeypatch.setenv("STATUS", str(status))
    ((_, body),) = made["skyreel_retrain_sample_weather"]["tasks"]
    if raised is None:
        body()
    else:
        with pytest.raises(raised):
            body()
    (words,) = calls(checkout)
    assert words == "retrain job=sample_weather now=2026-11-22T06:00:00+00:00"
    read_command_line(words.split())
