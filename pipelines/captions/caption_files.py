"""Captions as files: JSON with everything, CSV for a table, WebVTT for a player."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import InputError
from pipelines.captions.written import Written
from pipelines.rundir import write_text

ENDINGS = (".json", ".csv", ".vtt")


def check_output(path: Path, clips: int) -> None:
    """Return when `clips` clips can be written to `path`. Errors: InputError before any work is done."""
    if path.suffix.lower() not in ENDINGS:
        raise InputError(
            f"output={path}: captions are written as {', '.join(ENDINGS)}; choose one of these endings"
        )
    if not path.parent.is_dir():
        raise InputError(f"output={path}: the folder {path.parent} does not exist; make it, or name another")
    if path.suffix.lower() == ".vtt" and clips > 1:
        raise InputError(
            f"output={path}: subtitles belong to one clip, and input= names {clips}; give one clip, or "
            "write .json or .csv"
        )


def write_captions(path: Path, written: Sequence[Written]) -> None:
    """Publish the captions in the form that the ending of `path` says; complete, or not there."""
    forms = {".json": as_json, ".csv": as_csv, ".vtt": as_vtt}
    write_text(path, forms[path.suffix.lower()](written))


def as_json(written: Sequence[Written]) -> str:
    """A list, an object a clip or piece: caption, log_probability, n_best, attention, start and stop (s)."""
    return (
        json.dumps([one.as_plain() for one in written], ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    )


def as_csv(written: Sequence[Written]) -> str:
    """clip, start, stop (s), caption, log_probability."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("clip", "start", "stop", "caption", "log_probability"))
    for one in written:
        plain = one.as_plain()
        writer.writerow(plain[key] for key in ("clip", "start", "stop", "caption", "log_probability"))
    return text.getvalue()


def as_vtt(written: Sequence[Written]) -> str:
    """WebVTT (W3C 2019): a cue a piece, from its start to its stop."""
    cues = [
        f"{_moment(one.start or 0.0)} --> {_moment(one.stop or 0.0)}\n{_escaped(one.sentence)}\n"
        for one in written
        if one.sentence
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _moment(seconds: float) -> str:
    """hours:minutes:seconds.milliseconds."""
    whole = round(seconds * 1000)
    minutes, rest = divmod(whole, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _escaped(text: str) -> str:
    """Text that a player shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
