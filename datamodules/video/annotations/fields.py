"""Values taken out of JSON records, with an error that says where one is absent or of another kind."""

from pathlib import Path
from typing import Any

from datamodules.errors import InputError


def records_of(value: Any, key: str, path: Path) -> list[dict[str, Any]]:
    """The list of objects under `key`, or `value` itself where it is the list."""
    found = value[key] if isinstance(value, dict) else value
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(f"{path}: '{key}' is to be a list of objects; download the file again")
    return found


def text_in(record: dict[str, Any], key: str, where: str) -> str:
    """The text under `key`."""
    value = record.get(key)
    if not isinstance(value, str):
        raise _wrong(value, key, "text", where)
    return value


def id_in(record: dict[str, Any], key: str, where: str) -> str:
    """The id under `key` as text, whether it is written as text or as a whole number; never empty."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise _wrong(value, key, "an id (text or a whole number)", where)
    return str(value).strip()


def texts_in(record: dict[str, Any], key: str, where: str) -> list[str]:
    """The list of texts under `key`."""
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong(value, key, "a list of texts", where)
    return value


def _wrong(value: Any, key: str, wanted: str, where: str) -> InputError:
    found = "is absent" if value is None else f"is {repr(value)[:40]}"
    return InputError(f"{where}: '{key}' {found}, but {wanted} is wanted there; correct it")
