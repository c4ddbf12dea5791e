"""A year of sample weather arrives month by month; ledger, aliases and pages tell exactly what happened."""

import json
import subprocess
import sys

import pytest

from tests.pipelines.retraining.arriving_weather import TINY, Year
from tests.pipelines.retraining.story import PATIENCE, Story
from tests.pipelines.small_files import ROOT

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")]

MODEL = "weather"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("year")
    year = Year.make(folder)
    plain = {
        "data": str(year.arrived / "*.nc"),
        "settings": [*TINY, f"paths.runs={folder / 'runs'}", f"paths.stores={folder / 'stores'}"],
        "start": {"new_steps": 80},
        "judge": {"steps": 120, "regions": {"north": {"lat": [45, 90]}, "south": {"lat": [0, 45]}}},
        "gate": {"minimum_gain": 0.001, "block": 8},
        "watch": {"after_steps": 80, "worse_by": 0.01},
    }
    found = Story(folder, MODEL, "year", plain)
    found.write_job()
    year.arrive(1)
    found.fire("first", 1, "trainer.max_steps=4")
    year.arrive(2)
    found.fire("better", 2)
    year.corrupt(3)
    found.fire("corrupt", 3)
    year.arrive(3)
    year.arrive(4)
    found.fire("repaired", 4)
    year.warm(5)
    found.fire("drifts", 5)
    year.arrive(6)
    found.write_job(warm_start={"weights": "scratch"})
    found.fire("worse", 6, "trainer.max_steps=1")
    found.write_job()
    year.arrive(7)
    long = ("trainer.max_steps=200", "trainer.checkpoint_minutes=0.001")
    found.kill(7, *long)
    found.fire("goes on", 7, *long)
    year.arrive(8)
    turned = year.mirrored(folder / "turned", 8)
    found.shoot("bad", "2002-09-01T05:00", f"data.path={turned}/*.nc")
    year.arrive(9)
    found.fire("rolled back", 9)
    found.fire("nothing", 10)
    return found


def test_each_month_came_to_what_it_should(story: Story) -> None:
    told = {name: firing["status"] for name, firing in story.firings.items()}
    assert {name: told[name] for name in ("first", "better", "corrupt", "worse", "bad", "nothing")} == {
        "first": 0,
        "better": 0,
        "corrupt": 11,
        "worse": 11,
        "bad": 0,
        "nothing": 10,
    }
    assert {told[name] for name in ("repaired", "drifts", "goes on", "rolled back")} <= {0, 11}
    assert story.firings["rolled back"]["watch"] == 13
    watched = [firing["watch"] for name, firing in story.firings.items() if name != "rolled back"]
    assert set(watched) <= {0, 11, None}


def test_bad_data_are_refused_before_training_with_the_reason(story: Story) -> None:
    row = story.row("2002-04-01")
    assert row.outcome == "refused"
    assert not row.trained
    assert row.decision is not None
    assert row.decision.look is not None
    told = " ".join(row.decision.look["problems"])
    assert "air" in told


def test_a_drifted_month_is_told(story: Story) -> None:
    row = story.row("2002-06-01")
    assert row.decision is not None
    text = json.dumps(row.decision.drift)
    assert row.decision.drift is not None
    assert '"drifted": true' in text or "air" in json.dumps(row.decision.drift.get("drifted"))


def test_a_worse_challenger_is_refused_and_the_champion_stays(story: Story) -> None:
    row = story.row("2002-07-01")
    assert row.outcome == "refused"
    assert row.trained
    assert row.decision is not None
    assert row.decision.verdict is not None
    assert not row.decision.verdict["passed"]
    assert story.aliases["worse"] == story.aliases["drifts"]


def test_the_shot_that_was_killed_went_on_from_its_checkpoint(story: Story) -> None:
    assert story.row("2002-08-01").outcome in ("promoted", "refused")
    assert story.goes_on("2002-08-01")


def test_the_bad_promotion_was_rolled_back(story: Story) -> None:
    bad = story.aliases["bad"]
    assert bad["previous"] == story.aliases["goes on"]["champion"]
    (row,) = [row for row in story.ledger.history(MODEL) if row.outcome == "rolled_back"]
    assert row.decision is not None
    assert row.decision.former == bad["champion"]
    assert row.now.startswith("2002-10-01")
    assert "is champion again" in str(row.reason)
    after = story.aliases["rolled back"]
    assert bad["champion"] not in (after["champion"], after.get("previous"))


def test_ledger_mlflow_alerts_and_pages_tell_the_same(story: Story) -> None:
    story.check_that_all_tell_the_same()


def test_the_champion_forecasts_at_the_end(story: Story) -> None:
    output = story.folder / "forecast.nc"
    words = [f"model=models:/{MODEL}@champion", f"input={story.folder}/arrived/*.nc", f"output={output}"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "predict", *words, f"paths.runs={story.runs}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert output.exists()
