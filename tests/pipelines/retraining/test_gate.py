"""The gate promotes what is better beyond chance, and says why it refuses everything else."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.gate import clips, forecasts, promoted
from pipelines.retraining.gate import GateOptions, GuardOptions, Verdict, decide
from pipelines.retraining.paired import Cell, Paired

ROOT = Path(__file__).resolve().parents[3]


def better(gain: float = 0.15, cases: int = 120) -> Paired:
    """Overlapping forecasts of a challenger that is better by `gain`."""
    return forecasts(cases, 0.5, gain, np.random.default_rng(5))


def scaled(paired: Paired, factor: float, **named: str) -> Paired:
    """The same scores, the challenger's multiplied in the cells that are named so."""
    chosen = [all(getattr(cell, key) == value for key, value in named.items()) for cell in paired.cells]
    return replace(paired, challenger=np.where(chosen, paired.challenger * factor, paired.challenger))


def test_a_challenger_that_is_clearly_better_passes_with_its_gain_and_interval() -> None:
    verdict = decide(better(), GateOptions(), 0)
    assert verdict.passed
    assert verdict.reasons == ()
    assert 0 < verdict.gain.low < verdict.gain.value < verdict.gain.high
    assert verdict.gain.value == pytest.approx(0.15, abs=0.04)
    assert verdict.told.startswith("better by ")
    assert verdict.cases == 120
    assert verdict.block >= 4


def test_the_gain_is_the_mean_over_the_cells_of_the_whole_of_the_error_saved() -> None:
    found = better()
    whole = [number for number, cell in enumerate(found.cells) if cell.part == "all"]
    rmse = [np.sqrt(scores[:, whole].mean(axis=0)) for scores in (found.champion, found.challenger)]
    verdict = decide(found, GateOptions(), 0)
    assert verdict.gain.value == pytest.approx(float((1 - rmse[1] / rmse[0]).mean()))
    cell = next(one for one in verdict.cells if one["part"] == "all")
    assert (cell["champion"], cell["challenger"]) == pytest.approx((rmse[0][0], rmse[1][0]))


def test_groups_are_leads_variables_and_regions_of_forecasts_and_metrics_and_slices_of_clips() -> None:
    kinds = [(group.kind, group.name) for group in decide(better(), GateOptions(), 0).groups]
    assert kinds == [
        *(("lead", f"{hours}h") for hours in (6, 12, 18, 24)),
        ("variable", "variable 0"),
        ("variable", "variable 1"),
        ("region", "west"),
        ("region", "east"),
    ]
    spoken = decide(clips(200, 0.2, np.random.default_rng(0)), GateOptions(), 0)
    assert [(group.kind, group.name) for group in spoken.groups] == [
        ("metric", "cider_d"),
        ("slice", "short captions"),
        ("slice", "long captions"),
    ]
    assert spoken.block == 1


@pytest.mark.parametrize("named", [{"lead": "24h"}, {"quantity": "variable 1"}, {"part": "east"}])
def test_a_part_that_is_worse_than_its_guard_refuses_and_is_named(named: dict[str, str]) -> None:
    spoilt = scaled(better(0.3), 2.5, **named)
    verdict = decide(spoilt, GateOptions(), 0)
    assert not verdict.passed
    (name,) = named.values()
    assert any(name in reason and "gate.guards." in reason for reason in verdict.reasons)
    assert [group.name for group in verdict.groups if not group.ok] == [name]
    free = GuardOptions(lead=None, variable=None, region=None)
    assert decide(spoilt, GateOptions(guards=free), 0).passed


def test_models_that_score_the_same_in_every_case_are_refused_as_such() -> None:
    found = better()
    verdict = decide(replace(found, challenger=found.champion.copy()), GateOptions(), 0)
    assert verdict.reasons == ("the two have the same score in every case",)
    assert verdict.gain.value == verdict.gain.low == verdict.gain.high == 0


def test_a_worse_challenger_is_called_worse_and_a_small_gain_too_small() -> None:
    found = better()
    swapped = replace(found, champion=found.challenger, challenger=found.champion)
    assert "is worse" in decide(swapped, GateOptions(), 0).told
    small = replace(found, challenger=found.champion * 0.995**2)
    verdict = decide(small, GateOptions(), 0)
    assert "less than gate.minimum_gain, 1.00 %" in verdict.told
    assert verdict.gain.low > 0
    assert decide(small, GateOptions(minimum_gain=0.001), 0).passed


def test_too_few_cases_are_refused_with_the_number_that_is_needed() -> None:
    found = better(0.3, cases=24)
    verdict = decide(found, GateOptions(), 0)
    assert not verdict.passed
    assert "24 forecast times are too few" in verdict.told
    assert f"{8 * verdict.block}" in verdict.told
    spoken = decide(clips(6, 0.9, np.random.default_rng(0)), GateOptions(), 0)
    assert "6 clips are too few" in spoken.told


