"""Small annotation files as each data set publishes them, for the tests of several modules."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MSVD_HEADER = "VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description\n"


def write(path: Path, text: str) -> Path:
    """The file, holding exactly this text in UTF-8."""
    path.write_bytes(text.encode())
    return path


def write_json(path: Path, value: Any) -> Path:
    """The file, holding the value as JSON."""
    return write(path, json.dumps(value))


def msrvtt(path: Path, splits: dict[str, str], captions: int = 2) -> Path:
    """An MSR-VTT file of the videos (id -> its split word), with so many captions each."""
    videos = [
        {"video_id": name, "split": word, "start time": 137.72, "end time": 149.44, "url": "u", "category": 9}
        for name, word in splits.items()
    ]
    sentences = [
        {"video_id": name, "caption": f"{name} says {number}", "sen_id": number}
        for number in range(captions)
        for name in splits
    ]
    return write_json(path, {"info": {}, "videos": videos, "sentences": sentences})


def msvd(folder: Path, rows: Sequence[str], mapping: Sequence[str] = ()) -> Path:
    """video_corpus.csv with these rows, youtube_mapping.txt beside it where lines of one are given."""
    if mapping:
        write(folder / "youtube_mapping.txt", "\n".join(mapping) + "\n")
    return write(folder / "video_corpus.csv", MSVD_HEADER + "\n".join(rows) + "\n")


def coco(path: Path, images: dict[int, list[str]]) -> Path:
    """COCO captions of the images (id -> captions)."""
    return write_json(
        path,
        {
            "images": [{"id": image, "file_name": f"{image:012d}.jpg"} for image in images],
            "annotations": [
                {"id": number, "image_id": image, "caption": caption}
                for image, captions in images.items()
                for number, caption in enumerate(captions)
            ],
        },
    )
