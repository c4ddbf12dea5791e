"""Real clips learnt by heart, and one content in two codecs; twins on generated clips beside them."""

import csv
import json
from pathlib import Path

import av
import pytest

from tests.pipelines.small_files import result

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]

SMALL = ("trainer=cpu", "trainer.precision=32", "trainer.threads=1", "tracking=off")


def places(folder: Path, name: str) -> tuple[str, ...]:
    return (f"paths.runs={folder / 'runs'}", f"paths.stores={folder / 'stores'}", f"run.name={name}")


def right(run: str) -> int:
    """How many test clips got the very words of their reference."""
    found = json.loads((Path(run) / "predictions" / "test.json").read_text())
    return sum(one["caption"] == one["references"][0] for one in found)


def test_all_20_signs_are_learnt_by_heart(real_data: Path, tmp_path: Path) -> None:
    call = ("experiment=signs", f"paths.data={real_data}", *places(tmp_path, "signs"), *SMALL)
    assert right(result("train", *call)["run"]) == 20


def test_clips_named_by_their_caption_are_learnt_by_heart(clips: Path, tmp_path: Path) -> None:
    few = tmp_path / "named"
    few.mkdir()
    for number, path in enumerate(sorted((clips / "clips").iterdir())[:6]):
        (few / f"{'abcdef'[number]} word.mp4").write_bytes(path.read_bytes())
    call = ("experiment=signs", f"data.path={few}", *places(tmp_path, "names"), *SMALL)
    assert right(result("train", *call)["run"]) == 6


def one_sentence_in_both_codecs(first: list[Path], second: list[Path], folder: Path) -> None:
    """Train on the first files, and compare what is written for either."""
    with (folder / "captions.csv").open("w", newline="") as file:
        rows = [(path.stem, f"a clip of a {path.stem}", path.name) for path in first]
        csv.writer(file).writerows([("clip", "caption", "file"), *rows])
    run = result(
        "train",
        "experiment=signs",
        "data.name=codecs",
        f"data.path={first[0].parent}",
        f"data.annotations={folder / 'captions.csv'}",
        "trainer.max_epochs=60",
        *places(folder, "codecs"),
        *SMALL,
    )["run"]
    assert right(run) == len(first)
    for one, other in zip(first, second, strict=True):
        written = []
        for path in (one, other):
            output = folder / f"{path.name}.json"
            result("predict", f"run={run}", f"input={path}", f"output={output}")
            written.append(json.loads(output.read_text())[0]["caption"])
        assert written[0] == written[1] == f"a clip of a {one.stem}"


def test_mp4_and_webm_of_the_same_content_get_the_same_sentence(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "video" / "mdn"
    one_sentence_in_both_codecs(sorted(folder.glob("*.mp4")), sorted(folder.glob("*.webm")), tmp_path)


def test_generated_clips_get_the_same_sentence_in_another_codec(clips: Path, tmp_path: Path) -> None:
    first, second = [], []
    for name, path in zip("abcd", sorted((clips / "clips").iterdir()), strict=False):
        first.append(tmp_path / f"{name}.mp4")
        first[-1].write_bytes(path.read_bytes())
        second.append(tmp_path / f"{name}.webm")
        with av.open(str(path)) as source, av.open(str(second[-1]), "w") as target:
            stream = target.add_stream("libvpx", rate=8, options={"crf": "10", "b": "1M"})
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for frame in source.decode(video=0):
                target.mux(stream.encode(frame))
            target.mux(stream.encode())
    (tmp_path / "first").mkdir()
    moved = [path.rename(tmp_path / "first" / path.name) for path in first]
    one_sentence_in_both_codecs(moved, second, tmp_path)
