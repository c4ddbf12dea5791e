"""What is old goes; what has an alias, is at work, unfinished or somebody else's stays."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.compose import compose
from pipelines.locking import Lock
from pipelines.retraining.job import Job
from pipelines.retraining.ledger import Ledger
from pipelines.retraining.removal import GONE, remove
from pipelines.retraining.retention import SHOT_TAG, Gone, prune
from pipelines.settings import Settings
from tests.pipelines.retraining.decisions import day, look, shoot


@dataclass(frozen=True)
class Version:
    number: int
    tags: dict[str, str]
    aliases: tuple[str, ...] = ()


@dataclass
class Models:
    """A registry in memory."""

    there: dict[int, Version] = field(default_factory=dict)
    broken: bool = False

    def versions(self, name: str) -> list[Version]:
        if self.broken:
            raise ConnectionError("no registry at http://me:secret@host")
        return list(self.there.values())

    def delete_version(self, name: str, number: int) -> None:
        del self.there[number]


@dataclass
class World:
    """Six shots of a job: 1, 3, 5 refused; 2, 4, 6 promoted to versions 2, 4, 6; each with its own store."""

    folder: Path
    models: Models = field(default_factory=Models)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.runs / "retrain" / "ledger.db")
        for number in range(1, 7):
            self.shoot(number, "refused" if number % 2 else "promoted")
        aliases = {2: (), 4: ("previous",), 6: ("champion",)}
        for number, names in aliases.items():
            tags = {SHOT_TAG: f"weather-{number:04d}"}
            self.models.there[number] = Version(number, tags, names)
        self.models.there[7] = Version(7, {}, ())
        self.models.there[8] = Version(8, {SHOT_TAG: "other-weather-0002"}, ())

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def run(self, number: int) -> Path:
        return self.runs / "tiny" / f"weather-{number:04d}"

    def store(self, number: int) -> Path:
        return self.folder / "stores" / f"tiny-{number:012x}"

    def shot(self, number: int) -> Path:
        return self.runs / "retrain" / "weather" / f"{number:04d}"

    def shoot(self, number: int, outcome: str) -> None:
        """A shot with its folder, its challenger and its store."""
        digest = {**look(number), "digest": f"{number:012x}abcd"}
        assert shoot(self.ledger, day(number), outcome, look=digest) == number
        self.shot(number).mkdir(parents=True)
        self.store(number).mkdir(parents=True)
        make_run(self.run(number), self.store(number))

    def prune(self, dry_run: bool = False, shot: int | None = None, **keep: int | None) -> list[Gone]:
        everything = {"versions": None, "runs": None, "shots": None, "stores": None}
        plain = {"name": "weather", "model": "wind", "start": {"always": True}, "keep": everything | keep}
        return prune(Job.model_validate(plain), self.settings(), self.ledger, self.models, shot, dry_run)

    def settings(self) -> Settings:
        words = ["data.path=air.nc", "data.name=tiny", f"paths.runs={self.runs}"]
        return compose([*words, f"paths.stores={self.folder / 'stores'}"]).settings

    def left(self, kind: str) -> list[int]:
        """The numbers of what is left of a kind."""
        if kind == "version":
            return sorted(self.models.there)
        place = {"run": self.run, "shot": self.shot, "store": self.store}[kind]
        return [number for number in range(1, 10) if place(number).exists()]


def make_run(path: Path, store: Path) -> None:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("seed: 1\n")
    (path / "provenance.json").write_text(json.dumps({"data": {"store": {"path": str(store)}}}))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_versions_without_an_alias_go_and_only_the_jobs_own(world: World) -> None:
    assert [one.what for one in world.prune(versions=1)] == ["models:/wind/2"]
    assert world.left("version") == [4, 6, 7, 8]
    assert world.prune(versions=1) == []


def test_challengers_go_that_are_no_version_or_no_more(world: World) -> None:
    world.prune(runs=1)
    assert world.left("run") == [2, 4, 5, 6]
    world.prune(runs=1, versions=1)
    assert world.left("run") == [4, 5, 6]
    world.prune(runs=0)
    assert world.left("run") == [4, 6]


def test_folders_of_shots_go_but_that_of_the_champion(world: World) -> None:
    world.prune(shots=1)
    assert world.left("shot") == [4, 6]
    world.prune(shots=2)
    assert world.left("shot") == [4, 6]


def test_packed_data_go_that_no_other_run_needs(world: World) -> None:
    make_run(world.runs / "tiny" / "by_hand", world.store(2))
    make_run(world.runs / "tiny" / "weather-or-not", world.store(3))
    (world.folder / "stores" / "tiny-of-somebody").mkdir()
    world.prune(stores=2)
    assert world.left("store") == [2, 3, 5, 6]
    assert (world.folder / "stores" / "tiny-of-somebody").is_dir()


def test_what_is_unfinished_or_at_work_stays(world: World) -> None:
    number = world.ledger.begin("weather", day(7))
    make_run(world.run(number), world.store(1))
    world.shot(number).mkdir()
    everything = {"versions": 1, "runs": 0, "shots": 1, "stores": 1}
    world.prune(**everything, shot=3)
    assert world.left("run") == [3, 4, 6, 7]
    assert world.left("shot") == [3, 4, 6, 7]
    assert world.left("store") == [1, 3, 6]
    assert world.left("version") == [4, 6, 7, 8]


def test_a_run_that_somebody_holds_stays_and_so_does_its_store(world: World) -> None:
    with Lock(world.run(1) / ".lock") as lock:
        assert lock.acquire()
        world.prune(runs=0, stores=1)
        assert world.left("run") == [1, 2, 4, 6]
        assert world.left("store") == [1, 6]
    world.prune(runs=0)
    assert world.left("run") == [2, 4, 6]


def test_a_dry_run_tells_the_same_and_removes_nothing(world: World) -> None:
    def files() -> list[Path]:
        return sorted(world.folder.rglob("*"))

    before = files()
    told = world.prune(dry_run=True, versions=1, runs=1, shots=2, stores=2)
    assert (files(), world.left("version")) == (before, [2, 4, 6, 7, 8])
    assert {one.kind for one in told} == {"version", "run", "shot", "store"}
    assert world.prune(versions=1, runs=1, shots=2, stores=2) == told
    assert world.prune(versions=1, runs=1, shots=2, stores=2) == []


def test_null_keeps_all(world: World) -> None:
    assert world.prune() == []


def test_a_removal_that_was_killed_is_finished_by_the_next_call(world: World) -> None:
    half = world.run(9).with_name(f"{GONE}weather-0009")
    half.mkdir()
    (half / "config.yaml").write_text("seed: 1\n")
    world.run(1).rename(world.run(1).with_name(f"{GONE}weather-0001"))
    world.prune(runs=5)
    assert not list(world.runs.rglob(f"{GONE}*"))
    remove(world.run(1))
    assert world.left("run") == [2, 3, 4, 5, 6]


def test_a_fault_harms_no_shot(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.models.broken = True
    assert world.prune(versions=1, shots=1) == []
    assert "nothing was removed" in caplog.text
    assert "secret" not in caplog.text
    world.models.broken = False
    world.models.delete_version = lambda name, number: 1 / 0  # type: ignore[assignment, method-assign]
    assert [one.kind for one in world.prune(versions=1, shots=4)] == ["shot"] * 2
    assert "models:/wind/2 could not be removed: ZeroDivisionError" in caplog.text
    assert world.left("version") == [2, 4, 6, 7, 8]


def test_a_run_of_somebody_else_that_is_called_like_a_challenger_stays(world: World) -> None:
    mine = world.runs / "mine" / "weather-0001"
    make_run(mine, world.folder / "nothing")
    world.prune(runs=0)
    assert (mine / "config.yaml").exists()
