"""retrain: one shot of a job, and what looks after the champions that shots have made."""

from typing import Any

from datamodules.errors import InputError
from pipelines.retraining.exit_codes import OF_OUTCOME, PROMOTED
from pipelines.verbs import Call


def retrain(call: Call) -> dict[str, Any]:
    """The decision as plain values (of a shot or a rollback), or the table that was asked for.

    `exit_status` is one of those in pipelines.retraining.exit_codes. Errors: InputError.
    """
    match call.action:
        case None:
            return _shot(call)
        case "rollback":
            return _rollback(call)
        case "watch-champion":
            return _watch(call)
        case _:
            return _table(call)


def _shot(call: Call) -> dict[str, Any]:
    """One shot, or with --dry-run what it would do."""
    from pipelines.retraining.job import load_job, require_data
    from pipelines.retraining.under_way import ledger_of

    job = load_job(_needed(call.job, "job", "skyreel retrain job=sample_weather"))
    if ledger_of(call.settings).good_look(job.name) is None:
        require_data(job, call.settings)
    if call.dry_run:
        from pipelines.retraining.foresight import foreseen

        return foreseen(job, call)
    from pipelines.retraining.shot import run_shot

    decision = run_shot(job, call)
    return {**decision.as_plain(), "exit_status": OF_OUTCOME[decision.outcome]}


def _rollback(call: Call) -> dict[str, Any]:
    named = call.model
    if named is None and call.job is not None:
        from pipelines.retraining.job import load_job

        named = load_job(call.job).model
    model = _needed(named, "model", "skyreel retrain rollback model=weather")
    from pipelines.retraining.watch import roll_back

    return {**roll_back(call, model).as_plain(), "exit_status": PROMOTED}


def _watch(call: Call) -> dict[str, Any]:
    from pipelines.retraining.job import load_job
    from pipelines.retraining.watch import watch_champion

    job = load_job(_needed(call.job, "job", "skyreel retrain watch-champion job=sample_weather"))
    return watch_champion(job, call)


def _table(call: Call) -> dict[str, Any]:
    """The jobs and their champions, or the decisions; shown on a terminal."""
    from pipelines.retraining import tables

    return tables.history(call) if call.action == "history" else tables.status(call)


def _needed(value: str | None, key: str, example: str) -> str:
    """`value`. Errors: InputError where it was not given."""
    if value is None:
        raise InputError(f"{key}= is needed; for example: {example}")
    return value
