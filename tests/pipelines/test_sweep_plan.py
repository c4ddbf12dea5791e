"""A sweep is read and checked as a whole before anything starts; what is tried follows from it."""

import math
import sys
from pathlib import Path

import pytest

from lightning_modules.captioning import CaptioningModule
from lightning_modules.forecasting import ForecastingModule
from pipelines.mistakes import CallError
from pipelines.settings import TrainerOptions
from pipelines.sweeps.course import Course
from pipelines.sweeps.ledger import Ledger, Trial, open_ledger
from pipelines.sweeps.options import MONITORS, Ranking
from pipelines.sweeps.plan import Plan, read_plan
from pipelines.sweeps.pruning import MedianRule
from pipelines.sweeps.trial_process import share_of
from pipelines.tracking.journal import Journal
from tests.pipelines.small_files import answer, words

LOSS = Ranking("validation/loss", "min", "validation/loss", "min")
LOG = "optimizer.learning_rate=tag(log,interval(1e-5,1e-1))"


def plan_of(folder: Path, *more: str) -> Plan:
    return read_plan([*words(folder), *more])


def tell(run: Path, figures: list[float], name: str = "validation/loss", **more: list[float]) -> Course:
    """A real journal of some validations, and its course."""
    journal = Journal(run)
    for epoch, figure in enumerate(figures):
        others = {f"validation/{key}": values[epoch] for key, values in more.items()}
        journal.append("metrics", metrics={name: figure, "epoch": epoch, **others}, step=epoch + 1)
    journal.close()
    course = Course(run, LOSS)
    course.update()
    return course


def test_a_grid_tries_every_combination_of_lists_ranges_and_groups(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "model=glob(conv*)", "task.history=range(3,6,2)", "seed=choice(1,2)")
    assert plan.listed is not None
    assert plan.total == 8
    assert plan.listed[0] == {"model": "convgru", "task.history": "3", "seed": "1"}
    assert plan.listed[-1] == {"model": "convlstm", "task.history": "5", "seed": "2"}
    call = plan.words(7, plan.listed[-1])
    assert call[-6:] == [
        "model=convlstm",
        "task.history=5",
        "seed=2",
        "run.name=a-007",
        "run.experiment=tiny",
        "run.sweep=a",
    ]


def test_draws_follow_from_the_seed_alone_and_more_of_them_begin_alike(tmp_path: Path) -> None:
    call = ("sweep.method=random", LOG, "model.recurrent.hidden=int(interval(4,64))")
    first = plan_of(tmp_path, *call, "sweep.trials=8").listed
    more = plan_of(tmp_path, *call, "sweep.trials=40").listed
    other = plan_of(tmp_path, *call, "sweep.trials=8", "sweep.seed=1").listed
    assert first is not None
    assert more is not None
    assert more[:8] == first
    assert other != first
    rates = [float(values["optimizer.learning_rate"]) for values in more]
    assert all(1e-5 <= rate <= 1e-1 for rate in rates)
    assert 10 <= sum(rate < 1e-3 for rate in rates) <= 30
    assert all(4 <= int(values["model.recurrent.hidden"]) <= 64 for values in more)


def test_draws_from_lists_are_different_and_no_more_than_there_are(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "sweep.method=random", "seed=1,2", "task.history=3,4")
    assert plan.listed is not None
    assert len({tuple(values.items()) for values in plan.listed}) == plan.total == 4


