"""evaluate: the same checkpoint gives the same figures, on one rank and on two."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.pipelines.conftest import Trained
from tests.pipelines.small_files import answer, result, start

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the finished run that may be changed."""
    return Path(shutil.copytree(trained.run.path, tmp_path / "copied"))


def test_a_second_judgement_gives_the_figures_of_the_first(trained: Trained, copied: Path) -> None:
    (copied / "metrics.json").unlink()
    found = result("evaluate", f"run={copied}")
    assert found["metrics"] == pytest.approx(trained.result["metrics"], rel=1e-9)
    assert json.loads((copied / "metrics.json").read_text()) == found["metrics"]
    assert (copied / "skill.csv").read_text().splitlines()[0] == "variable,lead_hours,metric,model,value"


def test_a_run_is_found_by_its_mlflow_id(trained: Trained) -> None:
    runs = f"paths.runs={trained.folder / 'runs'}"
    before = trained.run.metrics.read_text()
    last = trained.run.last
    found = result("evaluate", f"run={trained.result['mlflow_run_id']}", runs, f"checkpoint={last}")
    assert found["run"] == str(trained.run.path)
    assert trained.run.metrics.read_text() == before


def test_two_ranks_give_the_figures_of_one(trained: Trained, copied: Path) -> None:
    words = ("trainer=ddp_cpu", "trainer.devices=2", "trainer.precision=32", "trainer.threads=1")
    with start("evaluate", f"run={copied}", *words, "--json") as process:
        out, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert json.loads(out)["metrics"] == pytest.approx(trained.result["metrics"], rel=1e-6)
    assert json.loads((copied / "metrics.json").read_text()) == json.loads(out)["metrics"]


def test_another_checkpoint_is_judged_without_touching_the_run(copied: Path, tmp_path: Path) -> None:
    other = torch.load(copied / "checkpoints" / "best.ckpt", weights_only=True)
    other["state_dict"] = {
        name: value + 0.1 if value.is_floating_point() and name.startswith("model.decoder") else value
        for name, value in other["state_dict"].items()
    }
    torch.save(other, tmp_path / "other.ckpt")
    before = (copied / "metrics.json").read_text()
    found = result("evaluate", f"run={copied}", f"checkpoint={tmp_path / 'other.ckpt'}")
    assert found["metrics"]["test/rmse/air/6h"] != json.loads(before)["test/rmse/air/6h"]
    assert (copied / "metrics.json").read_text() == before


def test_what_cannot_be_judged_is_refused(trained: Trained, tmp_path: Path) -> None:
    text = tmp_path / "text.ckpt"
    text.write_text("root:x:0:0\n" * 50)
    for words, told in (
        (["run=nowhere"], "not a run directory"),
        ([f"run={tmp_path}"], "no config.yaml"),
        ([f"run={trained.run.path}", "checkpoint=nowhere.ckpt"], "no such checkpoint"),
        ([f"run={trained.run.path}", f"checkpoint={text}"], "not a checkpoint of this model"),
        ([f"run={trained.run.path}", "model=lstm"], "not a checkpoint of this model"),
    ):
        status, _, said = answer("evaluate", *words)
        assert (status, told in said) == (2, True), said
