"""A job is checked whole before anything starts: every mistake at once, each with the way out."""

import subprocess
import sys
from pathlib import Path

import pytest

from datamodules.errors import InputError
from pipelines.compose import compose
from pipelines.retraining.job import job_words, list_jobs, load_job
from tests.pipelines.small_files import ROOT, answer

GOOD = "experiment: sample_weather\nmodel: weather\nstart: {new_steps: 28}\n"


def write(folder: Path, text: str, name: str = "mine") -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as refused:
        load_job(write(folder, text))
    return str(refused.value)


@pytest.mark.parametrize("name", list_jobs())
def test_the_jobs_that_come_along_are_good_and_say_everything(name: str) -> None:
    job = load_job(name)
    assert job.name == name
    assert job.schedule is not None
    assert job.watch is not None
    assert job.alerts
    settings = compose(job_words(job)).settings
    assert settings.run.experiment.startswith(name)


def test_jobs_for_both_systems_come_along() -> None:
    assert list_jobs() == ["sample_clips", "sample_weather"]


def test_a_job_is_found_by_its_name_in_a_folder_or_by_its_path(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert load_job(path) == load_job("mine", tmp_path)
    assert load_job(path).name == "mine"
    assert list_jobs(tmp_path) == ["mine"]
    assert list_jobs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "value", ["a b/*.nc", "it's", 'say "hi"', "a\\b", "a\\", "a\\'", "back\\\\", "ä,{}[]"]
)
def test_a_path_reaches_the_settings_as_it_is_written(tmp_path: Path, value: str) -> None:
    from yaml import safe_dump

    text = GOOD + safe_dump({"data": value})
    settings = compose(job_words(load_job(write(tmp_path, text)))).settings
    assert settings.maps.path == value
    text = GOOD + safe_dump({"data": [value, "b.nc"]})
    assert compose(job_words(load_job(write(tmp_path, text)))).settings.maps.path == [value, "b.nc"]


def test_the_words_of_a_job_are_experiment_then_settings_then_data(tmp_path: Path) -> None:
    text = "experiment: sample_clips\nmodel: m\nstart: {always: true}\nsettings: [seed=4]\n"
    text += "data: clips\nannotations: [a.csv, b.csv]\n"
    assert job_words(load_job(write(tmp_path, text))) == [
        *("experiment=sample_clips", "seed=4"),
        *("data.path='clips'", "data.annotations=['a.csv','b.csv']"),
    ]


def test_every_mistake_is_told_at_once_with_key_value_what_is_allowed_and_what_was_meant(
    tmp_path: Path,
) -> None:
    told = refusal(
        tmp_path,
        "experiment: sample_wether\nmodel: a/b\nstart: {new_step: 4}\nname: other\n"
        "settings: [trainer.max_step=4, trainer.max_epochs=x, run.name=q]\n"
        "schedule: {cron: '* *', timezone: Europe/Berln}\nalerts: [{kind: fil, path: a}]\n"
        "warm_start: {weights: former}\nlimits: {minutes: 0}\n",
    )
    assert told.startswith(f"{tmp_path / 'mine.yaml'}: 12 mistakes in this job; nothing was started.")
    for part in (
        "settings: experiment=sample_wether\n    experiment is one of: ",
        "Did you mean sample_weather?",
        "model=a/b\n    This is no name of a registered model",
        "start.new_step=4\n    There is no such key; start has new_steps, new_clips,",
        "Did you mean start.new_steps?",
        "name=other\n    A job is called as its file is: mine.",
        "settings: trainer.max_step=4",
        "Did you mean trainer.max_steps?",
        "settings: trainer.max_epochs=x\n    It must be a whole number",
        "settings: run.name=q\n    A job does not set this: each challenger has a name of its own",
        "schedule.cron=* *",
        "did you mean Europe/Berlin.",
        "alerts.0.kind=fil\n    It must be 'command', 'file' or 'webhook'. Did you mean file?",
        "warm_start.weights=former",
        "limits.minutes=0",
    ):
        assert part in told


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    told = refusal(tmp_path, "experiment: sample_weather\n")
    assert "model\n    This must be set." in told
    assert "start\n    This must be set." in told


