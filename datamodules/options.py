"""What the settings of all data sets share. Imports nothing slow."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def sentence(text: str) -> PydanticCustomError:
    """A validation error whose message is `text`, as the user will read it."""
    return PydanticCustomError("mistake", "{text}", {"text": text})


def check_name(name: str) -> str:
    """A name that can be a folder's."""
    if NAME.fullmatch(name) is None:
        raise sentence(
            f"'{name}' becomes a folder: use letters, digits, '_', '-', '.'; begin with a letter or digit"
        )
    return name


def _check_paths(paths: str | list[str]) -> str | list[str]:
    """At least one path, none of them empty."""
    if not paths or not all(paths):
        raise sentence("this is empty; give a file, a folder, a glob, or a list of those")
    return paths


Paths = Annotated[str | list[str], AfterValidator(_check_paths)]


class Options(BaseModel):
    """Settings that cannot be changed and allow nothing extra."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DownloadOptions(Options):
    """Where a published data set comes from, and the hash that proves it.

    url:  of the file that belongs at data.path, or of an archive (.zip, .tar, .tar.gz, ...) of the folder
          that belongs there; unset where the source is not one file to fetch
    page: where people find it and read about it
    """

    page: str = Field(pattern=r"^https?://.+")
    url: str | None = Field(default=None, pattern=r"^https?://.+")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
