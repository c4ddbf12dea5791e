"""Champion and challenger are scored on the same forecasts, each as its own test would score it."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import InputError
from pipelines.forecasts.case_errors import CaseErrors, errors_file
from pipelines.retraining.deciding import _lacks
from pipelines.retraining.paired import Cell, changed_most, paired_for
from pipelines.retraining.splits import JudgeOptions, plan_splits
from tests.pipelines.retraining.small_data import maps_of, put, ready_run, settings_of, words

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),  # Lightning asks torch so
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*litlogger.*"),
]

JUDGE = JudgeOptions(steps=30, regions={"north": {"lat": (40, 90)}})


def test_paired_errors_are_those_of_each_run_s_own_test_whatever_its_history(tmp_path: Path) -> None:
    put(tmp_path / "arrived", "2001.nc", maps_of("2001-01-01", "2001-03-31"))
    longer = "task.history=4"
    plan = plan_splits(settings_of(words(tmp_path, longer)), JUDGE, None, tmp_path / "0001")
    champion, mine = ready_run(tmp_path / "champion", words(tmp_path, *plan.words))
    challenger, other = ready_run(tmp_path / "challenger", words(tmp_path, *plan.words, longer, "seed=9"))
    settings = settings_of(words(tmp_path, *plan.words, longer))
    paired = paired_for(champion, challenger, settings, tmp_path / "0001", JUDGE)
    assert paired.form == "root_mean_square"
    assert paired.least_block == 2
    assert len(paired.cases) == plan.total == 30
    assert paired.cells[:2] == (Cell("air", "6h", "all"), Cell("air", "6h", "north"))
    whole = [i for i, cell in enumerate(paired.cells) if cell.part == "all"]
    for run, system, found in ((champion, mine, paired.champion), (challenger, other, paired.challenger)):
        system.judge(run, run.best)
        own = CaseErrors.read(errors_file(run))
        rows = [own.cases.index(case) for case in paired.cases]
        np.testing.assert_allclose(found[:, whole], own.squared[rows, :, 0], rtol=1e-5)
    assert not np.allclose(paired.champion[:, 1], paired.champion[:, 0])

    changed = changed_most(champion, challenger, settings, tmp_path / "0001", paired)
    assert changed
    for one in changed:
        assert (tmp_path / "0001" / one["picture"]).stat().st_size > 5000
        assert (one["champion"] > one["challenger"]) == one["better"]


def test_a_champion_of_other_variables_or_a_region_without_a_cell_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "arrived", "2001.nc", maps_of("2001-01-01", "2001-02-28"))
    run, _ = ready_run(tmp_path / "a", words(tmp_path))
    settings = settings_of(words(tmp_path))
    south = JudgeOptions(regions={"south": {"lat": (-90, -60)}})
    with pytest.raises(InputError, match=r"judge.regions.south: no cell"):
        paired_for(run, run, settings, tmp_path, south)
    put(tmp_path / "arrived", "2001.nc", maps_of("2001-01-01", "2001-02-28").rename(air="sst"))
    with pytest.raises(InputError, match="trained on air"):
        paired_for(run, run, settings, tmp_path, JUDGE)
    moved = maps_of("2001-01-01", "2001-02-28")
    put(tmp_path / "arrived", "2001.nc", moved.assign_coords(lat=moved.lat - 20))
    with pytest.raises(InputError, match=r"latitude 10 to 60.* and the data are .*latitude -10 to 40"):
        paired_for(run, run, settings, tmp_path, JUDGE)


def test_a_challenger_that_forecasts_less_than_the_champion_is_told(tmp_path: Path) -> None:
    put(tmp_path / "arrived", "2001.nc", maps_of("2001-01-01", "2001-02-28"))
    short, long = (
        ready_run(tmp_path / f"h{horizon}", words(tmp_path, f"task.horizon={horizon}"))[0]
        for horizon in (1, 2)
    )
    assert _lacks(short, long) is None
    assert "would lose lead times" in str(_lacks(long, short))
