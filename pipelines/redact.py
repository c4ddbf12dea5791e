"""Texts and settings without their secrets, safe to write into a run directory or a log."""

import re
from collections.abc import Sequence
from typing import Any

SECRET_KEY = re.compile(
    r"(^|[._-])(token|pwd|password|passwd|secret|(api|access|secret)[_-]?key|credentials?)$", re.IGNORECASE
)
USER_INFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@]+@", re.IGNORECASE)
URL_SECRET = re.compile(
    r"(?P<key>[?&;][\w.-]*(?:token|password|secret|key|signature|sig)=)[^&;\s]*", re.IGNORECASE
)
HIDDEN = "***"


def without_secrets(text: str) -> str:
    """`text` with the user part of every address and the secret parts of every query as `***`."""
    text = USER_INFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    return URL_SECRET.sub(rf"\g<key>{HIDDEN}", text)


def command_line(arguments: Sequence[str]) -> list[str]:
    """The arguments, the value of each `key=value` or `--key value` whose key names a secret as `***`."""
    cleaned: list[str] = []
    hide_next = False
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        names_secret = bool(SECRET_KEY.search(key.lstrip("-+~")))
        if hide_next:
            cleaned.append(HIDDEN)
        elif equals and names_secret:
            cleaned.append(f"{key}={HIDDEN}")
        else:
            cleaned.append(without_secrets(argument))
        hide_next = names_secret and not equals and argument.startswith("--")
    return cleaned


def settings_without_secrets(value: Any, key: str = "") -> Any:
    """Plain settings (dicts, lists, scalars; tuples become lists) with every secret as `***`."""
    if isinstance(value, dict):
        return {str(name): settings_without_secrets(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [settings_without_secrets(item, key) for item in value]
    if isinstance(value, str):
        return HIDDEN if value and SECRET_KEY.search(key) else without_secrets(value)
    return value
