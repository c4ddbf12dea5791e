"""Texts and settings without their secrets, safe to write into a run directory or a log.

Three nets, one behind the other. The login of a tracking address is taken out of it before anybody uses it
(`split_login`). What is written down on purpose (settings, the command line, addresses) loses what looks like
a secret. And every log line and error message also loses the secrets that the environment holds (`masked`).
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

_WORDS = r"token|pwd|passphrase|password|passwd|secret|(?:api|access|secret|private)[_-]?key|credentials?"
SECRET_KEY = re.compile(rf"(^|[._-])({_WORDS})$", re.IGNORECASE)
"""Settings whose value is a secret."""
SECRET_VARIABLE = re.compile(rf"password|(^|_)({_WORDS}|access_key_id)(_|$)", re.IGNORECASE)
"""Environment variables whose value is a secret, such as HF_TOKEN and MLFLOW_TRACKING_PASSWORD."""
FOLDERS = ("PWD", "OLDPWD")
"""Variables that are called like a secret and hold the shell's working directory."""
USER_INFO = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://|https?:/)(?:[^\s/?#'\"]*:[^\s?#'\"]*|[^\s/?#'\"]*)@", re.I
)
URL_SECRET = re.compile(
    r"(?P<key>[?&;][\w.-]*(?:token|password|secret|key|signature|sig|credential)\w*=)[^&;\s'\"]*", re.I
)
HEADER = re.compile(r"\b(?P<scheme>Bearer|Authorization\W+\w+)\s+[\w.~+/=-]{6,}", re.I)
HIDDEN = "***"
SHORTEST = 6
"""Letters that a secret of the environment has at least: shorter ones would black out ordinary words."""


def without_secrets(text: str) -> str:
    """`text` with the user part of every address, the secret parts of every query and logins as `***`.

    It depends on the text alone. A password with a '/' in it is hidden too; an address such as
    http://host:80/a@b loses more than it must.
    """
    text = USER_INFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = URL_SECRET.sub(rf"\g<key>{HIDDEN}", text)
    return HEADER.sub(rf"\g<scheme> {HIDDEN}", text)


def masked(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """`without_secrets(text)`, and every secret that the environment holds as `***`: for logs and messages.

    Never for settings, which are read again: a password may be an ordinary word.
    """
    text = without_secrets(text)
    for secret in known_secrets(environment):
        text = text.replace(secret, HIDDEN)
    return text


def known_secrets(environment: Mapping[str, str]) -> list[str]:
    """The values of secret variables, and the passwords in addresses that others hold; the longest first.

    As they are and as they stand in an address; of SHORTEST letters or more. A file or folder that is there
    is the place of a secret, not one.
    """
    found = [
        value
        for name, value in environment.items()
        if SECRET_VARIABLE.search(name) and name not in FOLDERS and not _is_place(value)
    ]
    for value in environment.values():
        if "://" in value and "@" in value:
            found += [password for _, password in [_login(value)] if password]
    written = {form for secret in found for form in (secret, unquote(secret), quote(secret, safe=""))}
    return sorted((one for one in written if len(one) >= SHORTEST), key=lambda one: (-len(one), one))


def _is_place(value: str) -> bool:
    """Whether the text is the absolute path of something that is there."""
    try:
        return value.startswith("/") and Path(value).exists()
    except (OSError, ValueError):
        return False


def split_login(uri: str) -> tuple[str, str | None, str | None]:
    """The address without its login, the user and the password; None where there is none.

    A login that was hidden when the settings were kept (`***`) is none either.
    """
    scheme, mark, rest = uri.partition("://")
    place, slash, path = rest.partition("/")
    if not mark or "@" not in place:
        return uri, None, None
    user, password = _login(uri)
    clean = f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"
    return clean, None if user in (None, HIDDEN) else user, password


def _login(uri: str) -> tuple[str | None, str | None]:
    """User and password of an address, decoded."""
    try:
        user, _, password = urlsplit(uri).netloc.rpartition("@")[0].partition(":")
    except ValueError:
        return None, None
    return unquote(user) or None, unquote(password) or None


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
            cleaned.append(masked(argument))
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


class MaskedFormatter(logging.Formatter):
    """A formatter whose lines, tracebacks included, hold no secret."""

    def format(self, record: logging.LogRecord) -> str:
        """The line as the form says, masked."""
        return masked(super().format(record))
