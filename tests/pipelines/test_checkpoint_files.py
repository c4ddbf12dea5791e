"""Checkpoints survive kills at any moment, damage and full disks, and never run code."""

import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.errors import InputError
from pipelines.checkpoint_files import CheckedFiles, CheckpointError, clean_up, newest_good, reason_unusable
from pipelines.checkpoint_manifest import MANIFEST, digest_of, read_manifest
from pipelines.rundir import RunDir
from tests.pipelines.savers import Saver, savers
from tests.pipelines.small_files import ROOT


@pytest.fixture(scope="module")
def saver() -> Iterator[Saver]:
    """What forks processes that save."""
    with savers() as found:
        yield found


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """An empty run directory."""
    found = RunDir(tmp_path / "run")
    found.checkpoints.mkdir(parents=True)
    return found


def content(step: int, size: int = 5000) -> dict[str, Any]:
    return {"step": step, "weights": torch.full((size,), float(step))}


def save(run: RunDir, *steps: int) -> CheckedFiles:
    files = CheckedFiles()
    for step in steps:
        files.save_checkpoint(content(step), run.last)
    return files


def step_of(path: Path | None) -> int:
    """The step of a good checkpoint, each of its weights checked."""
    assert path is not None
    found = CheckedFiles().load_checkpoint(path)
    assert torch.equal(found["weights"], content(found["step"])["weights"])
    return int(found["step"])


def assert_sums_are_right(run: RunDir, *names: str) -> None:
    """`sha256sum -c` accepts the manifest, and it lists these names."""
    assert sorted(read_manifest(run.checkpoints)) == sorted(names)
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", MANIFEST], cwd=run.checkpoints, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout == "".join(f"{name}: OK\n" for name in sorted(names))


def test_a_new_last_checkpoint_keeps_the_one_before(run: RunDir) -> None:
    files = save(run, 1, 2, 3)
    files.save_checkpoint(content(2), run.best)
    assert [step_of(run.checkpoints / f"{name}.ckpt") for name in ("last", "previous", "best")] == [3, 2, 2]
    assert newest_good(run) == run.last
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        MANIFEST,
        "best.ckpt",
        "last.ckpt",
        "previous.ckpt",
    ]
    assert_sums_are_right(run, "best.ckpt", "last.ckpt", "previous.ckpt")
    assert run.last.stat().st_mode & 0o777 == 0o644


def test_a_run_without_checkpoints_has_none_to_go_on_from(run: RunDir) -> None:
    assert newest_good(run) is None
    clean_up(run)
    clean_up(RunDir(run.path / "not there"))
    assert list(run.checkpoints.iterdir()) == []


def test_a_removed_checkpoint_leaves_the_manifest_too(run: RunDir) -> None:
    files = save(run, 1)
    files.save_checkpoint(content(1), run.best)
    files.remove_checkpoint(run.best)
    files.remove_checkpoint(run.best)
    assert not run.best.exists()
    assert_sums_are_right(run, "last.ckpt")


LINKS = pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])


def assert_tidy(run: RunDir) -> None:
    """Nothing half is there, and the manifest is right."""
    assert_sums_are_right(run, *(path.name for path in run.checkpoints.glob("*.ckpt")))
    assert not [path for path in run.checkpoints.iterdir() if path.name.startswith(".")]


@LINKS
def test_kills_at_random_moments_never_cost_a_save_that_had_ended(
    run: RunDir, saver: Saver, links: bool
) -> None:
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    completed, kills = 0, 18
    for kill in range(kills):
        process = saver.begin(run, step=completed + 1, links=links, best=chance.random() < 0.5)
        completed, _ = saver.heard("saved")
        time.sleep(chance.uniform(0, 0.1))
        os.kill(process, signal.SIGKILL)
        later, status = saver.heard("ended")
        completed = max(completed, later)
        assert status == -signal.SIGKILL
        assert step_of(newest_good(run)) in (completed, completed + 1), f"kill {kill}, seed {seed}"
        if chance.random() < 0.5:
            clean_up(run)
            assert_tidy(run)
    assert completed >= kills


