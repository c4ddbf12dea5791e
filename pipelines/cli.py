"""The command line: flags, verbs, exit status. Nothing slow is imported before a verb runs.

Exit status: 0 success, 2 a mistake in the call or the input, 128 and the signal's number where one ended the
call (130 Ctrl-C, 138 SIGUSR1, 143 SIGTERM), 1 anything else; a verb may have more (`skyreel retrain` has).
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import InputError
from pipelines import interrupts
from pipelines.mistakes import CallError, Mistake, nearest
from pipelines.ranks import end_with_parent
from pipelines.verbs import ARGUMENTS, VERBS, Call, Verb

if TYPE_CHECKING:
    from pipelines.rundir import RunDir

SWITCHES = ("--help", "--version", "--json", "--debug", "--dry-run", "--cfg")

ALSO_SETTINGS = ("experiment", "model")
"""Arguments of some verbs that are groups of settings for the others."""


@dataclass(frozen=True)
class CommandLine:
    """A call taken apart: the verb, its `key=value` words, the switches that were on, the verb's action."""

    verb: str | None
    words: tuple[str, ...]
    switches: frozenset[str]
    action: str | None = None


def run(argv: Sequence[str], verbs: Mapping[str, Verb] = VERBS) -> int:
    """The exit status of `skyreel` called with `argv`; the one place where exceptions become messages."""
    name = "skyreel"
    debug = "--debug" in argv
    end_with_parent()
    try:
        line = read_command_line(argv, verbs)
        name = f"skyreel {line.verb}" if line.verb else name
        interrupts.install()
        return _answer(line, argv, verbs)
    except InputError as error:
        _record(str(error))
        return _tell(f"{name}: {error}", 2)
    except interrupts.Stopped as stop:
        by = "Ctrl-C" if stop.signum == signal.SIGINT else stop.signum.name
        return _tell(f"{name}: stopped by {by}", 128 + stop.signum)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        where = _record(f"{name} failed", error)
        if debug:
            _tell(traceback.format_exc(), 1)
        hint = f"the traceback is in {where}" if where else "--debug shows the traceback"
        return _tell(f"{name}: {type(error).__name__}: {error}\n{hint}", 1)


def read_command_line(argv: Sequence[str], verbs: Mapping[str, Verb] = VERBS) -> CommandLine:
    """The call taken apart. CallError for unknown verbs and switches, all at once."""
    words: list[str] = []
    switches: set[str] = set()
    mistakes: list[Mistake] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            switches.add("--help")
        elif word == "--cfg" or word.startswith("--cfg="):
            what = word.partition("=")[2] or (rest.pop(0) if rest and rest[0] == "job" else "")
            switches.add("--cfg")
            if what != "job":
                mistakes.append(Mistake(word, "This prints the settings: --cfg job."))
        elif word in SWITCHES:
            switches.add(word)
        elif word.startswith("-"):
            near = word.lstrip("-") if "=" in word else nearest(word, SWITCHES)
            problem = f"There is no such switch; there are {', '.join(SWITCHES)}. Settings are key=value."
            mistakes.append(Mistake(word, problem, near=near))
        else:
            words.append(word)
    verb = words.pop(0) if words and ("=" not in words[0] or words[0] in verbs) else None
    if verb is not None and verb not in verbs:
        problem = f"There is no such verb; there are {', '.join(verbs)}."
        mistakes.append(Mistake(verb, problem, near=nearest(verb, verbs)))
    elif verb is None and words:
        mistakes.append(Mistake(words[0], f"A verb comes first: skyreel {'|'.join(verbs)} [key=value ...]."))
    actions = verbs[verb].actions if verb and verb in verbs and "--help" not in switches else {}
    action = words.pop(0) if actions and words and "=" not in words[0] else None
    optional = verb in verbs and verbs[str(verb)].alone and action is None
    if actions and action not in actions and not optional:
        problem = f"{verb} is followed by what to do: {', '.join(actions)}."
        mistakes.append(Mistake(action or str(verb), problem, near=nearest(action or "", actions)))
    if "--dry-run" in switches and verb in verbs and not verbs[str(verb)].tries:
        knowing = ", ".join(name for name, one in verbs.items() if one.tries)
        mistakes.append(
            Mistake("--dry-run", f"{verb} does not know this switch; {knowing or 'no verb'} does.")
        )
    if mistakes:
        raise CallError(mistakes)
    return CommandLine(verb, tuple(words), frozenset(switches), action)


