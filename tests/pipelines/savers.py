"""Processes that save checkpoints until they are killed, forked from one that has imported PyTorch."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipelines.rundir import RunDir
from tests.pipelines.small_files import ROOT

SAVER = """
import errno, json, os, resource, signal, sys
from pathlib import Path

import torch

from pipelines.checkpoint_files import CheckedFiles

torch.set_num_threads(1)
OPERATIONS = ("open", "os.rename", "os.link", "os.remove", "os.chmod")

def of_step(step, size):
    return {"step": step, "weights": torch.full((size,), float(step))}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def killed_before(number, folder):
    def listen(event, arguments):
        nonlocal number
        if event in OPERATIONS and any(folder in str(one) for one in arguments):
            number -= 1
            if number < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return listen

def without_links(event, arguments):
    if event == "os.link":
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        os.write(1, f"process {os.getpid()}\\n".encode())
        files, folder = CheckedFiles(), Path(job["folder"])
        if not job.get("links", True):
            sys.addaudithook(without_links)
        if "before" in job:
            sys.addaudithook(killed_before(job["before"], job["folder"]))
        for step in range(job["step"], job["step"] + job.get("steps", 10**9)):
            checkpoint = of_step(step, job.get("size", 5000))
            before = peak()
            files.save_checkpoint(checkpoint, folder / "last.ckpt")
            if job.get("best", False):
                files.save_checkpoint(checkpoint, folder / "best.ckpt")
            os.write(1, f"grew {peak() - before}\\nsaved {step}\\n".encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\\n".encode())
"""
"""Forks a process for each line of its input, which saves checkpoints of steps that it counts."""


class Saver:
    """A process that forks savers: one import of PyTorch for many kills."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def begin(self, run: RunDir, **job: Any) -> int:
        """Start a saver; its process id."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"folder": str(run.checkpoints), **job}) + "\n")
        self.process.stdin.flush()
        return self.heard("process")[1]

    def heard(self, word: str) -> tuple[int, int]:
        """Wait for a line with `word`; the last step saved meanwhile (-1: none), and the line's number."""
        assert self.process.stdout is not None
        last = -1
        for line in self.process.stdout:
            found, _, number = line.partition(" ")
            last = int(number) if found == "saved" else last
            if found == word:
                return last, int(number)
        raise AssertionError(f"the process of the savers ended before it said {word}")


@contextmanager
def savers() -> Iterator[Saver]:
    """A process that forks savers; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", SAVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield Saver(process)
    finally:
        process.kill()
        process.communicate()
