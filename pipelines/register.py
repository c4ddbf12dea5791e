"""register: a run as a version of a registered model, which MLflow can load and serve."""

import logging
from pathlib import Path
from typing import Any

from pipelines.rundir import RunDir
from pipelines.verbs import Call

log = logging.getLogger(__name__)


def register(call: Call) -> dict[str, Any]:
    """Make `run=` a version of the registered model `model=`; `alias=` points to it from now on.

    Returns model, version, uri, alias, mlflow_run_id. Errors: InputError as `Registry.register` says.
    """
    from pipelines.registry.registry import open_registry

    name = call.model or ""
    run = RunDir(Path(call.run or "").absolute())
    version = open_registry(call.settings).register(name, run, alias=call.alias)
    uri = f"models:/{name}@{call.alias}" if call.alias else version.uri
    if not call.json:
        log.info("%s is version %d of %s", call.run, version.number, name)
        log.info("skyreel predict model=%s input=FILES output=FILE", uri)
    return {
        "model": name,
        "version": version.number,
        "uri": version.uri,
        "alias": call.alias,
        "mlflow_run_id": version.run_id,
    }
