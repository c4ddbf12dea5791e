"""prepare: source files read and checked once, packed where that pays, and what they hold."""

from typing import Any

from pipelines.verbs import Call


def prepare(call: Call) -> dict[str, Any]:
    """What the sources hold: a store of maps and its splits, or clips, captions and what cannot be read.

    Returns what `prepare_maps` and `prepare_clips` say.
    """
    if call.settings.task.kind == "caption":
        from pipelines.captions.prepare import prepare_clips

        return prepare_clips(call)
    from pipelines.forecasts.prepare import prepare_maps

    return prepare_maps(call)
