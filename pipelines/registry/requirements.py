"""The public packages that a model needs, pinned as they are installed here."""

from importlib import metadata

from datamodules.errors import InputError
from pipelines.settings import Settings

SHARED = (
    "mlflow",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "numpy",
    "pandas",
    "pydantic",
    "pyyaml",
    "rich",
)
"""Packages that every prediction imports, and those that read its files."""
FORECASTS = ("xarray", "netcdf4", "cftime", "zarr")
CAPTIONS = ("av", "pillow")


def requirements(settings: Settings) -> list[str]:
    """`name==version` of each package, sorted; without a build's own mark (+cu130), which PyPI does not know.

    Errors: InputError for a package that is not installed here.
    """
    return sorted(f"{name}=={_version(name)}" for name in {*SHARED, *_more(settings)})


def _more(settings: Settings) -> tuple[str, ...]:
    if settings.task.kind != "caption":
        return FORECASTS
    more: tuple[str, ...] = CAPTIONS
    if settings.clips.frames.backend == "torchcodec":
        more += ("torchcodec",)
    if settings.clips.vocabulary.kind == "bpe":
        more += ("tokenizers",)
    return more


def _version(name: str) -> str:
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError as error:
        raise InputError(f"{name} is not installed, but the run's settings use it; install it") from error
