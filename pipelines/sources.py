"""Source files where the settings say they are: made, fetched, or asked for."""

import difflib
from glob import glob
from pathlib import Path
from urllib.parse import urlsplit

from datamodules.archives import is_archive
from datamodules.errors import InputError
from datamodules.fetch import fetch, fetch_unpacked
from datamodules.gridded.discover import find_sources
from datamodules.gridded.options import GriddedOptions
from datamodules.options import DownloadOptions
from datamodules.video.options import ClipOptions
from pipelines.console import progress
from pipelines.find_run import find_run
from pipelines.settings import Settings


def bring_sources(options: GriddedOptions | ClipOptions) -> None:
    """Make the sample set, or fetch a published file, where the settings say so and it is not there yet.

    Files of somebody's own, where data.path was set to them under a sample's preset, are left as they are.
    Errors: InputError when the source cannot be reached, saying what to place where.
    """
    first = options.path if isinstance(options.path, str) else options.path[0]
    path, source = Path(first), options.download
    if options.sample is not None:
        if not _are_own(options):
            _make(options, path)
    elif source is not None and not path.exists():
        _fetch(source, path)


def _are_own(options: GriddedOptions | ClipOptions) -> bool:
    """Whether data.path names maps of somebody's own: several, a pattern, a file, a folder without a sample.

    Clips: False; their sample refuses such a folder itself.
    """
    if isinstance(options, ClipOptions):
        return False
    if not isinstance(options.path, str) or set("*?[") & set(options.path):
        return True
    path = Path(options.path)
    traces = ("sample_weather.json", ".sample_weather.json.lock")
    if not path.is_dir():
        return path.exists()
    return any(path.iterdir()) and not any((path / name).exists() for name in traces)


def _make(options: GriddedOptions | ClipOptions, path: Path) -> None:
    """The sample set that `options` describe, at `path` (clips: in the folder above the clips')."""
    if isinstance(options, ClipOptions) and options.sample is not None:
        from datamodules.samples.clips import make_sample_clips

        with progress("making sample clips") as advance:
            make_sample_clips(
                path.parent, clips=options.sample.clips, seed=options.sample.seed, progress=advance
            )
    elif isinstance(options, GriddedOptions) and options.sample is not None:
        from datamodules.samples.weather import make_sample_weather

        with progress("making sample weather (days)") as advance:
            make_sample_weather(path, days=options.sample.days, seed=options.sample.seed, progress=advance)


def _fetch(source: DownloadOptions, path: Path) -> None:
    """The published file at `path`, or the folder that a published archive holds."""
    if source.url is None:
        raise InputError(
            f"data.path: {path} is not there. Get the files by hand from {source.page} and place them "
            "there, or let data.path name the place where they lie"
        )
    if is_archive(urlsplit(source.url).path) and not is_archive(path.name):
        fetch_unpacked(source.url, path, sha256=source.sha256, source_page=source.page)
    else:
        fetch(source.url, path, sha256=source.sha256, source_page=source.page)


def require_sources(settings: Settings) -> None:
    """Refuse, before anything slow is imported, files that are not there and cannot be brought.

    Errors: InputError naming the path, what is near it, and the way out.
    """
    options = settings.data
    if settings.start is not None and not Path(settings.start).expanduser().is_file():
        try:
            find_run(settings.start, Path(settings.paths.runs))
        except InputError as error:
            raise InputError(f"start: {error}") from error
    if settings.model.kind == "captioner":
        _require_weights(settings.model.encoder.weights)
    if options.sample is not None and not _are_own(options):
        return
    if isinstance(options, ClipOptions):
        _require_clips(options)
    elif options.download is None:
        find_sources(options.path)


def _require_weights(weights: str | None) -> None:
    """The file of an encoder's weights, where one is named."""
    if weights in (None, "default") or Path(str(weights)).is_file():
        return
    near = nearest_path(Path(str(weights)))
    hint = f" Did you mean {near}?" if near else ""
    raise InputError(f"model.encoder.weights={weights}: there is no such file.{hint}")


def _require_clips(options: ClipOptions) -> None:
    """The folder of clips and the files of captions."""
    paths = options.annotations or []
    wanted = [("data.annotations", path) for path in ([paths] if isinstance(paths, str) else paths)]
    if options.features in ("pixels", "store"):
        wanted.append(("data.path", options.path))
    else:
        wanted.append(("data.features", options.features))
    if options.download is not None and options.download.url is not None and not Path(options.path).exists():
        return  # it will be fetched; what it then lacks is told when it is read
    page = f" The data are described at {options.download.page}." if options.download else ""
    for key, path in wanted:
        pattern = str(Path(path).expanduser()) if key == "data.annotations" else ""
        if not Path(path).exists() and not glob(pattern, recursive=True):  # noqa: PTH207 (absolute globs)
            near = nearest_path(Path(path))
            hint = f" Did you mean {near}?" if near else ""
            raise InputError(f"{key}={path}: there is no such file or folder.{hint}{page}")


def nearest_path(path: Path) -> Path | None:
    """What is called most like `path` in the folder where it would be."""
    if not path.parent.is_dir():
        return None
    found = difflib.get_close_matches(path.name, sorted(one.name for one in path.parent.iterdir()), n=1)
    return path.with_name(found[0]) if found else None
