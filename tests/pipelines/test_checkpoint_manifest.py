"""Files change their names in an order that a kill can stop anywhere: each stays whole, found and listed."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pipelines.checkpoint_manifest import (
    MANIFEST,
    digest_of,
    give_second_name,
    put_in_order,
    read_manifest,
    renaming,
    settle,
)
from tests.pipelines.small_files import ROOT

NAMES = ("best.ckpt", "best-2.ckpt", "best-3.ckpt", "best-new.ckpt")


def fill(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """A folder with these files, each of which holds its own name, all listed."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(name)
    (folder / MANIFEST).write_text("".join(f"{digest_of(folder / name)}  {name}\n" for name in names))
    return folder


def held(folder: Path) -> dict[str, str]:
    """What each file holds; each is listed with its digest."""
    listed = read_manifest(folder)
    found = {}
    for path in sorted(folder.glob("*.ckpt")):
        assert digest_of(path) in listed[path.name]
        found[path.name] = path.read_text()
    return found


def test_any_order_can_be_had(tmp_path: Path) -> None:
    orders = [order for count in range(5) for order in itertools.permutations(NAMES, count)]
    for number, order in enumerate(orders):
        folder = fill(tmp_path / str(number))
        targets = ["best.ckpt", "best-2.ckpt", "best-3.ckpt", "best-4.ckpt"][: len(order)]
        put_in_order(folder, order, targets, NAMES)
        assert held(folder) == dict(zip(targets, order, strict=True))
        assert read_manifest(folder).keys() == set(targets)
        assert {path.name for path in folder.iterdir()} == {*targets, MANIFEST}


def test_nothing_is_written_where_all_is_in_order(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a")
    before = (folder / MANIFEST).stat().st_ino
    put_in_order(folder, NAMES, NAMES, NAMES)
    put_in_order(folder, [], [], [])
    assert (folder / MANIFEST).stat().st_ino == before


def test_no_content_is_copied(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a")
    inodes = {name: (folder / name).stat().st_ino for name in NAMES}
    put_in_order(folder, ["best-new.ckpt", "best.ckpt"], ["best.ckpt", "best-2.ckpt"], NAMES)
    assert (folder / "best.ckpt").stat().st_ino == inodes["best-new.ckpt"]
    assert (folder / "best-2.ckpt").stat().st_ino == inodes["best.ckpt"]


KILLED = """
import errno, json, os, signal, sys
from pathlib import Path

from pipelines.checkpoint_manifest import put_in_order

def killed_before(number, folder):
    def listen(event, arguments):
        nonlocal number
        touching = event in ("open", "os.rename", "os.link", "os.remove")
        if touching and any(folder in str(one) for one in arguments):
            number -= 1
            if number < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return listen

def without_links(event, arguments):
    if event == "os.link":
        raise OSError(errno.EPERM, "no hard links here")

for line in sys.stdin:
    folder, links, number, sources, targets, drop = json.loads(line)
    child = os.fork()
    if not child:
        if not links:
            sys.addaudithook(without_links)
        sys.addaudithook(killed_before(number, folder))
        put_in_order(Path(folder), sources, targets, drop)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

Order = Callable[[Path, bool, int, Sequence[str], Sequence[str]], int]


@pytest.fixture(scope="module")
def order_and_be_killed() -> Iterator[Order]:
    """Orders files in a process that is killed before an operation on a file; its exit status."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )

    def order(folder: Path, links: bool, number: int, sources: Sequence[str], targets: Sequence[str]) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([str(folder), links, number, sources, targets, NAMES]) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    try:
        yield order
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
@pytest.mark.parametrize(
    "sources",
    [
        ["best-new.ckpt", "best.ckpt", "best-2.ckpt"],
        ["best.ckpt", "best-new.ckpt", "best-2.ckpt"],
        ["best-3.ckpt", "best-2.ckpt", "best.ckpt"],
    ],
    ids=["new best", "new second", "turned round"],
)
def test_a_kill_before_any_operation_loses_no_file(
    tmp_path: Path, order_and_be_killed: Order, links: bool, sources: list[str]
) -> None:
    targets = ["best.ckpt", "best-2.ckpt", "best-3.ckpt"]
    status, number = -9, 0
    while status:
        folder = fill(tmp_path / str(number))
        status = order_and_be_killed(folder, links, number, sources, targets)
        there = held(folder)
        assert {*there.values()} >= {*sources}
        if links:
            assert there.keys() >= {*targets}
        settle(folder)
        now_called = {content: name for name, content in held(folder).items()}
        assert all(len(digests) == 1 for digests in read_manifest(folder).values())
        put_in_order(folder, [now_called[source] for source in sources], targets, [*there])
        assert held(folder) == dict(zip(targets, sources, strict=True))
        assert read_manifest(folder).keys() == set(targets)
        number += 1
    assert number > 10


def test_a_second_name_that_is_the_same_file_already_stays(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_text("weights")
    os.link(tmp_path / "last.ckpt", tmp_path / "previous.ckpt")
    give_second_name(tmp_path / "last.ckpt", tmp_path / "previous.ckpt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_until_the_end_of_a_renaming_both_digests_are_listed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", ["best.ckpt", "last.ckpt"])
    before = read_manifest(folder)["last.ckpt"]
    with renaming(folder, {"last.ckpt": "0" * 64, "best.ckpt": None}):
        during = read_manifest(folder)
    assert during["last.ckpt"] == (*before, "0" * 64)
    assert "best.ckpt" in during
    assert read_manifest(folder) == {"last.ckpt": ("0" * 64,)}


def test_a_file_that_was_not_listed_is_not_refused_while_it_is_replaced(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", ["best.ckpt"])
    (folder / "last.ckpt").write_text("by others")
    with renaming(folder, {"last.ckpt": "0" * 64}):
        assert "last.ckpt" not in read_manifest(folder)
    assert read_manifest(folder)["last.ckpt"] == ("0" * 64,)


def test_settling_forgets_files_that_are_gone_and_keeps_the_digest_that_is_right(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", ["best.ckpt", "last.ckpt", "previous.ckpt"])
    with (folder / MANIFEST).open("a") as file:
        file.write(f"{'0' * 64}  last.ckpt\nnot a line of sha256sum\n")
    (folder / "best.ckpt").unlink()
    settle(folder)
    assert read_manifest(folder) == {
        name: (digest_of(folder / name),) for name in ("last.ckpt", "previous.ckpt")
    }