@LINKS
def test_a_kill_before_any_operation_on_a_file_leaves_a_good_one(
    run: RunDir, saver: Saver, links: bool
) -> None:
    seen, status, before = set(), -1, -1
    while status != 0:
        before += 1
        shutil.rmtree(run.checkpoints)
        run.checkpoints.mkdir()
        save(run, 1, 2)
        saver.begin(run, step=3, steps=1, links=links, before=before)
        _, status = saver.heard("ended")
        found = newest_good(run)
        seen.add((step_of(found), found.name if found else ""))
        clean_up(run)
        assert step_of(newest_good(run)) == step_of(found)
        assert_tidy(run)
        save(run, 4)
        assert step_of(newest_good(run)) == 4
    assert before > 10
    assert seen == {(2, "last.ckpt"), (3, "last.ckpt")} | (set() if links else {(2, "previous.ckpt")})


def test_a_checkpoint_is_not_held_in_memory_while_it_is_written(run: RunDir, saver: Saver) -> None:
    saver.begin(run, step=1, steps=1, size=16 * 2**20)
    _, grown = saver.heard("grew")
    saver.heard("ended")
    assert run.last.stat().st_size > 64 * 2**20
    assert grown < 16 * 1024  # KiB


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = pytest.mark.parametrize("damage", [cut, flip, empty])


