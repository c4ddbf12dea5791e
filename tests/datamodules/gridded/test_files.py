"""Source files are read as numbers: nothing in them is run."""

import json
import os
import pickle
from pathlib import Path

import pytest

from datamodules.errors import InputError
from datamodules.gridded.files import Files


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("place", ["filters", "compressor"])
def test_pickles_in_a_zarr_store_are_never_read(tmp_path: Path, place: str, merged: bool) -> None:
    codec = {"id": "pickle"}
    text = {"id": "vlen-utf8"}
    array = {
        "zarr_format": 2,
        "shape": [4],
        "chunks": [4],
        "dtype": "|O",
        "order": "C",
        "fill_value": None,
        "filters": [text, codec] if place == "filters" else [text],
        "compressor": codec if place == "compressor" else None,
    }
    about = {".zgroup": {"zarr_format": 2}, "s/.zarray": array, "s/.zattrs": {"_ARRAY_DIMENSIONS": ["time"]}}
    folder = tmp_path / "maps.zarr"
    (folder / "s").mkdir(parents=True)
    for name, content in about.items():
        (folder / name).write_text(json.dumps(content))
    if merged:
        (folder / ".zmetadata").write_text(json.dumps({"metadata": about, "zarr_consolidated_format": 1}))
    (folder / "s" / "0").write_bytes(pickle.dumps(Bomb(tmp_path / "it-ran")))
    files = Files()
    with pytest.raises(InputError, match=r"maps\.zarr.*pickles\), which are never read"):
        files.inspect(folder)
    assert not (tmp_path / "it-ran").exists()
