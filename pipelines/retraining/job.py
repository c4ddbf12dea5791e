"""A retraining job: a YAML file in `conf/retrain/`, checked as a whole before anything starts."""

import re
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from datamodules.errors import InputError
from datamodules.options import Options, Paths, check_name, sentence
from pipelines.compose import JOBS, compose, read_words
from pipelines.mistakes import CallError, Mistake, find_mistakes, nearest, shown
from pipelines.retraining.alerts import AlertOptions
from pipelines.retraining.data_checks import ChecksOptions
from pipelines.retraining.drift import DriftOptions
from pipelines.retraining.gate_options import GateOptions
from pipelines.retraining.job_file import JobError, read_job_file
from pipelines.retraining.limits import LimitsOptions, WatchOptions
from pipelines.retraining.retention import RetentionOptions
from pipelines.retraining.splits import JudgeOptions
from pipelines.retraining.triggers import StartOptions
from pipelines.scheduling.options import ScheduleOptions

if TYPE_CHECKING:
    from pipelines.settings import Settings

MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]*")
OURS = {
    "run.name": "each challenger has a name of its own, <job>-<shot>",
    "run.restart": "a challenger that was stopped goes on",
    "run.sweep": "a challenger is no trial of a sweep",
    "start": "warm_start says which weights a challenger begins from",
    "data.path": "data says so",
    "data.annotations": "annotations says so",
}
"""Settings that a job does not set among its words, and why; the last two only where it has the key."""
OF_KIND = {
    "gridded": ("start.new_clips", "watch.after_clips", "maps"),
    "clips": ("start.new_steps", "watch.after_steps", "clips"),
}
"""By the kind of data: keys of the other kind, and what this kind is called."""


def _check_model(name: str) -> str:
    if not MODEL.fullmatch(name):
        raise sentence(
            "this is no name of a registered model: use letters, digits, '_', '-', '.', spaces; begin with a "
            "letter or digit"
        )
    return name


class WarmStartOptions(Options):
    """Which weights a challenger begins from.

    weights: champion (the champion's) or scratch (random ones).
    scratch_every: every so many challengers one begins from scratch all the same; null for none.
    """

    weights: Literal["champion", "scratch"] = "champion"
    scratch_every: int | None = Field(default=None, ge=2)


class Job(Options):
    """What is kept fresh, from which data, and what a challenger must show.

    name: of the job; the file's.
    experiment: the preset that challengers are trained with; null where settings say everything.
    settings: further words as `skyreel train` takes them: [task.horizon=8, trainer.max_minutes=10].
    data: a file, folder, glob or list that grows; becomes data.path.
    annotations: the captions of clips that grow; becomes data.annotations.
    model: the registered model whose champion the job keeps.
    """

    name: Annotated[str, AfterValidator(check_name)]
    experiment: str | None = None
    settings: list[str] = Field(default=[])
    data: Paths | None = None
    annotations: Paths | None = None
    model: Annotated[str, AfterValidator(_check_model)]
    schedule: ScheduleOptions | None = None
    start: StartOptions
    warm_start: WarmStartOptions = WarmStartOptions()
    judge: JudgeOptions = JudgeOptions()
    gate: GateOptions = GateOptions()
    checks: ChecksOptions = ChecksOptions()
    drift: DriftOptions = DriftOptions()
    limits: LimitsOptions = LimitsOptions()
    watch: WatchOptions | None = None
    alerts: list[AlertOptions] = Field(default=[])
    keep: RetentionOptions = RetentionOptions()


def list_jobs(folder: Path = JOBS) -> list[str]:
    """The names of the jobs in a folder, sorted; none where there is no such folder."""
    return sorted(path.stem for path in folder.glob("*.yaml") if not path.name.startswith("."))


def jobs_folder(named: str) -> Path:
    """The folder of jobs that `jobs=` names. Errors: InputError where there is no such folder."""
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise InputError(f"jobs={named}: there is no such folder; give a folder of YAML files, a job each")
    return folder


def load_job(named: str, folder: Path | None = None) -> Job:
    """The job that a name in `folder` (conf/retrain), or the path of a YAML file, stands for.

    The settings that it names are composed too, so that a mistake in them is found before anything starts.
    Errors: InputError with every mistake at once: in the file (with its line), in its keys, in the settings.
    """
    path = _file_of(named, folder or JOBS)
    plain = read_job_file(path)
    given = plain.setdefault("name", path.stem)
    mistakes: list[Mistake] = []
    if given != path.stem:
        mistakes.append(Mistake("name", f"A job is called as its file is: {path.stem}.", str(given)))
    job: Job | None = None
    try:
        job = Job.model_validate(plain)
    except ValidationError as error:
        mistakes += find_mistakes(error, plain, Job)
    words = job_words(job) if job is not None else _words_of(plain)
    if words is not None:
        settings, found = _composed(words)
        mistakes += [*_ours(plain, words), *found]
        if job is not None and settings is not None:
            mistakes += _of_other_kind(job, settings)
    if mistakes or job is None:
        raise JobError(path, mistakes)
    return job


