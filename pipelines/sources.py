"""Source files where the settings say they are: made, fetched, or asked for."""

from pathlib import Path

from datamodules.errors import InputError
from datamodules.fetch import fetch
from datamodules.gridded.discover import find_sources
from datamodules.gridded.options import GriddedOptions
from pipelines.console import progress


def bring_sources(options: GriddedOptions) -> None:
    """Make the sample set, or fetch a published file, where the settings say so and it is not there yet.

    Errors: InputError when the source cannot be reached, saying what to place where.
    """
    first = options.path if isinstance(options.path, str) else options.path[0]
    path, source = Path(first), options.download
    if options.sample is not None:
        from datamodules.samples.weather import make_sample_weather

        with progress("making sample weather (days)") as advance:
            make_sample_weather(path, days=options.sample.days, seed=options.sample.seed, progress=advance)
    elif source is not None and not path.exists():
        if source.url is None:
            raise InputError(
                f"data.path: {path} is not there. Get the files by hand from {source.page} and place them "
                "there, or let data.path name the place where they lie"
            )
        fetch(source.url, path, sha256=source.sha256, source_page=source.page)


def require_sources(options: GriddedOptions) -> None:
    """Refuse, before anything slow is imported, source files that are not there and cannot be brought.

    Errors: InputError naming the path, what is near it, and the way out.
    """
    if options.sample is None and options.download is None:
        find_sources(options.path)
