"""The model registry of an MLflow database or server: versions made from runs, and their aliases."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import InputError
from pipelines.redact import without_secrets
from pipelines.registry.contents import DATA, list_digest
from pipelines.registry.names import check_alias, check_name
from pipelines.rundir import RunDir

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipelines.settings import Settings

log = logging.getLogger(__name__)

DIGEST_TAG = "skyreel.digest"
"""The tag of a version: SHA-256 of the list of what its model holds, by which a copy is known to be whole."""
LOGGED_TAG = "skyreel.logged_model"
"""The tag of a version: the id of the logged model that its files belong to."""
RUN_TAG = "skyreel.run"
"""The tag of a version: experiment and name of the run it was made from."""
PAGE = 200
"""Versions that are asked for at a time."""

ABOUT = """Made by Skyreel. The version called `champion` is the one in use; each version has its card.

`skyreel predict model=models:/{name}@champion input=FILES output=FILE`, or
`mlflow.pyfunc.load_model("models:/{name}@champion")`, or
`mlflow models serve --env-manager local -m "models:/{name}@champion"`."""
"""The description of a model that is registered for the first time."""


@dataclass(frozen=True)
class Version:
    """One version of a registered model.

    run_id: of the MLflow run it was made from.     uri: models:/NAME/NUMBER.     created: UTC.
    source: where its files lie.
    """

    name: str
    number: int
    run_id: str
    uri: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    created: datetime
    source: str


class Registry:
    """The registered models of one MLflow database or server.

    uri:       sqlite:///FILE or http(s)://HOST
    artifacts: where an experiment that has to be made keeps its files; None: the server's own place
    copies:    the folder of fetched models (see `pipelines.registry.fetch`), or None

    Methods raise what MLflow raises when the server does not answer.
    """

    def __init__(self, uri: str, artifacts: str | None = None, copies: Path | None = None) -> None:
        self.uri, self.artifacts, self.copies = uri, artifacts, copies

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return without_secrets(self.uri)

    def version(self, name: str, which: str | int) -> Version | None:
        """The version of this alias or number; None where there is none, or no such model."""
        aliases = self._aliases(name)
        if aliases is None:
            return None
        number = aliases.get(str(which)) if not str(which).isdecimal() else int(which)
        if number is None:
            return None
        with _absent_is_none() as found:
            found.append(self._client.get_model_version(name, str(number)))
        return _version(found[0], aliases) if found else None

    def versions(self, name: str) -> list[Version]:
        """All versions of a model, by number; none where there is no such model."""
        aliases = self._aliases(name)
        if aliases is None:
            return []
        found: list[Any] = []
        token = None
        while token is not None or not found:
            page = self._client.search_model_versions(f"name = '{name}'", PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                break
        return sorted((_version(one, aliases) for one in found), key=lambda one: one.number)

    def names(self) -> list[str]:
        """The names of all registered models, sorted."""
        return sorted(one.name for one in self._client.search_registered_models(max_results=1000))

    def register(
        self, name: str, run: RunDir, *, tags: Mapping[str, str] | None = None, alias: str | None = None
    ) -> Version:
        """A new version of the model `name`, made from `run`; it appears once all of its files are there.

        tags:  of the version.     alias: points to it from now on.
        Errors: InputError for a run that is not whole, or a name or alias that cannot be one.
        """
        from pipelines.registry.card import describe
        from pipelines.registry.package import package
        from pipelines.registry.source_run import source_run

        check_name(name)
        if alias is not None:
            check_alias(alias)
        with tempfile.TemporaryDirectory(prefix="skyreel-model-") as place:
            origin = source_run(self._client, run, self.artifacts)
            folder = package(run, Path(place) / "model", name, self.shown)
            description = describe(run)
            stored = self._store(name, folder, origin.run_id, origin.experiment_id)
            digest = list_digest(folder / DATA)
        self._make_model(name)
        made = self._client.create_model_version(
            name,
            stored.artifact_location,
            run_id=origin.run_id,
            tags={
                DIGEST_TAG: digest,
                LOGGED_TAG: stored.model_id,
                RUN_TAG: f"{run.path.parent.name}/{run.path.name}",
                **(tags or {}),
            },
            description=description,
            model_id=stored.model_id,
        )
        if alias is not None:
            self.set_alias(name, alias, int(made.version))
        version = self.version(name, int(made.version))
        assert version is not None
        return version

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Point `alias` to the version `number`, and there alone. Errors: InputError for a bad alias."""
        check_alias(alias)
        self._client.set_registered_model_alias(name, alias, str(number))

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove the alias; nothing happens where there is none."""
        if alias in (self._aliases(name) or {}):
            self._client.delete_registered_model_alias(name, alias)

    def delete_version(self, name: str, number: int) -> None:
        """Remove a version, its files and its copy here; nothing happens where there is none."""
        version = self.version(name, number)
        if version is None:
            return
        self._client.delete_model_version(name, str(number))
        if (logged := version.tags.get(LOGGED_TAG)) is not None:
            self._files(version).delete_artifacts()
            with _absent_is_none():
                self._client.delete_logged_model(logged)
        if self.copies is not None:
            shutil.rmtree(self.copies / name / str(number), ignore_errors=True)

    def tag(self, name: str, number: int, key: str, value: str) -> None:
        """Put a tag on a version; an earlier value of it is replaced."""
        self._client.set_model_version_tag(name, str(number), key, value)

    def note(self, name: str, text: str, number: int | None = None) -> None:
        """Make `text` (Markdown) the description of a version, or without `number` of the model."""
        if number is None:
            self._make_model(name)
            self._client.update_registered_model(name, text)
        else:
            self._client.update_model_version(name, str(number), text)

    def download(self, version: Version, part: str, folder: Path) -> Path:
        """A copy, below `folder` which exists, of a part of the version's files. InputError: not there."""
        from mlflow.exceptions import MlflowException

        try:
            return Path(self._files(version).download_artifacts(part, str(folder)))
        except (MlflowException, OSError) as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{version.uri}: its files cannot be had from {version.source} ({told}); register it again"
            ) from error

    @cached_property
    def _client(self) -> "MlflowClient":
        from pipelines.tracking.database import make_database
        from pipelines.tracking.server import load_mlflow

        load_mlflow(self.uri, 30.0)
        make_database(self.uri)
        from mlflow import MlflowClient
        from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR

        if not MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.is_set():
            MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _aliases(self, name: str) -> dict[str, int] | None:
        """Where the aliases of a model point; None where there is no such model."""
        check_name(name)
        with _absent_is_none() as found:
            found.append(self._client.get_registered_model(name))
        return {alias: int(number) for alias, number in found[0].aliases.items()} if found else None

    def _make_model(self, name: str) -> None:
        """Return once there is a registered model of this name."""
        from mlflow.exceptions import MlflowException

        if self._aliases(name) is not None:
            return
        try:
            self._client.create_registered_model(name, description=ABOUT.format(name=name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _store(self, name: str, folder: Path, run_id: str, experiment_id: str) -> Any:
        """The files of `folder` as a logged model of the run, whole."""
        from mlflow.entities import LoggedModelOutput

        stored = self._client.create_logged_model(experiment_id, name=name, source_run_id=run_id)
        try:
            self._client.log_model_artifacts(stored.model_id, str(folder))
        except BaseException:
            self._client.finalize_logged_model(stored.model_id, "FAILED")
            raise
        self._client.log_outputs(run_id, [LoggedModelOutput(stored.model_id, step=0)])
        return self._client.finalize_logged_model(stored.model_id, "READY")

    def _files(self, version: Version) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(version.source, tracking_uri=self.uri, registry_uri=self.uri)


def open_registry(settings: "Settings") -> Registry:
    """The registry where the settings' runs are tracked. InputError where nothing is tracked."""
    from pipelines.tracking.destination import destination

    to = destination(settings)
    if to is None:
        raise InputError(
            "tracking.kind=none: registered models live in MLflow; give tracking.uri=, or leave tracking on"
        )
    return Registry(to.uri, to.artifacts, copies_folder(Path(settings.paths.runs)))


def registry_is_there(settings: "Settings") -> bool:
    """Whether there is a registry to ask: asking for the database of this machine would make it."""
    uri = settings.tracking_uri
    if uri is None:
        return False
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()


def copies_folder(runs: Path) -> Path:
    """The folder of the models that were fetched."""
    return runs.absolute() / "models"


def _version(found: Any, aliases: Mapping[str, int]) -> Version:
    number = int(found.version)
    return Version(
        name=found.name,
        number=number,
        run_id=found.run_id or "",
        uri=f"models:/{found.name}/{number}",
        aliases=tuple(sorted(alias for alias, to in aliases.items() if to == number)),
        tags=dict(found.tags),
        created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        source=str(found.source),
    )


@contextmanager
def _absent_is_none() -> Iterator[list[Any]]:
    """A list that stays empty where the server answers that it has no such thing."""
    from mlflow.exceptions import MlflowException

    found: list[Any] = []
    try:
        yield found
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
