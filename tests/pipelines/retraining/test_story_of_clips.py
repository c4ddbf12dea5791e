"""Clips arrive month by month; ledger, aliases and pages tell exactly what happened."""

import json
import subprocess
import sys

import pytest

from tests.pipelines.retraining.arriving_clips import TINY, Walls
from tests.pipelines.retraining.story import PATIENCE, Story
from tests.pipelines.small_files import ROOT

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")]

MODEL = "walls"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("year")
    walls = Walls.make(folder / "arrived")
    data, annotations = (word.split("=", 1)[1] for word in walls.words)
    plain = {
        "data": data,
        "annotations": annotations,
        "settings": [*TINY, f"paths.runs={folder / 'runs'}", f"paths.stores={folder / 'stores'}"],
        "start": {"new_clips": 20, "drift": True},
        "judge": {"clips": 24, "slices": ["length"]},
        "gate": {"minimum_gain": 0.01},
        "watch": {"after_clips": 20, "worse_by": 0.05},
    }
    story = Story(folder, MODEL, "walls", plain)
    story.write_job()
    walls.arrive(1)
    story.fire("unlearnt", 1, "trainer.max_steps=1")
    walls.arrive(2)
    story.fire("first", 2)
    walls.corrupt(3)
    story.fire("corrupt", 3)
    walls.arrive(3)
    walls.chatter(4)
    story.fire("drifts", 4)
    walls.arrive(4)
    walls.arrive(5)
    story.write_job(warm_start={"weights": "scratch"})
    story.fire("worse", 5, "trainer.max_steps=2")
    story.write_job()
    walls.arrive(6)
    long = ("trainer.max_steps=300", "trainer.checkpoint_minutes=0.001")
    story.kill(6, *long)
    story.fire("goes on", 6, *long)
    walls.arrive(7)
    wrong = walls.recoloured(folder / "recoloured", 7)
    story.shoot("bad", "2002-08-01T05:00", f"data.annotations={wrong}/*.csv", "trainer.max_steps=80")
    walls.arrive(8)
    story.fire("rolled back", 8)
    story.fire("nothing", 9)
    return story


def test_each_month_came_to_what_it_should(told: Story) -> None:
    statuses = {name: firing["status"] for name, firing in told.firings.items()}
    sure = ("unlearnt", "first", "corrupt", "worse", "bad", "nothing")
    assert {name: statuses[name] for name in sure} == {
        "unlearnt": 11,
        "first": 0,
        "corrupt": 11,
        "worse": 11,
        "bad": 0,
        "nothing": 10,
    }
    assert {statuses[name] for name in ("drifts", "goes on", "rolled back")} <= {0, 11}
    watched = {name: firing["watch"] for name, firing in told.firings.items()}
    assert watched.pop("rolled back") == 13
    assert set(watched.values()) <= {0, 10, 11, None}


def test_a_first_captioner_below_one_sentence_for_all_clips_is_refused(told: Story) -> None:
    row = told.row("2002-02-01")
    assert (row.outcome, row.trained) == ("refused", True)
    assert "not above the constant caption's" in str(row.reason)
    assert told.aliases["unlearnt"].get("champion") is None


def test_bad_clips_are_refused_before_training_with_the_reasons(told: Story) -> None:
    row = told.row("2002-04-01")
    assert (row.outcome, row.trained) == ("refused", False)
    assert row.decision is not None
    assert row.decision.look is not None
    problems = " ".join(row.decision.look["problems"])
    assert "8 of 24 new clips cannot be read" in problems
    assert "words a caption: 1 now" in problems
    assert told.aliases["corrupt"] == told.aliases["first"]


def test_captions_that_have_drifted_are_told(told: Story) -> None:
    row = told.row("2002-05-01")
    assert row.decision is not None
    assert row.decision.drift is not None
    drifted = {one["variable"] for one in row.decision.drift["rows"] if one["drifted"]}
    assert drifted == {"caption length", "vocabulary"}


def test_a_worse_challenger_is_refused_and_the_champion_stays(told: Story) -> None:
    row = told.row("2002-06-01")
    assert (row.outcome, row.trained) == ("refused", True)
    assert row.decision is not None
    assert row.decision.verdict is not None
    assert not row.decision.verdict["passed"]
    assert told.aliases["worse"]["champion"] == told.aliases["drifts"]["champion"]


def test_the_shot_that_was_killed_went_on_from_its_checkpoint(told: Story) -> None:
    assert told.row("2002-07-01").outcome in ("promoted", "refused")
    assert told.goes_on("2002-07-01")


def test_the_bad_promotion_was_rolled_back(told: Story) -> None:
    bad = told.aliases["bad"]
    assert bad["previous"] == told.aliases["goes on"]["champion"]
    (row,) = [row for row in told.ledger.history(MODEL) if row.outcome == "rolled_back"]
    assert row.decision is not None
    assert row.decision.former == bad["champion"]
    assert row.now.startswith("2002-09-01")
    assert bad["champion"] not in told.aliases["rolled back"].values()


def test_ledger_mlflow_alerts_and_pages_tell_the_same(told: Story) -> None:
    told.check_that_all_tell_the_same()


def test_the_champion_names_the_colours_at_the_end(told: Story) -> None:
    output = told.folder / "captions.json"
    clips = told.folder / "arrived" / "clips"
    words = [f"model=models:/{MODEL}@champion", f"input={clips}/m08*.mp4", f"output={output}"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "predict", *words, f"paths.runs={told.runs}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    right = Walls.colours(8)
    named = [right[one["clip"]] in one["caption"].split() for one in found]
    assert len(named) == 24
    assert sum(named) >= 20