@DAMAGE
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "manifest deleted"])
def test_a_damaged_checkpoint_is_passed_over_and_told(
    run: RunDir, damage: Callable[[Path], None], listed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    save(run, 1, 2).save_checkpoint(content(1), run.best)
    damage(run.last)
    if not listed:
        (run.checkpoints / MANIFEST).unlink()
    found = newest_good(run)
    assert (found, step_of(found)) == (run.checkpoints / "previous.ckpt", 1)
    (told,) = caplog.messages
    assert told.startswith("passed over, going on from previous.ckpt instead")
    assert str(run.last) in told
    damage(run.checkpoints / "previous.ckpt")
    assert newest_good(run) == run.best


@DAMAGE
def test_a_damaged_last_checkpoint_never_takes_the_place_of_a_good_one_before(
    run: RunDir, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    save(run, 1, 2)
    damage(run.last)
    save(run, 3)
    assert "last.ckpt is not kept as previous.ckpt" in caplog.text
    assert [step_of(run.last), step_of(run.checkpoints / "previous.ckpt")] == [3, 1]
    assert_sums_are_right(run, "last.ckpt", "previous.ckpt")


def test_without_its_manifest_a_run_goes_on_and_gets_one_again(run: RunDir) -> None:
    save(run, 1, 2)
    (run.checkpoints / MANIFEST).unlink()
    assert newest_good(run) == run.last
    save(run, 3)
    assert_sums_are_right(run, "last.ckpt", "previous.ckpt")


def test_a_manifest_of_nonsense_counts_as_none(run: RunDir) -> None:
    save(run, 1)
    (run.checkpoints / MANIFEST).write_bytes(b"\xff\x00 not a digest\n")
    assert newest_good(run) == run.last
    assert reason_unusable(run.best) == "there is no such file"


def test_where_nothing_is_good_the_way_out_is_told(run: RunDir) -> None:
    save(run, 1, 2)
    cut(run.last)
    flip(run.checkpoints / "previous.ckpt")
    with pytest.raises(InputError, match=r"run\.restart=true") as error:
        newest_good(run)
    assert f"{run.last}: it is cut or damaged" in str(error.value)
    assert "previous.ckpt: it is cut or damaged" in str(error.value)


class Malicious:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("manifest", ["as it was", "deleted", "forged"])
@pytest.mark.parametrize("plain", [True, False], ids=["pickle", "archive"])
def test_a_checkpoint_never_runs_code(
    run: RunDir, manifest: str, plain: bool, caplog: pytest.LogCaptureFixture
) -> None:
    save(run, 1, 2)
    mark = run.path / "mark"
    if plain:
        run.last.write_bytes(pickle.dumps(Malicious(mark), protocol=2))
    else:
        torch.save({**content(3), "callbacks": Malicious(mark)}, run.last)
    sums = run.checkpoints / MANIFEST
    if manifest == "deleted":
        sums.unlink()
    elif manifest == "forged":
        sums.write_text(f"{digest_of(run.last)}  last.ckpt\n")
    assert step_of(newest_good(run)) == 1
    assert str(run.last) in caplog.text
    with pytest.raises(InputError, match=r"last\.ckpt: cannot be read .*it would run posix\.mkdir"):
        CheckedFiles().load_checkpoint(run.last, weights_only=False)
    save(run, 3)
    assert step_of(run.checkpoints / "previous.ckpt") == 1
    assert not mark.exists()


def test_what_is_no_checkpoint_is_refused_by_name(run: RunDir) -> None:
    torch.save(torch.zeros(3), run.last)
    assert reason_unusable(run.last) == "it cannot be read (it holds a Tensor)"
    with pytest.raises(InputError, match=r"nowhere\.ckpt: cannot be read"):
        CheckedFiles().load_checkpoint(run.checkpoints / "nowhere.ckpt")


LARGE = 1_000_000
"""Floats of a checkpoint that is too large for the disk of these tests."""


def assert_old_ones_stay(run: RunDir, error: pytest.ExceptionInfo[CheckpointError]) -> None:
    assert f"{run.last} could not be written" in str(error.value)
    assert "the same command goes on" in str(error.value)
    needed = int(str(error.value).partition("needs ")[2].partition(" bytes")[0].replace(",", ""))
    assert needed == pytest.approx(4 * LARGE, rel=0.01)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        MANIFEST,
        "last.ckpt",
        "previous.ckpt",
    ]
    assert_sums_are_right(run, "last.ckpt", "previous.ckpt")
    assert step_of(newest_good(run)) == 2


def test_a_file_that_grows_too_large_leaves_the_old_ones_and_says_what_it_needs(run: RunDir) -> None:
    files = save(run, 1, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(CheckpointError, match="File too large") as error:
            files.save_checkpoint(content(3, LARGE), run.last)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_old_ones_stay(run, error)
    files.save_checkpoint(content(4), run.last)
    assert step_of(newest_good(run)) == 4


IN_A_SMALL_DISK = """
import sys
from pathlib import Path

import torch

from pipelines.checkpoint_files import CheckedFiles, CheckpointError, clean_up, newest_good
from pipelines.rundir import RunDir

run = RunDir(Path(sys.argv[1]))
files = CheckedFiles()
run.checkpoints.mkdir()
for step, size in ((1, 5000), (2, 5000), (3, 1_000_000)):
    try:
        files.save_checkpoint({"step": step, "weights": torch.ones(size)}, run.last)
    except CheckpointError as error:
        sys.stdout.write(f"{error}\\n")
found = newest_good(run)
names = " ".join(sorted(path.name for path in run.checkpoints.iterdir()))
sys.stdout.write(f"{found.name} {files.load_checkpoint(found)['step']} {names}\\n")
"""


def test_a_full_disk_leaves_the_old_ones_and_says_what_is_free(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=1m none {disk}"
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "--mount", "sh", "-c", mount], capture_output=True).returncode
    ):
        pytest.skip("this user may not mount a small disk")
    program = [sys.executable, "-c", IN_A_SMALL_DISK, str(disk)]
    found = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", *program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    told, kept = found.stdout.splitlines()
    assert "last.ckpt could not be written (No space left on device): it needs 4,00" in told
    free = int(told.partition("bytes, ")[2].partition(" bytes are free")[0].replace(",", ""))
    assert 900_000 < free < 1_048_576
    assert kept == f"last.ckpt 2 {MANIFEST} last.ckpt previous.ckpt"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"last\.ckpt could not be written \(File exists\)\. The"):
        CheckedFiles().save_checkpoint(content(1), tmp_path / "file" / "last.ckpt")
