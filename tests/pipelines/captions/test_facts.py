"""Tables of what a right sentence names: read as people write them, refused before anything is trained."""

from pathlib import Path

import pytest

from datamodules.errors import InputError
from pipelines.captions.data import read_facts
from tests.pipelines.captions.small_clips import words
from tests.pipelines.small_files import answer


def test_a_spreadsheets_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_bytes("\ufeffclip;split;Thing;\r\nä 1;test;ball|disc;\r\n2;test;;\r\n".encode())
    assert read_facts(path) == {"thing": {"ä 1": "ball|disc", "2": ""}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clip,thing\n1\n", "line 2: 1 cells, but the header has 2"),
        ("clip,split\n1,test\n", "a column 'clip', and one a fact"),
        ("thing\nball\n", "a column 'clip', and one a fact"),
        ("clip,all\n1,ball\n", "no fact is called 'all'"),
        ("clip,thing\n1,ball\n1,box\n", "line 3: a second row of a clip"),
        ("", "is empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "facts.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"data\.facts: ") as found:
        read_facts(path)
    assert told in str(found.value)


def test_facts_of_other_clips_are_refused(clips: Path, tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_text("clip,thing\nother,ball\n")
    status, _, said = answer("prepare", *words(clips, tmp_path, f"data.facts={path}"))
    assert status == 2
    assert "none of which is a test clip" in said
