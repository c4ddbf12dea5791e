"""Names in files from elsewhere choose among the data of the user and never lead out of their folder."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.video.annotations.read import read_annotations
from datamodules.video.foreign_features import open_foreign_features
from tests.datamodules.video.annotation_files import write, write_json

BAD = ("../../out.mp4", "/etc/passwd", "a/../../out.mp4", "C:\\out.mp4", "\\\\host\\out.mp4", "..")


@pytest.mark.parametrize("name", BAD)
def test_a_table_that_leads_out_is_refused_with_the_line_and_the_clip(tmp_path: Path, name: str) -> None:
    lines = write(tmp_path / "a.csv", f"clip,caption,file\nfine,a dog,a.mp4\nbad,a cat,{name}\n")
    with pytest.raises(InputError, match=r"a\.csv, line 3, clip 'bad': the file .* data\.path"):
        read_annotations(lines)


@pytest.mark.parametrize("name", BAD)
def test_coco_files_that_lead_out_are_refused_with_the_image(tmp_path: Path, name: str) -> None:
    said = [{"image_id": 1, "caption": "a dog"}]
    official = {"images": [{"id": 1, "file_name": name}], "annotations": said}
    with pytest.raises(InputError, match=r"images\[0\]: the file"):
        read_annotations(write_json(tmp_path / "captions_val.json", official))
    image = {"cocoid": 1, "filepath": "val2014", "filename": name, "sentences": [{"raw": "a dog"}]}
    with pytest.raises(InputError, match=r"images\[0\]: the file"):
        read_annotations(write_json(tmp_path / "karpathy.json", {"images": [image]}))


def test_an_id_reaches_no_features_beside_the_folder(tmp_path: Path) -> None:
    for name in ("inside/a.npy", "out.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, np.zeros((2, 3), np.float32))
    made = open_foreign_features(tmp_path / "inside")
    for clip in ("../out", str(tmp_path / "out")):
        assert clip not in made
        with pytest.raises(InputError, match="out"):
            made.features(clip)


def test_an_hdf5_file_reads_no_other_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = np.ones((2, 3), np.float32)
    (tmp_path / "raw.bin").write_bytes(bytes(24))
    layout = h5py.VirtualLayout((2, 3), np.float32)
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (2, 3))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["a"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file.create_group("clips")["a"] = h5py.ExternalLink("secret.h5", "x")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("a", (2, 3), np.float32, external=[(str(tmp_path / "raw.bin"), 0, 24)])
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("a", layout)
    for name, told in (
        ("link", "link to the file"),
        ("group", "link"),
        ("raw", "other files"),
        ("virtual", "other"),
    ):
        with pytest.raises(InputError, match=told):
            open_foreign_features(tmp_path / f"{name}.h5")
