"""Settings from `conf/`, presets, a run's config and `key=value` words: composed by Hydra, validated once."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import conf
from pipelines.changes import flat
from pipelines.mistakes import CallError, Mistake, branch_of, find_mistakes, known_keys, nearest, nearest_key
from pipelines.verbs import ARGUMENTS

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from pipelines.settings import Settings

CONF = Path(conf.__file__).parent
JOBS = CONF / "retrain"
"""Retraining jobs: a file each, which `job=NAME` names; they are no part of the settings of a run."""


@dataclass(frozen=True)
class Composed:
    """Validated settings, the same as plain values, and the keys that the user has still to set."""

    settings: "Settings"
    config: dict[str, Any]
    unset: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """`key=value` words sorted out: choices of groups, values of keys, and what could not be read."""

    choices: dict[str, str]
    values: dict[str, Any]
    mistakes: tuple[Mistake, ...]


def group_choices(folder: Path = CONF) -> dict[str, tuple[str, ...]]:
    """The choices that every group of `conf/` offers, by the group's name."""
    return {
        group.name: tuple(sorted(choice.stem for choice in group.glob("*.yaml")))
        for group in sorted(folder.iterdir())
        if group.is_dir() and not group.name.startswith("_") and group.name != JOBS.name
    }


def read_words(words: Iterable[str]) -> Words:
    """The words of a call by Hydra's grammar (quotes, lists, `${...}`), a mistake for each refused."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, groups = OverridesParser.create(), group_choices()
    choices: dict[str, str] = {}
    values: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for word in words:
        key, equals, text = word.partition("=")
        key = key.lstrip("+")
        if key in groups and equals:
            if text in groups[key]:
                choices[key] = text
            else:
                allowed = f"{key} is one of: {', '.join(groups[key])}."
                if "," in text:
                    allowed += " Several values, each a trial: skyreel sweep."
                mistakes.append(Mistake(key, allowed, text, nearest(text, groups[key])))
            continue
        try:
            override = parser.parse_override(word) if equals and key[:1] != "~" else None
        except HydraException:
            quoted = f"""'{key}="{text}"'"""
            problem = f"This cannot be read as key=value; put what has spaces or signs in quotes: {quoted}."
            mistakes.append(Mistake(key, problem, text))
            continue
        if override is None:
            mistakes.append(_not_an_assignment(word, groups))
        elif override.is_sweep_override():
            mistakes.append(Mistake(key, f"One value goes here; a list has brackets: {key}=[{text}].", text))
        else:
            values[key] = override.value()
    return Words(choices, values, tuple(mistakes))


def _not_an_assignment(word: str, groups: Mapping[str, tuple[str, ...]]) -> Mistake:
    """A word without `=`, and the word that was meant if it is the name of a choice, group or key."""
    from pipelines.settings import Settings

    if word.startswith("~"):
        return Mistake(word, f"Keys are not deleted; write {word.lstrip('~').partition('=')[0]}=null.")
    options = {choice: f"{group}={choice}" for group, names in groups.items() for choice in names}
    if (near := nearest(word, options)) is not None:
        return Mistake(word, "This has no '='; settings are written key=value.", near=options[near])
    key = nearest_key(word, [*groups, *ARGUMENTS, *known_keys(Settings)])
    return Mistake(word, "This has no '='; settings are written key=value.", near=key and f"{key}=...")


def compose(words: Iterable[str], base: Mapping[str, Any] | None = None, data: bool = True) -> Composed:
    """Settings from `conf/` or, where `base` is a run's config, from there; then the words of the call.

    With a base, a group's choice (`trainer=ddp_cpu`) replaces that section by the one from `conf/`.
    CallError tells every mistake at once; keys that are unset are one only where `data` is wanted.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from pydantic import ValidationError

    from pipelines.settings import Settings

    sorted_words = read_words(words)
    mistakes = list(sorted_words.mistakes)
    if base is not None and "experiment" in sorted_words.choices:
        mistakes.append(
            Mistake(
                "experiment", "A preset chooses everything, and run= has chosen already; drop one of the two."
            )
        )
    if base is not None and (unsettled := _unsettled(base)):
        raise CallError([*mistakes, *unsettled])
    tree = _tree(sorted_words.choices if base is not None else _of_one_system(sorted_words.choices), base)
    for key, value in sorted_words.values.items():
        try:
            OmegaConf.update(tree, key, value, force_add=True)
        except (OmegaConfBaseException, AttributeError, TypeError, ValueError) as error:
            mistakes.append(Mistake(key, f"This cannot be set: {_first_line(error)}.", str(value)))
    unset = tuple(sorted(OmegaConf.missing_keys(tree)))
    data = data and not {"data", "experiment"} & {mistake.key for mistake in mistakes}
    try:
        plain = OmegaConf.to_container(tree, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        raise CallError([*mistakes, Mistake(str(error.full_key), f"{_first_line(error)}.")]) from error
    assert isinstance(plain, dict)
    config = _with_experiment({str(key): value for key, value in plain.items()}, sorted_words.choices)
    to_set = _must_be_set(unset, config) if data else []
    try:
        settings = Settings.model_validate(config)
    except ValidationError as error:
        found = find_mistakes(error, config, Settings, [*group_choices(), *ARGUMENTS])
        raise CallError([*mistakes, *found, *to_set]) from None
    if mistakes or to_set:
        raise CallError([*mistakes, *to_set])
    return Composed(settings, settings.model_dump(mode="json"), unset)


def _unsettled(base: Mapping[str, Any]) -> list[Mistake]:
    """A mistake for each value of a run's config that would be looked up here, as in the environment.

    The settings that a run keeps are settled; a config from elsewhere must not fetch what this machine knows.
    """
    problem = "The settings of a run hold values, not where to look them up; write the value itself."
    values = ((key, str(value)) for key, value in flat(base).items())
    return [Mistake(key, problem, value) for key, value in values if "${" in value]


CAPTIONS = {"data": "clips", "task": "caption", "model": "captioner"}
"""What is chosen where one of the three is about captions and the others are not chosen."""


def _of_one_system(choices: Mapping[str, str]) -> dict[str, str]:
    """`choices`, with those of captions beside them where one is about captions; else the weather's hold."""
    import yaml

    if "experiment" in choices:
        return dict(choices)
    for group in CAPTIONS.keys() & choices.keys():
        chosen = yaml.safe_load((CONF / group / f"{choices[group]}.yaml").read_text(encoding="utf-8"))
        if isinstance(chosen, dict) and chosen.get("kind") in ("clips", "caption", "captioner"):
            return {**CAPTIONS, **choices}
    return dict(choices)


def _tree(choices: Mapping[str, str], base: Mapping[str, Any] | None) -> "DictConfig":
    """The sections before single values are set, open to any key: validation finds the unknown ones."""
    from omegaconf import OmegaConf

    if base is not None and not choices:
        return OmegaConf.create(dict(base))
    fresh = copy.deepcopy(_fresh(tuple(choices.items())))
    if base is None:
        return fresh
    tree = OmegaConf.create(dict(base))
    for group in choices:
        if group in fresh:
            tree[group] = fresh[group]
    return tree


@cache
def _fresh(choices: tuple[tuple[str, str], ...]) -> "DictConfig":
    """What `conf/` says under these choices, read once: a sweep composes the same files for every trial."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        fresh = hydra_compose("config", overrides=[f"{group}={name}" for group, name in choices])
    OmegaConf.set_struct(fresh, False)
    return fresh


def _with_experiment(config: dict[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """The config with `run.experiment` settled: as given, else the preset's name, else the data's."""
    run, data = config.get("run") or {}, config.get("data")
    if not isinstance(run, dict) or run.get("experiment") is not None:
        return config
    name = choices.get("experiment") or (data.get("name") if isinstance(data, dict) else None)
    return {**config, "run": {**run, "experiment": str(name)}}


def _must_be_set(unset: Iterable[str], config: dict[str, Any]) -> list[Mistake]:
    """A mistake for each key that waits for a value, with its meaning and the presets that would set it."""
    from pipelines.usage import meanings

    known = meanings(branch_of(config))
    presets = ", ".join(f"experiment={name}" for name in group_choices()["experiment"])
    return [
        Mistake(key, f"This must be set: {known.get(key, 'a value')} Or choose a preset: {presets}.")
        for key in unset
    ]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def to_yaml(config: Mapping[str, Any]) -> str:
    """`config` as YAML, in its own order."""
    import yaml

    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
