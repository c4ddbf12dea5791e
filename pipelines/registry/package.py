"""A run as an MLflow model: weights, everything that a prediction needs, the code that reads it; no pickle.

    MLmodel, README.md, requirements.txt, input_example.json      what MLflow and people read
    data/run/                                                     the run (see `pipelines.registry.contents`)
    code/                                                         this project's packages as they are now

MLflow puts `code` on the path and calls `pipelines.registry.pyfunc` with `data/run`. Weights are plain
tensors, loaded with weights_only=True.
"""

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from pipelines import provenance
from pipelines.registry.card import card
from pipelines.registry.columns import Tables, tables_of
from pipelines.registry.contents import DATA, keep, require_whole
from pipelines.registry.example import input_example
from pipelines.registry.requirements import requirements
from pipelines.rundir import RunDir
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CODE = ("conf", "datamodules", "lightning_modules", "pipelines")
"""The packages that go along."""
CODE_FILES = ("*.py", "*.yaml", "py.typed")
LOADER = "pipelines.registry.pyfunc"
STRAY = ("uv.lock", "pyproject.toml", ".python-version")
"""Files that MLflow copies from the current directory, whatever project that is."""


def package(run: RunDir, folder: Path, name: str, uri: str) -> Path:
    """`folder`, made a model that MLflow loads and serves without this project installed, from `run`.

    The run may still be in training: its best checkpoint so far counts. name, uri: what its card calls the
    model, and the registry.
    Errors: InputError when the run lacks what a prediction needs; MLflow's own where `folder` is not empty.
    """
    require_whole(run)
    settings = Settings.model_validate(run.read_config())
    tables = tables_of(settings, run)
    with tempfile.TemporaryDirectory(prefix="skyreel-package-") as beside:
        kept = Path(beside) / Path(DATA).name
        keep(run, kept)
        code = copy_code(Path(beside) / "code")
        _save(folder, settings, run, tables, kept, code)
    for stray in STRAY:
        (folder / stray).unlink(missing_ok=True)
    (folder / "README.md").write_text(card(run, tables, name, uri), encoding="utf-8")
    return folder


def copy_code(folder: Path) -> list[Path]:
    """Copies of this project's packages in `folder`: program and settings files, nothing else."""
    for name in CODE:
        for pattern in CODE_FILES:
            for source in sorted((ROOT / name).rglob(pattern)):
                copy = folder / source.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
    return [folder / name for name in CODE]


def _save(
    folder: Path, settings: Settings, run: RunDir, tables: Tables, kept: Path, code: list[Path]
) -> None:
    found = provenance.read(run)
    about: dict[str, Any] = {
        "task": settings.task.kind,
        "run": f"{run.path.parent.name}/{run.path.name}",
        "code": found.get("code"),
        "columns": tables.as_plain(),
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(mlflow|pydantic)\b.*")  # of its own types, when imported
        import mlflow.pyfunc
        from mlflow.models import Model

        mlflow.pyfunc.save_model(
            path=str(folder),
            loader_module=LOADER,
            data_path=str(kept),
            code_paths=[str(path) for path in code],
            mlflow_model=Model(run_id=(found.get("mlflow") or {}).get("run_id")),
            signature=tables.as_signature(),
            input_example=input_example(settings, run),
            pip_requirements=requirements(settings),
            metadata={"skyreel": about},
        )