def _answer(line: CommandLine, argv: Sequence[str], verbs: Mapping[str, Verb]) -> int:
    """Help, version or settings where they are asked for, else the verb's own work."""
    if "--version" in line.switches:
        from importlib.metadata import version

        return _say(f"skyreel {version('skyreel')}")
    if line.verb is None or "--help" in line.switches:
        from pipelines import usage

        return _say(usage.verb_usage(line.verb) if line.verb else usage.overview(), 0 if line.switches else 2)
    call, unset = _call(line, tuple(argv), verbs[line.verb])
    if "--cfg" in line.switches:
        from pipelines.compose import to_yaml
        from pipelines.redact import settings_without_secrets

        if unset:
            _tell(f"still to be set: {', '.join(unset)}", 0)
        return _say(to_yaml(settings_without_secrets(call.config)))
    return _work(call, verbs[line.verb], "--debug" in line.switches)


def _call(line: CommandLine, argv: tuple[str, ...], verb: Verb) -> tuple[Call, tuple[str, ...]]:
    """The checked call, and the keys that wait for a value. CallError with every mistake in it."""
    from pipelines.compose import compose

    arguments, words, mistakes = _arguments(line, verb)
    if verb.sweeps:
        return _sweep_call(line, argv, words, mistakes)
    base, own, data = None, tuple(words), verb.data
    if "run" in verb.takes and (named := _named_run(arguments, line)) is not None:
        arguments["run"] = str(named.path)
        base = named.read_config()
    if "job" in arguments:
        from pipelines.retraining.job import job_words, load_job

        words, data = [*job_words(load_job(arguments["job"])), *words], True
    try:
        composed = compose(words, base, data=data and not mistakes and "--cfg" not in line.switches)
    except CallError as error:
        raise CallError([*mistakes, *_of_job(arguments, error.mistakes)]) from None
    if mistakes:
        raise CallError(mistakes)
    call = Call(
        line.verb or "",
        composed.settings,
        composed.config,
        action=line.action,
        json="--json" in line.switches,
        argv=argv,
        words=own,
        dry_run="--dry-run" in line.switches,
        plan=None,
        **arguments,
    )
    return call, composed.unset


def _of_job(arguments: Mapping[str, str], mistakes: Sequence[Mistake]) -> Sequence[Mistake]:
    """Mistakes in the settings, told as the job's where it is the job that makes them."""
    if "job" not in arguments:
        return mistakes
    from pipelines.retraining.job import mistake_of_job

    return [mistake_of_job(arguments["job"], one) for one in mistakes]


def _named_run(arguments: Mapping[str, str], line: CommandLine) -> "RunDir | None":
    """The run directory that `run=` names, or that the registered model of `model=models:/...` holds."""
    from pipelines.compose import compose
    from pipelines.find_run import find_run, runs_folder

    if "run" in arguments:
        return find_run(arguments["run"], runs_folder(line.words))
    if not arguments.get("model", "").startswith("models:/"):
        return None
    from pipelines.registry.fetch import fetch

    where = [word for word in line.words if word.startswith(("tracking.", "tracking=", "paths."))]
    return fetch(arguments["model"], compose(where, data=False).settings)


