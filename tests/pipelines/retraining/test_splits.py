"""The newest data judge, older ones train, and a whole window lies between any two splits."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.gridded.windows import split_ranges, split_starts
from datamodules.samples.clips import make_sample_clips
from pipelines.forecasts.data import packed
from pipelines.retraining.champion_data import learnt_clips, seen_maps
from pipelines.retraining.splits import JudgeOptions, SplitPlan, judged_since, plan_splits
from pipelines.rundir import RunDir
from tests.pipelines.captions.small_clips import words as clip_words
from tests.pipelines.retraining.small_data import maps_of, put, ready_run, settings_of, words

JUDGE = JudgeOptions(steps=40, clips=10)


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which three months of maps have arrived."""
    folder = tmp_path_factory.mktemp("quarter")
    put(folder / "arrived", "2001a.nc", maps_of("2001-01-01", "2001-03-31"))
    return folder


@pytest.fixture(scope="module")
def champion(quarter: Path) -> RunDir:
    """A run on the splits that were planned first."""
    plan = plan_splits(settings_of(words(quarter)), JUDGE, None, quarter / "0001")
    return ready_run(quarter / "champion", words(quarter, *plan.words))[0]


def test_a_plan_gives_whole_windows_and_a_window_between_splits(quarter: Path) -> None:
    plan = plan_splits(settings_of(words(quarter)), JUDGE, None, quarter / "0001")
    settings = settings_of(words(quarter, *plan.words))
    store = packed(settings.maps, Path(settings.paths.stores))
    ranges = split_ranges(store.time, settings.maps.split, 5, store.calendar, store.tick)
    counts = {name: len(split_starts(split, store.tick, 3, 2)) for name, split in ranges.items()}
    assert counts["test"] == plan.total == 40
    assert counts["validation"] > 0.1 * counts["train"] > 0
    assert ranges["test"].stop == len(store.time)
    assert ranges["test"].first - ranges["validation"].stop == 5
    assert ranges["validation"].first - ranges["train"].stop == 5
    assert plan.newest == plan.judged[1] == "2001-03-31T18:00:00"
    assert SplitPlan.from_plain(plan.as_plain()) == plan


def test_windows_that_the_champion_has_learned_from_do_not_judge(quarter: Path, champion: RunDir) -> None:
    settings = settings_of(words(quarter))
    store = packed(settings.maps, Path(settings.paths.stores))
    seen = seen_maps(champion, store)
    assert seen.end == store.time[-1]
    assert seen.learnt < store.time[-44]
    plan = plan_splits(settings, JudgeOptions(steps=300), champion, quarter / "0002")
    first = np.datetime64(plan.judged[0], "s").astype(int)
    assert first > seen.learnt
    assert plan.total == (store.time > seen.learnt).sum() - 4


def test_a_champion_with_shares_is_placed_by_its_store_and_without_one_has_seen_all(
    quarter: Path, tmp_path: Path
) -> None:
    run, system = ready_run(tmp_path / "a", words(quarter, "data.split.train=0.6"))
    store = packed(system.settings.maps, quarter / "stores")
    stop = split_ranges(store.time, system.settings.maps.split, 5, store.calendar)["validation"].stop
    assert seen_maps(run, store).learnt == store.time[stop - 1]
    run.provenance.unlink()
    assert seen_maps(run, store).learnt == store.time[-1]
    with pytest.raises(InputError, match="wait for more data"):
        plan_splits(system.settings, JUDGE, run, tmp_path / "0002")


def test_too_few_data_are_refused_with_the_numbers_and_a_way_out(quarter: Path) -> None:
    with pytest.raises(InputError, match=r"judge.steps=350.*360 steps, 356 whole windows.*lower judge.steps"):
        plan_splits(settings_of(words(quarter)), JudgeOptions(steps=350), None, quarter / "0003")


def test_what_arrived_since_a_time_judges_alone(quarter: Path) -> None:
    settings = settings_of(words(quarter))
    plan = judged_since(settings, JUDGE, "2001-03-21T18:00:00", quarter / "0004")
    assert plan.judged == ("2001-03-22T00:00:00", "2001-03-31T18:00:00")
    assert plan.total == 36
    with pytest.raises(InputError, match="no whole forecast window"):
        judged_since(settings, JUDGE, "2001-03-31T00:00:00", quarter / "0004")


def test_the_newest_clips_judge_and_no_clip_is_in_two_lists(tmp_path: Path) -> None:
    clips = make_sample_clips(tmp_path / "data", clips=20, seed=1)
    table = clips / "captions.csv"
    head, *rows = table.read_text().splitlines()
    ids = list(dict.fromkeys(row.split(",")[0] for row in rows))
    table.write_text("\n".join([head, *(row for row in rows if row.split(",")[0] in ids[:35])]) + "\n")
    settings = settings_of(clip_words(clips, tmp_path))
    plan = plan_splits(settings, JUDGE, None, tmp_path / "0001")
    assert plan.judged == tuple(ids[25:35])
    lists = {
        name: (tmp_path / "0001" / f"{name}.txt").read_text().split() for name in ("train", "validation")
    }
    assert lists["train"] + lists["validation"] == ids[:25]
    champion, _ = ready_run(tmp_path / "champion", clip_words(clips, tmp_path, *plan.words))
    table.write_text("\n".join([head, *rows]) + "\n")
    later = plan_splits(settings, JudgeOptions(clips=70), champion, tmp_path / "0002")
    from pipelines.captions.data import read_corpus

    learnt = learnt_clips(champion, read_corpus(settings.clips))
    assert learnt == set(ids[:25])
    assert not learnt & set(later.judged)
    assert later.total == len(ids) - 25
    since = judged_since(settings, JUDGE, ids[:35], tmp_path / "0003")
    assert set(since.judged) <= set(ids[35:])
    with pytest.raises(InputError, match=r"judge\.clips=5000"):
        plan_splits(settings, JudgeOptions(clips=5000), None, tmp_path / "0004")
