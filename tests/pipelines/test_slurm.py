"""SLURM: which processes are ranks, how many there are, and a job that is queued again by its number."""

import os
from pathlib import Path

import pytest

from datamodules.errors import InputError
from pipelines.placement import cluster_environment, placed
from pipelines.ranks import global_rank, launched_by, started_again
from pipelines.settings import TrainerOptions
from pipelines.slurm import StepEnvironment, first_host, job_of, requeue

STEP = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NAME": "skyreel",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
}
"""What srun tells the sixth of eight tasks on two nodes."""


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as a task of srun."""
    for key in [key for key in os.environ if key.startswith(("SLURM_", "MASTER_", "RANK", "LOCAL_RANK"))]:
        monkeypatch.delenv(key)
    for key, value in STEP.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("MASTER_PORT", "29500")  # so that it is put back after Lightning has set it
    monkeypatch.setenv("MASTER_ADDR", "")
    monkeypatch.delenv("MASTER_ADDR")


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the calls of `scontrol`, which works; where it says `refuse` it does not."""
    calls = tmp_path / "calls"
    script = tmp_path / "scontrol"
    script.write_text(
        "#!/bin/sh\n"
        f'if grep -qs refuse "{calls}"; then echo "Access denied" >&2; exit 1; fi\n'
        f'echo "$@" >> "{calls}"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return calls


def test_a_task_of_srun_has_its_number_and_the_step_its_shape(step: None) -> None:
    environment = cluster_environment()
    assert isinstance(environment, StepEnvironment)
    assert not environment.auto_requeue
    assert (environment.world_size(), environment.global_rank(), environment.local_rank()) == (8, 5, 1)
    assert (environment.node_rank(), environment.main_address) == (1, "gpu07")
    found = placed(TrainerOptions(accelerator="cpu", devices="auto", strategy="ddp"))
    assert (found.devices, found.nodes) == (4, 2)


def test_nodes_with_different_numbers_of_tasks_are_refused(step: None) -> None:
    with pytest.raises(InputError, match=r"3\(x2\),2 tasks"):
        placed(TrainerOptions(), {**STEP, "SLURM_STEP_TASKS_PER_NODE": "3(x2),2"})


@pytest.mark.parametrize(
    "shell",
    [
        {"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_NAME": "batch"},
        {**STEP, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        {**STEP, "SLURM_JOB_NAME": "interactive", "SLURM_PROCID": "3"},
    ],
    ids=["batch script", "one task", "interactive"],
)
def test_a_shell_within_slurm_is_no_rank(shell: dict[str, str]) -> None:
    assert launched_by(shell) is None
    assert global_rank(shell) == 0
    assert placed(TrainerOptions(), shell) == TrainerOptions()


def test_ranks_are_counted_over_all_nodes_by_whoever_started_them() -> None:
    assert global_rank(STEP) == 5
    torchrun = {"TORCHELASTIC_RUN_ID": "a", "RANK": "6", "LOCAL_RANK": "2", "WORLD_SIZE": "8"}
    assert global_rank({**STEP, **torchrun}) == 6
    assert global_rank({"LOCAL_RANK": "1"}) == 1
    assert global_rank({}) == 0


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("a", "a"),
        ("a,b", "a"),
        ("gpu[07-09,12],login1", "gpu07"),
        ("n[3]", "n3"),
        ("rack[0-1]n[02,05]", "rack0n02"),
    ],
)
def test_the_first_host_of_a_list(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


def test_a_job_is_queued_again_by_its_number(step: None, scontrol: Path) -> None:
    assert requeue()
    assert scontrol.read_text() == "requeue 4711\n"


def test_a_task_of_an_array_is_queued_again_alone(
    step: None, scontrol: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "11")
    assert job_of() == "4700_11"
    assert requeue()
    assert scontrol.read_text() == "requeue 4700_11\n"


def test_what_slurm_refuses_is_told_and_ends_nothing(
    step: None, scontrol: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scontrol.write_text("refuse\n")
    assert not requeue()
    assert "4711 was not queued again (scontrol requeue: Access denied)" in caplog.text


def test_without_slurm_nothing_is_queued(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for key in [key for key in os.environ if key.startswith("SLURM_")]:
        monkeypatch.delenv(key)
    assert not requeue()
    assert "no SLURM job" in caplog.text


def test_a_job_that_was_queued_again_is_known() -> None:
    assert started_again({"SLURM_RESTART_COUNT": "1"})
    assert started_again({"TORCHELASTIC_RESTART_COUNT": "2"})
    assert not started_again({"TORCHELASTIC_RESTART_COUNT": "0"})
