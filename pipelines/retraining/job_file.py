"""The YAML file of a job, read with the place of every mistake."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import InputError
from pipelines.mistakes import CallError, Mistake


class JobError(CallError):
    """Every mistake in the file of a job, one below the other."""

    def __init__(self, path: Path, mistakes: Sequence[Mistake]) -> None:
        super().__init__(mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        self.args = ("\n".join([f"{path}: {count} in this job; nothing was started.", *map(str, mistakes)]),)


class _Loader(yaml.SafeLoader):
    """YAML in which no key may stand twice: the second one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                first = seen[key.value]
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key.value}' stands here again, first in line {first}", key.start_mark
                )
            seen[str(key.value)] = line
        return super().construct_mapping(node, deep)


def read_job_file(path: Path) -> dict[str, Any]:
    """What the file holds, keys as text. Errors: InputError with the file and the line."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{path}{line}: this is no YAML: {error.problem or error.context}") from None
    except RecursionError:
        raise InputError(f"{path}: this is no YAML of a job: its values lie too deep") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise InputError(f"{path}: this is no YAML: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(found, dict):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise InputError(
            f"{path}: a job is keys with values (experiment:, data:, model:, start:); this holds {what}"
        )
    return {str(key): value for key, value in found.items()}
