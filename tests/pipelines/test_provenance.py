"""provenance.json says where a run comes from, and keeps no secret."""

import subprocess
from pathlib import Path

import pytest

from pipelines import provenance
from pipelines.redact import command_line, settings_without_secrets, without_secrets
from pipelines.rundir import RunDir


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pass@host/db", "postgresql://***@host/db"),
        ("http://host:5000", "http://host:5000"),
        ("https://host/a?token=abc&x=1", "https://host/a?token=***&x=1"),
        ("a failure at http://u:p@h, again", "a failure at http://***@h, again"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
    ],
)
def test_addresses_lose_their_secrets(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_the_command_line_loses_its_secrets_and_nothing_else() -> None:
    arguments = [
        "train",
        "tracking.uri=http://me:x@h",
        "a.password=y",
        "--api-key",
        "z",
        "model.max_tokens=20",
    ]
    assert command_line(arguments) == [
        "train",
        "tracking.uri=http://***@h",
        "a.password=***",
        "--api-key",
        "***",
        "model.max_tokens=20",
    ]


def test_settings_lose_their_secrets_at_any_depth() -> None:
    found = settings_without_secrets({"a": {"token": "x", "list": ("http://u:p@h", 1)}, "secret": None})
    assert found == {"a": {"token": "***", "list": ["http://***@h", 1]}, "secret": None}


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_the_commit_is_told_and_whether_the_code_differs_from_it(tmp_path: Path) -> None:
    code = tmp_path / "pipelines" / "__init__.py"
    code.parent.mkdir()
    code.write_text('"""a"""\n')
    assert provenance.code_version(tmp_path)["commit"] is None
    git(tmp_path, "init")
    assert provenance.code_version(tmp_path)["commit"] is None, "a checkout of something else is not ours"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a")
    clean = provenance.code_version(tmp_path)
    assert len(clean["commit"]) == 40
    assert clean["changed"] is False
    code.write_text('"""b"""\n')
    assert provenance.code_version(tmp_path)["changed"] is True


def test_a_launch_is_described(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    digests = {"ncep": {"digest": "abc", "sources": ["a.nc"]}}
    found = provenance.write(run, seed=3, data=digests, arguments=["skyreel", "train", "x.token=t"])
    assert provenance.read(run) == found
    assert found["command"] == ["skyreel", "train", "x.token=***"]
    assert found["packages"]["torch"]
    assert found["host"]["processors"] >= 1
    assert found["host"]["memory"] > 1e8
    assert found["data"] == digests
    assert found["seed"] == 3
    assert found["start"].endswith("+00:00")
    assert found["mlflow"] is None
    assert provenance.run_tags(found)["mlflow.source.name"] == "skyreel train x.token=***"


def test_a_second_launch_keeps_the_first_and_the_mlflow_run(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    provenance.write(run, seed=0, data={}, arguments=["one"])
    provenance.note_mlflow(run, "http://u:p@h", "weather", "abc")
    provenance.note_end(run, "KILLED")
    found = provenance.write(run, seed=0, data={}, arguments=["two"])
    assert found["mlflow"] == {"tracking_uri": "http://***@h", "experiment": "weather", "run_id": "abc"}
    assert [launch["command"] for launch in found["earlier"]] == [["one"]]
    assert found["earlier"][0]["status"] == "KILLED"
    assert found["end"] is None
