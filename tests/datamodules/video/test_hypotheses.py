"""Anybody's sentences are read one a clip; none is lost or chosen among in silence."""

from pathlib import Path

import pytest

from datamodules.errors import InputError
from datamodules.video.annotations.hypotheses import read_hypotheses
from tests.datamodules.video.annotation_files import write, write_json


def test_hypotheses_are_read_from_result_json_csv_and_jsonl(tmp_path: Path) -> None:
    wanted = {"7": "a dog", "b": ""}
    entries = [{"image_id": 7, "caption": "a dog "}, {"image_id": "b", "caption": " "}]
    assert read_hypotheses(write_json(tmp_path / "a.json", entries)) == wanted
    assert read_hypotheses(write(tmp_path / "a.csv", "clip;caption\r\n7;a dog\r\nb;\r\n")) == wanted
    lines = '{"clip": 7, "caption": "a dog"}\n{"clip": "b", "caption": ""}\n'
    assert read_hypotheses(write(tmp_path / "a.jsonl", lines)) == wanted


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "clip,caption\na,x\nb,y\na,x\n", "more than one sentence for 1 clip: a"),
        ("a.json", '[{"image_id": 1, "caption": "x"}, {"image_id": 1, "caption": "y"}]', "for 1 clip: 1"),
        ("a.json", '[{"caption": "x"}]', "entry 0: 'clip' is absent"),
        ("a.json", "[]", "holds no sentence"),
        (
            "a.json",
            '{"images": []}',
            "hypotheses: .*a JSON object with the keys images.*Allowed: COCO result",
        ),
        ("a.txt", "a dog\n", "text that begins with 'a dog'"),
    ],
)
def test_hypotheses_that_cannot_be_scored_are_refused(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_hypotheses(write(tmp_path / name, text))
