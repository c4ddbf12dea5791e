"""SLURM: ranks that srun has started, and a job that is queued again."""

import logging
import os
import re
import subprocess
from collections.abc import Mapping

from pytorch_lightning.plugins.environments import SLURMEnvironment

log = logging.getLogger(__name__)

SECONDS = 30.0
"""How long `scontrol` may take."""


class StepEnvironment(SLURMEnvironment):
    """The ranks of one srun step, as SLURM counts them.

    Lightning's own asks for --ntasks-per-node, and on SIGUSR1 it writes a checkpoint of its own from within
    the signal's handler and has the job queued again; here `pipelines.last_checkpoint` and `requeue` do.
    """

    def __init__(self) -> None:
        super().__init__(auto_requeue=False)

    @property
    def main_address(self) -> str:
        """The first node of the step, unless MASTER_ADDR says otherwise."""
        nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST", "127.0.0.1")
        return os.environ.setdefault("MASTER_ADDR", first_host(nodes))

    @staticmethod
    def detect() -> bool:
        """False: `pipelines.placement` decides."""
        return False

    def world_size(self) -> int:
        """Tasks of the step."""
        return int(os.environ["SLURM_STEP_NUM_TASKS"])

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Nothing: `pipelines.placement` takes both from the step."""

    @staticmethod
    def _validate_srun_used() -> None:
        """Nothing: this is a step of srun."""

    @staticmethod
    def _validate_srun_variables() -> None:
        """Nothing: --ntasks is as good as --ntasks-per-node."""


def first_host(nodes: str) -> str:
    """The first host of a list as SLURM writes it: `a[07-09,12],b3` gives `a07`."""
    first = re.match(r"[^,\[]+(\[[^\]]*\][^,\[]*)*", nodes.strip())
    if first is None:
        return nodes
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first.group())


def job_of(environ: Mapping[str, str] = os.environ) -> str | None:
    """The job as scontrol names it, `<array>_<task>` for a task of an array; None outside of SLURM."""
    if "SLURM_ARRAY_JOB_ID" in environ and "SLURM_ARRAY_TASK_ID" in environ:
        return f"{environ['SLURM_ARRAY_JOB_ID']}_{environ['SLURM_ARRAY_TASK_ID']}"
    return environ.get("SLURM_JOB_ID")


def requeue() -> bool:
    """Whether SLURM has queued this job again; it then runs the same command, which goes on with the run.

    SLURM ends the job as soon as it hears of it, so this comes last. Nothing is raised: why it was not queued
    is told in a warning.
    """
    job = job_of()
    if job is None:
        log.warning("trainer.requeue=true, but this is no SLURM job: give the same command again to go on")
        return False
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        why = "" if done.returncode == 0 else (done.stderr or done.stdout).strip() or f"{done.returncode}"
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    if why:
        log.warning("SLURM job %s was not queued again (scontrol requeue: %s); submit it again", job, why)
        return False
    log.info("SLURM job %s is queued again: it goes on with this run", job)
    return True
