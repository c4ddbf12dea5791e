"""The command line answers at once, in one voice, with an exit status that scripts can rely on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.verbs import VERBS
from tests.pipelines.small_files import answer

ROOT = Path(__file__).parents[2]
Program = Callable[..., subprocess.CompletedProcess[str]]

VERBS_OF_A_TEST = """
import logging, os, signal, sys, time
from pathlib import Path
from datamodules.errors import InputError
from pipelines import console, interrupts

def fine(call):
    print("a library prints")
    logging.getLogger("pipelines.x").info("a log line")
    return {"history": call.settings.task.history, "path": call.settings.data.path, "argv": list(call.argv)}

def refuse(call):
    raise InputError("maps.nc: has no time axis")

def fail(call):
    console.attach_log(Path(call.config["paths"]["runs"]) / "log.txt")
    raise RuntimeError("the roof is on fire")

def stop(call):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)

def stop_later(call):
    interrupts.defer()
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)  # told twice by a supervisor: still one stop
    time.sleep(0.05)
    logging.getLogger("pipelines.x").info("the step ended")
    interrupts.resume()
    raise interrupts.Stopped(interrupts.received())

def interrupt(call):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)

def insist(call):
    interrupts.defer()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)

def swallow(call):
    class Finaliser:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
    held = Finaliser()
    del held
    time.sleep(30)

def lose_reader(call):
    interrupts.defer()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.05)
    raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")

def bars(call):
    seconds = iter(range(0, 100, 7))
    with console.progress("packing", clock=lambda: next(seconds)) as advance:
        for done in range(1, 5):
            advance(done, 4)
    return {}
"""

PROGRAM = """
import sys
from pipelines.cli import run
from pipelines.verbs import Verb
names = ["fine", "refuse", "fail", "stop", "stop_later", "interrupt", "insist", "bars", "swallow",
         "lose_reader"]
sys.exit(run(sys.argv[1:], {name: Verb(f"verbs_of_a_test:{name}", "", "") for name in names}))
"""


def skyreel(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *words],
        capture_output=True,
        text=True,
        cwd=folder or ROOT,
        timeout=120,
    )


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A function that calls one of the verbs above through the real command line, in a process of its own."""
    (tmp_path / "verbs_of_a_test.py").write_text(VERBS_OF_A_TEST)

    def call(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *words, "data.path=maps.nc", f"paths.runs={tmp_path}"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(tmp_path)} | more,
            timeout=120,
        )

    return call


def test_help_names_every_verb_and_preset() -> None:
    done = skyreel("--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)
    assert "ncep_air" in done.stdout


def test_a_call_without_a_verb_is_a_mistake() -> None:
    assert skyreel().returncode == 2
    assert "verb comes first" in skyreel("experiment=ncep_air").stderr


def test_help_of_a_verb_lists_its_arguments_and_settings_with_their_meaning() -> None:
    done = skyreel("predict", "--help")
    assert done.returncode == 0
    assert "output=" in done.stdout
    assert "trainer.max_epochs=50" in done.stdout
    assert "ends training after so many passes" in done.stdout


def test_the_version_is_told() -> None:
    assert skyreel("--version").stdout.startswith("skyreel 0.")


def test_the_composed_settings_are_printed_as_yaml() -> None:
    done = skyreel("train", "experiment=ncep_air", "seed=7", "--cfg", "job")
    assert done.returncode == 0
    config = yaml.safe_load(done.stdout)
    assert (config["seed"], config["task"]["horizon"], config["run"]["experiment"]) == (7, 12, "ncep_air")


def test_settings_are_printed_also_while_the_data_are_not_chosen() -> None:
    done = skyreel("train", "--cfg", "job")
    assert done.returncode == 0
    assert yaml.safe_load(done.stdout)["data"]["path"] == "???"
    assert "data.path" in done.stderr


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["train", "experiment=sample_weather", "trainer.max_minuts=1"], "trainer.max_minutes"),
        (["train", "experiment=sample_weather", "trainr.max_minutes=1"], "trainer.max_minutes"),
        (["train", "experiment=ncep_ait"], "ncep_air"),
        (["trian"], "train"),
        (["train", "--jsn"], "--json"),
        (["train", "--seed=3"], "seed=3"),
    ],
)
def test_a_near_miss_is_named_with_status_2_and_nothing_on_standard_output(
    words: list[str], near: str
) -> None:
    done = skyreel(*words)
    assert done.returncode == 2
    assert f"Did you mean {near}?" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_arguments_of_other_verbs_and_missing_ones_are_told_together() -> None:
    done = skyreel("evaluate", "output=x.nc", "trainer.max_minuts=1")
    assert done.returncode == 2
    for word in ("output=x.nc", "evaluate needs this", "trainer.max_minutes"):
        assert word in done.stderr
    assert "data.path" not in done.stderr


