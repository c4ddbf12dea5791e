"""Champion and challenger caption the same clips, and are scored as each one's own test scores them."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.samples.clips import make_sample_clips
from pipelines.retraining.paired import Paired, changed_most, paired_for
from pipelines.retraining.paired_captions import kept_sentences
from pipelines.retraining.splits import JudgeOptions, plan_splits
from tests.pipelines.captions.small_clips import words as clip_words
from tests.pipelines.retraining.small_data import ready_run, settings_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),  # Lightning asks torch so
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*litlogger.*"),
]

JUDGE = JudgeOptions(clips=10)


def test_paired_scores_are_those_of_each_run_s_own_test(tmp_path: Path) -> None:
    clips = make_sample_clips(tmp_path / "data", clips=20, seed=1)
    settings = settings_of(clip_words(clips, tmp_path))
    plan = plan_splits(settings, JUDGE, None, tmp_path / "0001")
    mine = clip_words(clips, tmp_path, *plan.words)
    champion, one = ready_run(tmp_path / "champion", mine)
    challenger, other = ready_run(tmp_path / "challenger", [*mine, "seed=9"])
    settings = settings_of(mine)
    paired = paired_for(champion, challenger, settings, tmp_path / "0001", JUDGE)
    assert paired.cases == plan.judged
    assert (paired.form, paired.least_block) == ("mean", 1)
    for run, system, found in ((champion, one, paired.champion), (challenger, other, paired.challenger)):
        metrics = system.judge(run, run.best, publish=False).metrics
        for column, cell in enumerate(paired.cells):
            name = f"test/facts/{cell.part}" if cell.quantity == "facts" else f"test/{cell.quantity}"
            if cell.part == "all" or cell.quantity == "facts":
                assert np.nanmean(found[:, column]) == pytest.approx(metrics[name], abs=1e-9)
    parts = [cell.part for cell in paired.cells]
    long, short = (
        np.isfinite(paired.champion[:, parts.index(f"{name} captions")]) for name in ("long", "short")
    )
    assert (long ^ short).all()
    assert {"thing", "colour", "motion"} <= set(parts)

    assert [row["clip"] for row in kept_sentences(tmp_path / "0001")] == list(paired.cases)
    better = paired.champion.copy()
    better[0, 0] += 1.0
    shown = Paired(paired.cases, paired.cells, paired.champion, better, "mean", 1, paired.units)
    changed = changed_most(champion, challenger, settings, tmp_path / "0001", shown)
    assert [(row["case"], row["better"]) for row in changed] == [(paired.cases[0], True)]
    assert (tmp_path / "0001" / changed[0]["picture"]).stat().st_size > 5000