def test_a_block_that_is_asked_for_is_taken_but_never_less_than_windows_overlap() -> None:
    assert decide(better(), GateOptions(block=10), 0).block == 10
    assert decide(better(), GateOptions(block=1), 0).block == 4


def test_values_missing_in_both_do_not_count_and_missing_in_the_challenger_alone_refuse() -> None:
    found = better()
    holes = np.random.default_rng(0).random(found.champion.shape) < 0.1
    both = replace(
        found,
        champion=np.where(holes, np.nan, found.champion),
        challenger=np.where(holes, np.nan, found.challenger),
    )
    verdict = decide(both, GateOptions(), 0)
    assert verdict.passed
    assert np.isfinite([verdict.gain.low, verdict.gain.high]).all()
    diverged = found.challenger.copy()
    diverged[17] = np.inf
    verdict = decide(replace(found, challenger=diverged), GateOptions(), 0)
    assert not verdict.passed
    assert (
        f"no finite score in 1 of 120 cases in which the champion has one, the first {found.cases[17]}"
        in (verdict.told)
    )


def test_nothing_to_compare_is_refused_and_json_knows_it() -> None:
    found = better()
    nothing = np.full_like(found.champion, np.nan)
    verdict = decide(replace(found, champion=nothing, challenger=nothing), GateOptions(), 0)
    assert "nothing can be compared" in verdict.told
    assert json.loads(json.dumps(verdict.as_plain(), allow_nan=False))["gain"]["value"] is None
    none = replace(found, cases=(), champion=nothing[:0], challenger=nothing[:0])
    assert decide(none, GateOptions(), 0).reasons == verdict.reasons[-1:]


def test_a_champion_that_scores_nothing_is_beaten_by_one_that_scores() -> None:
    cells = (Cell("cider_d", "", "all"),)
    nothing, something = np.zeros((40, 1)), np.full((40, 1), 0.4)
    ids = tuple(map(str, range(40)))
    verdict = decide(Paired(ids, cells, nothing, something, "mean", 1, {}), GateOptions(), 0)
    assert verdict.passed
    assert verdict.gain.value == 1
    verdict = decide(Paired(ids, cells, something, nothing, "mean", 1, {}), GateOptions(), 0)
    assert not verdict.passed
    assert verdict.gain.value == -1


def test_a_slice_of_a_few_clips_is_told_but_not_guarded() -> None:
    found = clips(200, 0.4, np.random.default_rng(2))
    few = np.arange(200)[:, None] < 5
    scores = [
        np.concatenate([one[:, :1], np.where(few, one[:, :1] * factor, np.nan)], axis=1)
        for one, factor in ((found.champion, 1.0), (found.challenger, 0.1))
    ]
    cells = (Cell("cider_d", "", "all"), Cell("cider_d", "", "of five"))
    verdict = decide(Paired(found.cases, cells, *scores, "mean", 1, {}), GateOptions(), 0)
    group = verdict.groups[-1]
    assert (group.name, group.cases, group.guard, group.ok) == ("of five", 5, None, True)
    assert verdict.passed


def test_the_same_scores_options_and_seed_give_the_same_verdict() -> None:
    one, other = (decide(better(), GateOptions(), 3) for _ in range(2))
    assert one == other
    assert isinstance(one, Verdict)
    assert decide(better(), GateOptions(), 4).gain != one.gain


def test_a_verdict_is_plain_json() -> None:
    plain = json.loads(json.dumps(decide(better(), GateOptions(), 0).as_plain(), allow_nan=False))
    assert plain["passed"] is True
    assert set(plain["gain"]) == {"value", "low", "high"}
    assert set(plain["groups"][0]) == {"kind", "name", "gain", "guard", "ok", "cases"}
    assert len(plain["cells"]) == len(better().cells)


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"minimum_gain": -0.1}, {"gain": 0.1}])
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        GateOptions.model_validate(options)


def test_equally_good_models_seldom_pass_and_better_ones_mostly() -> None:
    assert promoted(lambda rng: forecasts(240, 0.6, 0.0, rng), 40)[0] <= 0.05
    assert promoted(lambda rng: forecasts(240, 0.6, 0.05, rng), 15)[0] >= 0.8
    assert promoted(lambda rng: clips(1000, 0.0, rng), 20)[0] <= 0.05
    assert promoted(lambda rng: clips(1000, 0.12, rng), 10)[0] >= 0.8


@pytest.mark.slow
def test_over_two_hundred_pairs_a_line_the_benchmark_holds_what_is_promised() -> None:
    command = [sys.executable, "-m", "benchmarks.gate", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["pairs"] == 200
    assert all(row["equal"] <= 0.05 for row in found["rows"])
    assert all(row["better"] >= 0.8 for row in found["rows"] if row["promised"])