def test_keys_of_the_other_system_are_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, GOOD.replace("new_steps", "new_clips") + "watch: {after_clips: 3}\n")
    assert "start.new_clips=28\n    This job reads maps, so start.new_steps counts." in told
    assert "watch.after_clips=3\n    This job reads maps, so watch.after_steps counts." in told
    told = refusal(tmp_path, GOOD.replace("sample_weather", "sample_clips"))
    assert "This job reads clips, so start.new_clips counts." in told


@pytest.mark.parametrize("word", ["start=runs/a", "run.restart=true", "run.sweep=b", "data.path=x"])
def test_settings_that_are_not_for_the_job_to_say_are_refused(tmp_path: Path, word: str) -> None:
    told = refusal(tmp_path, f"{GOOD}settings: ['{word}']\ndata: y\n")
    assert f"settings: {word}\n    A job does not set this" in told


def test_a_job_may_leave_the_data_to_its_settings_or_to_the_call(tmp_path: Path) -> None:
    assert load_job(write(tmp_path, f"{GOOD}settings: [data.path=x]\n")).data is None
    assert load_job(write(tmp_path, "model: m\nstart: {always: true}\n")).experiment is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: a\nstart: [1", "mine.yaml, line 2, column 10: this is no YAML"),
        ("model: a\n\tstart: 1", "mine.yaml, line 2, column 1: this is no YAML"),
        (
            "model: a\nstart: {drift: true}\nmodel: b\n",
            "line 3, column 1: this is no YAML: 'model' stands here",
        ),
        ("start:\n  drift: true\n  drift: false\n", "line 3, column 3"),
        ("", "this holds nothing"),
        ("- model: a\n", "this holds a list"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"model: \xff\xfe")
    with pytest.raises(InputError, match=r"mine\.yaml: this is no YAML"):
        load_job(str(path))
    path.write_text("model: \x07")
    with pytest.raises(InputError, match=r"mine\.yaml: this is no YAML"):
        load_job(str(path))


def test_a_job_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean job=sample_weather"):
        load_job("sample_wether")
    write(tmp_path, GOOD)
    with pytest.raises(InputError, match=r"Did you mean job=.*mine\.yaml"):
        load_job(str(tmp_path / "mein.yaml"))
    with pytest.raises(InputError, match="there is no job in"):
        load_job("mine", tmp_path / "nowhere")


def test_reading_a_job_imports_nothing_slow() -> None:
    code = (
        "import sys; from pipelines.retraining.job import load_job; load_job('sample_weather');"
        "slow = ('torch', 'mlflow', 'pytorch_lightning', 'matplotlib', 'xarray');"
        "print([one for one in slow if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_job_whose_data_were_never_there_is_a_mistake_told_at_once(tmp_path: Path) -> None:
    job = write(tmp_path, GOOD.replace("model:", f"data: {tmp_path}/mpas/*.nc\nmodel:"))
    for more in ("--dry-run", f"paths.stores={tmp_path / 'stores'}"):
        status, _, said = answer("retrain", f"job={job}", f"paths.runs={tmp_path / 'runs'}", more)
        assert status == 2
        assert f"job=mine: data: {tmp_path}/mpas/*.nc: there is nothing" in said
    assert not (tmp_path / "mpas").exists()
    assert not (tmp_path / "runs").exists()


def test_a_job_that_names_no_data_is_told_in_its_own_words(tmp_path: Path) -> None:
    job = write(tmp_path, "model: m\nstart: {always: true}\n")
    status, _, said = answer("retrain", f"job={job}", f"paths.runs={tmp_path / 'runs'}")
    assert status == 2
    assert f"job={job} says neither data:" in said
    assert "data.path" not in said


@pytest.mark.parametrize(
    "text", ["? [a, b]\n: c\n", "when: 2026-02-30\n", "data: " + "[" * 2000], ids=["key", "date", "deep"]
)
def test_whatever_a_file_holds_it_is_told_as_a_mistake_in_it(tmp_path: Path, text: str) -> None:
    assert "mine.yaml" in refusal(tmp_path, text)
