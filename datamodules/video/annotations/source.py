"""One annotation file in memory: UTF-8 text, and its JSON where it is JSON."""

import glob
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from datamodules.video.annotations.wording import first_few, near_names

_PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ")
_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, eq=False)
class Source:
    """A file that was read once.

    text: without a byte-order mark.
    json: the value of a JSON file, else None.
    records: line number and object of each line of a JSONL file; empty for other files.
    """

    path: Path
    text: str
    json: Any = None
    records: tuple[tuple[int, dict[str, Any]], ...] = ()

    def describe(self) -> str:
        """What the file looks like, for a message that refuses it."""
        if isinstance(self.json, dict):
            return f"a JSON object with the keys {first_few(map(str, self.json), 8) or '(none)'}"
        if isinstance(self.json, list):
            first = self.json[0] if self.json else None
            keys = f" with the keys {first_few(map(str, first), 8)}" if isinstance(first, dict) else ""
            return f"a JSON list of {len(self.json)}{keys}"
        if self.records:
            return f"lines of JSON with the keys {first_few(self.records[0][1], 8)}"
        return f"text that begins with '{self.text.lstrip().splitlines()[0][:80]}'"


def find_files(paths: str | Path | Sequence[str | Path], key: str) -> tuple[Path, ...]:
    """The files that `paths` names (a file, a glob, or a list of those), without repeats, in that order.

    key: the setting that an InputError about an absent file, or about a folder, names.
    """
    wanted = [paths] if isinstance(paths, str | Path) else list(paths)
    found: list[Path] = []
    for path in (Path(one).expanduser() for one in wanted):
        if path.is_file():
            found.append(path)
            continue
        if path.is_dir():
            names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
            raise InputError(
                f"{key}: {path} is a folder; name the file in it. It holds {first_few(names) or 'no files'}"
            )
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute globs)
        files = [Path(match) for match in matches if Path(match).is_file()]
        if not files:
            raise InputError(f"{key}: there is no file {path}. {near_names(path)} Correct the name.")
        found += files
    if not found:
        raise InputError(f"{key} is an empty list; give a file, a glob, or a list of those")
    return tuple(dict.fromkeys(found))


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, a byte-order mark removed.

    InputError: it cannot be read, is empty, packed, or not UTF-8 (the line and byte are named).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}. {near_names(path)}") from None
    if data.startswith(_PACKED):
        raise InputError(
            f"{path} is compressed; unpack it (gunzip, unzip, bunzip2, unxz) and give what was in"
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(_wants_utf8(path, "it is UTF-16", "UTF-16"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        offset = error.start + 3 * data.startswith(b"\xef\xbb\xbf")
        line = data.count(b"\n", 0, offset) + 1
        what = f"line {line}, byte {offset} of the file is 0x{data[offset]:02x}"
        raise InputError(_wants_utf8(path, what, "WINDOWS-1252")) from None
    if not text.strip():
        raise InputError(f"{path} is empty; copy or download it again")
    return text


def load(path: Path) -> Source:
    """The file, parsed where it is JSON. InputError as `read_text`, and for JSON cut short or wrong."""
    text = read_text(path)
    if path.suffix.lower() in _LINES:
        return Source(path, text, records=_parse_lines(path, text))
    if not text.lstrip().startswith(("{", "[")):
        if path.suffix.lower() == ".json":
            raise InputError(f"{path} is no JSON: it begins with '{text.lstrip()[:40]}'; download it again")
        return Source(path, text)
    try:
        return Source(path, text, json=json.loads(text))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and "\n" in text[: error.pos].lstrip():
            return Source(path, text, records=_parse_lines(path, text))
        raise InputError(_broken_json(path, text, error)) from None


def _parse_lines(path: Path, text: str) -> tuple[tuple[int, dict[str, Any]], ...]:
    """Line number and object of each line that is not blank."""
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}, line {number}, column {error.colno}: no JSON ({error.msg}). In JSONL every line is "
                "one whole object; correct the line, or copy the file again if it is cut short"
            ) from None
        if not isinstance(record, dict):
            raise InputError(f'{path}, line {number}: each line is an object {{"clip": ..., "caption": ...}}')
        records.append((number, record))
    return tuple(records)


def _broken_json(path: Path, text: str, error: json.JSONDecodeError) -> str:
    """Whether the file ends too early or is wrong in its middle, and where."""
    end = len(text.rstrip())
    if error.pos >= end - 4 or error.msg.startswith("Unterminated string"):
        return (
            f"{path} is cut short: its JSON breaks off at line {error.lineno} ({len(text)} characters read). "
            "Copy or download it again"
        )
    return f"{path}, line {error.lineno}, column {error.colno}: no JSON ({error.msg}); correct it"


def _wants_utf8(path: Path, what: str, encoding: str) -> str:
    """That the file is not UTF-8, and the command that makes it so."""
    return (
        f"{path} is not UTF-8: {what}. Convert it: "
        f"iconv -f {encoding} -t UTF-8 {path.name} > {path.stem}_utf8{path.suffix}"
    )