def job_words(job: Job) -> list[str]:
    """The job's settings as words of a call, which `compose` and `skyreel train` take."""
    words = [f"experiment={job.experiment}"] if job.experiment else []
    words += job.settings
    for key, value in (("data.path", job.data), ("data.annotations", job.annotations)):
        if value is not None:
            words.append(f"{key}={_written(value)}")
    return words


def require_data(job: Job, settings: "Settings") -> None:
    """Return when something lies where the job's data are. Errors: InputError that names the job's key.

    For a job that has never seen its data: later an absent delivery is bad data, of which people are told.
    """
    if settings.data.download is not None:
        return
    places = {
        "data": job.data and (settings.data.path or job.data),
        "annotations": job.annotations and (getattr(settings.data, "annotations", None) or job.annotations),
    }
    for key, place in places.items():
        for one in [place] if isinstance(place, str) else place or []:
            pattern = str(Path(one).expanduser())
            if "://" not in one and not glob(pattern, recursive=True):  # noqa: PTH207 (absolute globs)
                raise InputError(
                    f"job={job.name}: {key}: {one}: there is nothing, seen from {Path.cwd()}. Paths in a job "
                    "begin at the folder in which skyreel is called, or are absolute"
                )


def mistake_of_job(job: str, mistake: Mistake) -> Mistake:
    """A mistake in the call as one in its job, where it is the job that does not say which data."""
    keys = {"data.path": "data", "data.annotations": "annotations"}
    if mistake.key not in keys or "must be set" not in mistake.problem:
        return mistake
    key = keys[mistake.key]
    told = f"job={job} says neither {key}: (the files, as they grow) nor experiment: with data of its own."
    return Mistake(key, f"This must be set in the job: {told}")


def _written(value: str | list[str]) -> str:
    """A path or several, quoted for the grammar of settings."""
    if isinstance(value, str):
        # Of backslashes the grammar reads only those before a quote, and at the end, as escapes.
        escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + (found[2] and "\\'"), value)
        return f"'{escaped}'"
    return f"[{','.join(map(_written, value))}]"


def _words_of(plain: dict[str, Any]) -> list[str] | None:
    """As `job_words`, of a file that has mistakes elsewhere; None where these keys themselves are wrong."""
    keys = {key: plain.get(key) for key in ("experiment", "settings", "data", "annotations")}
    needed = {"name": "job", "model": "model", "start": {"always": True}}
    try:
        return job_words(Job.model_validate({**needed, **{key: keys[key] for key in keys if keys[key]}}))
    except ValidationError:
        return None


def _composed(words: Sequence[str]) -> "tuple[Settings | None, list[Mistake]]":
    """The settings, and the mistakes in them, told as the job's. The call may still say which data."""
    try:
        return compose(words, data=False).settings, []
    except CallError as error:
        return None, [
            Mistake(f"settings: {one.key}", one.problem, one.value, one.near) for one in error.mistakes
        ]


def _ours(plain: dict[str, Any], words: Sequence[str]) -> Iterator[Mistake]:
    """Settings that are not for the job to say, or that it says twice."""
    given = read_words([word for word in words if word in (plain.get("settings") or [])]).values
    for key, why in OURS.items():
        mine = key.startswith("data.") and not plain.get({"data.path": "data"}.get(key, "annotations"))
        if key in given and not mine:
            yield Mistake(f"settings: {key}", f"A job does not set this: {why}.", shown(given[key]))


def _of_other_kind(job: Job, settings: "Settings") -> Iterator[Mistake]:
    """Keys that count maps where the job reads clips, or the other way round."""
    *keys, what = OF_KIND[settings.data.kind]
    values = {
        "start.new_clips": job.start.new_clips,
        "start.new_steps": job.start.new_steps,
        "watch.after_clips": job.watch and job.watch.after_clips,
        "watch.after_steps": job.watch and job.watch.after_steps,
    }
    for key in keys:
        if values[key] is not None:
            here = key.replace("clips", "steps") if what == "maps" else key.replace("steps", "clips")
            yield Mistake(key, f"This job reads {what}, so {here} counts.", str(values[key]), near=here)


def _file_of(named: str, folder: Path) -> Path:
    """The file of a job. Errors: InputError that names the nearest."""
    path = Path(named).expanduser()
    is_path = path.suffix in (".yaml", ".yml") or len(path.parts) > 1
    if is_path and path.is_file():
        return path
    if not is_path and (folder / f"{named}.yaml").is_file():
        return folder / f"{named}.yaml"
    where = path.parent if is_path else folder
    known = (
        [str(path.with_name(f"{name}.yaml")) for name in list_jobs(where)] if is_path else list_jobs(where)
    )
    near = nearest(named, known, cutoff=0.4)
    there = f"jobs are {', '.join(known)}" if known else f"there is no job in {where}"
    hint = f". Did you mean job={near}?" if near else ""
    raise InputError(f"job={named}: neither a job in {folder} nor the path of a YAML file; {there}{hint}")