def test_a_run_that_is_absent_is_a_mistake(tmp_path: Path) -> None:
    done = skyreel("evaluate", f"run={tmp_path / 'absent'}")
    assert done.returncode == 2
    assert "not a run directory" in done.stderr


@pytest.mark.parametrize(
    "words",
    [["--help"], ["train", "--help"], ["train", "--cfg", "job"], ["train", "experiment=ersst", "seeed=1"]],
    ids=" ".join,
)
def test_quick_answers_import_nothing_slow(words: list[str]) -> None:
    program = (
        "import sys; from pipelines.cli import run; run(sys.argv[1:]);"
        "slow = set('torch numpy mlflow xarray pytorch_lightning rich'.split()) & set(sys.modules);"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_json_is_all_that_stands_on_standard_output(program: Program) -> None:
    done = program("fine", "--json", "task.history=4")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert (found["history"], found["path"]) == (4, "maps.nc")
    assert found["argv"][:3] == ["fine", "--json", "task.history=4"]
    assert "a library prints" in done.stderr
    assert "a log line" in done.stderr


def test_other_ranks_say_nothing(program: Program) -> None:
    done = program("fine", "--json", LOCAL_RANK="1")
    assert (done.returncode, done.stdout) == (0, "")
    assert "a log line" not in done.stderr


def test_a_mistake_in_the_input_ends_with_status_2_and_no_traceback(program: Program) -> None:
    done = program("refuse")
    assert done.returncode == 2
    assert done.stderr == "skyreel refuse: maps.nc: has no time axis\n"


def test_a_failure_ends_with_status_1_and_its_traceback_in_the_log(program: Program, tmp_path: Path) -> None:
    done = program("fail")
    assert done.returncode == 1
    assert "the roof is on fire" in done.stderr
    assert str(tmp_path / "log.txt") in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in (tmp_path / "log.txt").read_text()
    assert "Traceback" in program("fail", "--debug").stderr


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("stop", 143),
        ("stop_later", 138),
        ("interrupt", 130),
        ("insist", 130),
        ("swallow", 143),
        ("lose_reader", 143),
    ],
)
def test_signals_end_with_their_own_status_and_one_line(program: Program, verb: str, status: int) -> None:
    done = program(verb)
    assert done.returncode == status
    assert done.stderr.splitlines()[-1].startswith(f"skyreel {verb}: stopped by ")
    assert "Traceback" not in done.stderr
    assert ("the step ended" in done.stderr) == (verb == "stop_later")


def test_progress_is_told_in_lines_where_there_is_no_terminal(program: Program) -> None:
    done = program("bars")
    lines = [line.split(" ", 2)[2] for line in done.stderr.splitlines()]
    assert lines == [
        "packing: 2 of 4 (50 %), about 14 s left",
        "packing: 4 of 4 (100 %), about 0 s left",
    ]


def test_a_registered_model_named_plainly_is_told_how_it_is_named() -> None:
    status, _, said = answer("predict", "model=mine", "input=a.nc", "output=b.nc")
    assert (status, said.count("model=mine")) == (2, 1)
    assert "model=models:/mine@champion" in said
