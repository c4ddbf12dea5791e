"""What METEOR and the Penn Treebank's tokeniser need: a Java, and the programs that pycocoevalcap brings."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

INSTALL = "pip install 'skyreel[java]'"
SHOWN_LINES = 20
"""Of what Java wrote before it failed."""


class JavaError(ValueError):
    """Java or one of its programs is missing or failed; the message says which, and shows what Java wrote."""


def require_java() -> str:
    """The path of Java, where pycocoevalcap is there as well. Errors: JavaError with what is missing."""
    java = shutil.which("java")
    if java is None:
        raise JavaError(
            "java is not on the path; install a Java runtime (8 or newer; on Debian: default-jre)"
        )
    _package()
    return java


def _package() -> Path:
    """The folder of pycocoevalcap, without importing it."""
    found = importlib.util.find_spec("pycocoevalcap")
    if found is None or not found.submodule_search_locations:
        raise JavaError(f"pycocoevalcap, which brings the Java programs, is not installed: {INSTALL}")
    return Path(next(iter(found.submodule_search_locations)))


def start(
    jar: str, words: Sequence[str], errors: IO[bytes], options: Sequence[str] = ()
) -> "subprocess.Popen[bytes]":
    """A program of pycocoevalcap, started, with pipes to its standard input and output.

    jar: relative to pycocoevalcap's folder.     words: the class and what it takes.     options: Java's own.
    errors: the file for what it writes to standard error.
    Errors: JavaError where Java, pycocoevalcap or the jar is missing, or Java does not start.
    """
    java = require_java()
    path = _package() / jar
    if not path.is_file():
        raise JavaError(f"{path} is missing; install pycocoevalcap again: {INSTALL}")
    try:
        return subprocess.Popen(
            [java, "-Dfile.encoding=UTF-8", *options, "-cp", str(path), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    except OSError as error:
        raise JavaError(f"{java} did not start: {error}") from None


def failure(program: str, what: str, errors: IO[bytes]) -> JavaError:
    """The error for a `program` that did not do its work: `what` happened, and the end of what it wrote."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines() or ["(nothing)"]
    return JavaError("\n    ".join([f"{program} {what}; Java wrote:", *lines[-SHOWN_LINES:]]))


def encode(text: str) -> bytes:
    """UTF-8, with a question mark for half a surrogate pair, which no encoding can hold."""
    return text.encode("utf-8", errors="replace")


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program and all that it has started; nothing happens to one that has ended."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def close_input(process: "subprocess.Popen[bytes]") -> None:
    """Close the program's standard input, whether or not it still listens."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
