"""The verbs by name, what each takes, what it is called with. A verb's module is imported when it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.settings import Settings
    from pipelines.sweeps.plan import Plan

ARGUMENTS = {
    "run": "a run directory, or the id of its MLflow run",
    "checkpoint": "a checkpoint file instead of the run's best",
    "input": "the files to read: a file, a folder, a glob",
    "output": "the file to write",
    "hypotheses": "captions to judge: COCO results (JSON), CSV or JSONL (clip, caption), or lines of text",
    "references": "what people said: COCO captions, MSVD, MSR-VTT, VATEX, CSV, JSONL, or lines of text",
    "tokenizer": "ptb (Penn Treebank's; needs Java), words (no case, no punctuation), plain (white space)",
    "forecast": "a forecast to judge: NetCDF with reference times and lead times, whoever made it",
    "truth": "what happened: the files to judge the forecast by; a file, a folder, a glob",
    "climatology": "a climatology to judge it beside: NetCDF by day of the year, by month, or by time",
    "model": "a registered model: a name, or models:/NAME@ALIAS, models:/NAME/VERSION",
    "alias": "what a registered version is to be called, such as champion",
    "job": "a retraining job: its name in conf/retrain/, or a YAML file",
    "jobs": "a folder of retraining jobs instead of conf/retrain/",
    "now": "the time that is taken to be now (2026-11-22T06:00, UTC unless it says otherwise)",
    "since": "replay what was due from this time on, without waiting",
    "until": "where the replay ends",
    "parallel": "how many jobs may be at work at once; 1 without it",
    "wait": "how long a stopped scheduler waits for shots at work, such as 10m; then it leaves them running",
    "runs": "several runs: directories or MLflow run ids, with commas between",
    "experiment": "an experiment in MLflow; all of them without it",
    "filter": "which runs: metrics.NAME<2, params.NAME=x, tags.NAME=x, status=FINISHED, with `and` between",
    "sort": "a figure or tag to sort by; -NAME puts the largest first",
    "columns": "what to show, with commas between: figures, params.NAME, tags.NAME",
    "limit": "how many at most",
    "metric": "the figure that decides; -NAME where the largest is best",
}
"""What a call may hold beside settings, as `name=value`."""


@dataclass(frozen=True)
class Verb:
    """One verb: `target` is "module:function", called with a `Call`, and returns its result as plain values.

    takes:  the arguments it reads.      needs: those that must be given.      example: a call that works.
    data:   whether the settings must say which data (a verb that reads none runs without).
    sources: whether it reads the source files, so that a wrong path is told before anything slow is imported.
    sweeps: whether its keys take several values; it is called with a plan of trials.
    actions: words of which one follows the verb, with their meanings; none for most verbs.
    alone:  whether the verb has a meaning without any of its actions.
    tries:  whether it knows --dry-run.
    """

    target: str
    summary: str
    example: str
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    data: bool = True
    sources: bool = False
    sweeps: bool = False
    actions: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    tries: bool = False


VERBS = {
    "prepare": Verb(
        target="pipelines.prepare:prepare",
        summary="Reads and checks the source files, packs what is packed, and tells what it found.",
        example="skyreel prepare data=netcdf data.path=my_files/",
        sources=True,
    ),
    "train": Verb(
        target="pipelines.train:train",
        summary="Trains a network, judges it on the test split, and fills a run directory.",
        example="skyreel train experiment=sample_weather run.name=first trainer.max_minutes=5",
        takes=("run",),
        sources=True,
    ),
    "sweep": Verb(
        target="pipelines.sweep:sweep",
        summary="Trains one run for each of several settings, a process each, and tells which is best.",
        example="skyreel sweep experiment=sample_weather run.name=first model.recurrent.hidden=8,16,32",
        sources=True,
        sweeps=True,
    ),
    "evaluate": Verb(
        target="pipelines.evaluate:evaluate",
        summary="Judges the checkpoint of a run on its test split again.",
        example="skyreel evaluate run=runs/sample_weather/first",
        takes=("run", "model", "checkpoint"),
        needs=("run",),
    ),
    "predict": Verb(
        target="pipelines.predict:predict",
        summary="Writes a forecast (CF NetCDF) of the newest maps, or captions (JSON, CSV, WebVTT) of clips.",
        example="skyreel predict run=runs/sample_weather/first input=maps.nc output=forecast.nc",
        takes=("run", "model", "checkpoint", "input", "output"),
        needs=("run",),
    ),
    "score": Verb(
        target="pipelines.score:score",
        summary="Scores anybody's captions (BLEU, ROUGE-L, CIDEr, METEOR), or anybody's forecast files.",
        example="skyreel score forecast=forecast.nc truth='observed/*.nc'",
        takes=("hypotheses", "references", "tokenizer", "forecast", "truth", "climatology", "output"),
        data=False,
    ),
    "register": Verb(
        target="pipelines.register:register",
        summary="Makes a run a version of a registered model, which MLflow can load and serve.",
        example="skyreel register run=runs/sample_weather/first model=weather alias=champion",
        takes=("run", "model", "alias"),
        needs=("run", "model"),
    ),
    "retrain": Verb(
        target="pipelines.retrain:retrain",
        summary="Trains a challenger where a job has cause to, and makes it champion where it is better.",
        example="skyreel retrain job=sample_weather --dry-run",
        takes=("job", "jobs", "model", "now", "limit"),
        data=False,
        alone=True,
        tries=True,
        actions={
            "status": "each job: its champion, its last shot, what it waits for",
            "history": "the decisions, newest first, of job= or of all",
            "rollback": "make the former champion of model= champion again",
            "watch-champion": "judge the champion of job= on data that came since; roll back by its rule",
        },
    ),
    "schedule": Verb(
        target="pipelines.schedule:schedule",
        summary="Runs the retraining jobs when their cron expressions say so, until it is stopped.",
        example="skyreel schedule jobs=conf/retrain",
        takes=("jobs", "since", "until", "parallel", "wait"),
        data=False,
    ),
    "review": Verb(
        target="pipelines.review:review",
        summary="Lists, compares, exports and reports runs that were made.",
        example="skyreel review list experiment=sample_weather sort=test/rmse/air/24h",
        takes=(*("run", "runs", "experiment", "filter", "sort", "columns", "limit", "metric", "output"),),
        data=False,
        actions={
            "list": "a table of runs: experiment=, filter=, sort=, columns=, limit=",
            "compare": "runs= side by side: settings, figures with intervals, captions that changed",
            "best": "the best run of experiment= by metric=",
            "export": "the table as output=FILE.csv or FILE.json",
            "report": "run= or runs= as one page, output=report.html",
            "sync": "send what a tracking server has not got yet, of run= or of all runs",
        },
    ),
}


@dataclass(frozen=True)
class Call:
    """One call of a verb, checked.

    settings: validated.                  config: the same as plain values, every default filled in.
    action:   the word after the verb, of a verb that has actions.
    run:      the directory of the run that `run=` named, by path or by MLflow id, or that `model=` holds.
    words:    the settings among the words of the call, as typed.
    dry_run:  tell what would happen, and change nothing.
    json:     the result goes to standard output as JSON: the verb shows nothing itself.
    argv:     the call as it was typed, without the program's name.
    plan:     the trials of a sweep; None for every other verb.
    """

    verb: str
    settings: "Settings"
    config: dict[str, Any]
    action: str | None = None
    run: str | None = None
    checkpoint: str | None = None
    input: str | None = None
    output: str | None = None
    hypotheses: str | None = None
    references: str | None = None
    tokenizer: str | None = None
    forecast: str | None = None
    truth: str | None = None
    climatology: str | None = None
    model: str | None = None
    alias: str | None = None
    job: str | None = None
    jobs: str | None = None
    now: str | None = None
    since: str | None = None
    until: str | None = None
    parallel: str | None = None
    wait: str | None = None
    runs: str | None = None
    experiment: str | None = None
    filter: str | None = None
    sort: str | None = None
    columns: str | None = None
    limit: str | None = None
    metric: str | None = None
    dry_run: bool = False
    words: tuple[str, ...] = ()
    json: bool = False
    argv: tuple[str, ...] = ()
    plan: "Plan | None" = None
