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
        takes=("run", "checkpoint"),
        needs=("run",),
    ),
    "predict": Verb(
        target="pipelines.predict:predict",
        summary="Writes a forecast (CF NetCDF) of the newest maps, or captions (JSON, CSV, WebVTT) of clips.",
        example="skyreel predict run=runs/sample_weather/first input=maps.nc output=forecast.nc",
        takes=("run", "checkpoint", "input", "output"),
        needs=("run",),
    ),
    "score": Verb(
        target="pipelines.score:score",
        summary="Scores anybody's captions: BLEU, ROUGE-L, CIDEr, CIDEr-D, METEOR.",
        example="skyreel score hypotheses=results.json references=captions_val2014.json",
        takes=("hypotheses", "references", "tokenizer"),
        needs=("hypotheses", "references"),
        data=False,
    ),
    "review": Verb(
        target="pipelines.review:review",
        summary="Looks after runs that were made.",
        example="skyreel review sync tracking.uri=http://127.0.0.1:5000",
        takes=("run",),
        data=False,
        actions={"sync": "send what a tracking server has not got yet, of run= or of all runs"},
    ),
}


@dataclass(frozen=True)
class Call:
    """One call of a verb, checked.

    settings: validated.                  config: the same as plain values, every default filled in.
    action:   the word after the verb, of a verb that has actions.
    run:      the directory of the run that `run=` named, by path or by MLflow id.
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
    json: bool = False
    argv: tuple[str, ...] = ()
    plan: "Plan | None" = None