def test_every_mistake_of_every_trial_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CallError) as caught:
        plan_of(
            tmp_path,
            "task.history=3,0,-1",
            "model=convgru,convlsm",
            "model.recurrent.hiden=4,8",
            "sweep.metod=grid",
            "run.name=a,b",
            "sweep.seed=1,2",
            "optimizer.learning_rate=interval(1e-4,1e-2)",
        )
    said = str(caught.value)
    for part in (
        "task.history=0, -1",
        "Did you mean convlstm?",
        "Did you mean model.recurrent.hidden?",
        "Did you mean sweep.method?",
        "run.name=a,b",
        "the sweep itself is not swept",
        "A grid needs the values",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("word", "way_out"),
    [
        ("sweep.minimize=test/loss", "only a validation/ figure may"),
        ("sweep.trials=3", "sweep.method=random"),
        ("sweep.prune=hyperband", "sweep.method=optuna"),
        ("seed=shuffle(1,2)", "random order"),
        ("optimizer.learning_rate=tag(log,interval(0,1))", "begin above 0"),
        ("run.restart=true", "another run.name"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_way_out(tmp_path: Path, word: str, way_out: str) -> None:
    with pytest.raises(CallError, match=way_out):
        plan_of(tmp_path, "task.history=3,4", word)


def test_a_sweep_of_nothing_is_refused_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "air.nc").touch()
    status, _, said = answer("sweep", *words(tmp_path))
    assert status == 2
    assert "Nothing varies" in said
    assert not (tmp_path / "runs").exists()


def test_optuna_is_asked_for_by_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(CallError, match=r"skyreel\[optuna\]"):
        plan_of(tmp_path, "seed=1,2", "sweep.method=optuna")


def test_the_figure_is_the_one_that_chooses_checkpoints() -> None:
    assert {
        "forecast": (ForecastingModule.monitor, ForecastingModule.mode),
        "caption": (CaptioningModule.monitor, CaptioningModule.mode),
    } == MONITORS


def test_a_sweep_without_a_name_has_one_that_follows_from_what_it_asks(tmp_path: Path) -> None:
    call = [word for word in words(tmp_path) if not word.startswith("run.name")]
    names = [
        read_plan([*call, *more]).name
        for more in (("seed=1,2",), ("seed=1,2", "sweep.parallel=2"), ("seed=1,3",))
    ]
    assert names[0] == names[1] != names[2]


def test_another_figure_counts_at_the_epoch_whose_checkpoint_is_kept(tmp_path: Path) -> None:
    tell(tmp_path, [3.0, 1.0, 2.0], bias=[0.1, 0.5, 0.2])
    course = Course(tmp_path, Ranking("validation/bias", "min", "validation/loss", "min"))
    assert course.update() == [0, 1, 2]
    best = course.best()
    assert best is not None
    assert (best.epoch, best.figure) == (1, 0.5)


def test_the_median_rule_spares_the_better_half_and_what_is_young(tmp_path: Path) -> None:
    rule = MedianRule(LOSS, warmup_epochs=2, warmup_trials=3)
    courses = {n: tell(tmp_path / str(n), [5.0, 4.0, 3.0 + n, 3.0 + n]) for n in range(3)}
    courses[3] = tell(tmp_path / "3", [9.0, 9.0, 4.0])
    courses[4] = tell(tmp_path / "4", [9.0, 9.0, 4.1])
    courses[5] = tell(tmp_path / "5", [math.nan] * 3)
    assert rule.reason(4, 1, courses) is None
    assert rule.reason(3, 2, courses) is None
    assert rule.reason(4, 2, {key: courses[key] for key in (0, 1, 4)}) is None
    assert "median of 4 other trials was 4" in str(rule.reason(4, 2, courses))
    assert "no finite figure" in str(rule.reason(5, 2, courses))


def test_trials_at_once_share_processors_and_have_gpus_of_their_own() -> None:
    options = TrainerOptions(accelerator="auto", devices=2)
    gpus = ["0", "1", "2", "3"]
    assert share_of(0, 1, options, gpus, 8) == {}
    assert share_of(1, 2, options, gpus, 8) == {"CUDA_VISIBLE_DEVICES": "2,3", "OMP_NUM_THREADS": "2"}
    assert share_of(1, 2, TrainerOptions(accelerator="cpu", threads=1), gpus, 8) == {}


def optuna_plan(folder: Path) -> tuple[Plan, Ledger]:
    plan = plan_of(folder, "sweep.method=optuna", LOG, "model=convgru,convlstm", "task.history=range(3,6)")
    plan.folder.mkdir(parents=True, exist_ok=True)
    return plan, open_ledger(plan.folder, plan.asked(), LOSS)


def tried(folder: Path, relaunched: bool) -> list[dict[str, str]]:
    """What Optuna proposes for 14 trials whose loss is their learning rate; every second launch is new."""
    from pipelines.sweeps.optuna_study import OptunaStudy

    plan, ledger = optuna_plan(folder)
    courses: dict[int, Course] = {}
    study = OptunaStudy(plan, ledger, courses)
    for number in range(14):
        if relaunched and number % 2:
            study = OptunaStudy(plan, open_ledger(plan.folder, plan.asked(), LOSS), courses)
        values = study.propose(number)
        trial = Trial(number, plan.trial_name(number), values)
        loss = abs(math.log10(float(values["optimizer.learning_rate"])) + 3)
        courses[number] = tell(ledger.run(trial), [loss + 1, loss])
        ledger.put(trial)
        for epoch in range(2):
            assert study.hopeless(number, epoch, courses) is None
        trial = Trial(number, trial.name, values, "finished", loss, 1, 2)
        ledger.put(trial)
        study.ended(trial)
    return [ledger.trials[number].values for number in range(14)]


def test_optuna_proposes_the_same_whether_it_was_stopped_or_not(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert tried(tmp_path / "a", relaunched=False) == tried(tmp_path / "b", relaunched=True)