def _sweep_call(
    line: CommandLine, argv: tuple[str, ...], words: list[str], mistakes: list[Mistake]
) -> tuple[Call, tuple[str, ...]]:
    """As `_call`, of a verb whose words hold lists: the settings are those of the first trial."""
    from pipelines.sweeps.plan import read_plan

    plan = read_plan(words, data="--cfg" not in line.switches, before=mistakes)
    as_json, first = "--json" in line.switches, plan.first
    call = Call(line.verb or "", first.settings, first.config, json=as_json, argv=argv, plan=plan)
    return call, first.unset


def _arguments(line: CommandLine, verb: Verb) -> tuple[dict[str, str], list[str], list[Mistake]]:
    """The verb's own arguments, the words that are settings, and arguments that are missing or not taken."""
    arguments: dict[str, str] = {}
    words: list[str] = []
    mistakes: list[Mistake] = []
    for word in line.words:
        key, equals, text = word.partition("=")
        if not equals or key not in ARGUMENTS or _is_setting(key, text, verb):
            words.append(word)
        elif key not in verb.takes:
            taken = ", ".join(f"{name}=" for name in verb.takes) or "only settings"
            mistakes.append(Mistake(key, f"{line.verb} does not take this; it takes {taken}.", text))
        elif not text:
            mistakes.append(Mistake(key, f"This is empty; give {ARGUMENTS[key]}."))
        else:
            arguments[key] = text
    given = {word.partition("=")[0] for word in line.words}
    if "model" in verb.takes and arguments.get("model", "").startswith("models:/"):
        given.add("run")
    if (plain := _plain_model(words, given, verb)) is not None:
        example = f"model=models:/{plain}@champion"
        told = f"A registered model is named models:/NAME@ALIAS or models:/NAME/VERSION: {example}"
        return arguments, [], [*mistakes, Mistake("model", told, plain)]
    mistakes += [
        Mistake(f"{key}=", f"{line.verb} needs this: {ARGUMENTS[key]}. For example: {verb.example}")
        for key in verb.needs
        if key not in given and "--cfg" not in line.switches
    ]
    return arguments, words, mistakes


def _plain_model(words: Sequence[str], given: Container[str], verb: Verb) -> str | None:
    """What `model=` says where it stands for the run of a registered model, without saying so."""
    if not {"run", "model"} <= set(verb.takes) or "run" not in verb.needs or "run" in given:
        return None
    return next((word.partition("=")[2] for word in words if word.startswith("model=")), None)


def _is_setting(key: str, text: str, verb: Verb) -> bool:
    """Whether a key that is an argument of some verbs (ALSO_SETTINGS) is a setting of this one."""
    if key not in ALSO_SETTINGS:
        return False
    argument = key in verb.takes and (key in verb.needs or not verb.data or text.startswith("models:/"))
    return not argument


def _work(call: Call, verb: Verb, debug: bool) -> int:
    """The verb run; its result on standard output where JSON is asked for, nothing else there."""
    from pipelines.console import rank, set_up_logging

    gc.enable()
    set_up_logging(debug)
    if verb.sources and call.run is None:
        from pipelines.sources import require_sources

        require_sources(call.settings)
    module, _, function = verb.target.partition(":")
    work: Callable[[Call], dict[str, Any]] = getattr(importlib.import_module(module), function)
    quiet = contextlib.redirect_stdout(sys.stderr) if call.json else contextlib.nullcontext()
    with quiet, interrupts.in_order():
        result = work(call)
    status = int(result.pop("exit_status", 0))
    return _say(json.dumps(result, default=str), status) if call.json and not rank() else status


def _record(message: str, error: BaseException | None = None) -> Path | None:
    """The run's log, with the message in it; None where no run has begun."""
    if "pipelines.console" not in sys.modules:
        return None
    from pipelines.console import record

    return record(message, error)


def _say(text: str, status: int = 0) -> int:
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()
    return status


def _tell(text: str, status: int) -> int:
    from pipelines.redact import masked

    sys.stderr.write(masked(text).rstrip("\n") + "\n")
    return status
