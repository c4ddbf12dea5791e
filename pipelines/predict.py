"""predict: from a run and new files to a forecast, or to captions."""

from typing import Any

from pipelines.verbs import Call


def predict(call: Call) -> dict[str, Any]:
    """A forecast of the newest maps as CF NetCDF, or captions of clips as JSON, CSV or WebVTT.

    Returns what was written, as `predict_maps` and `predict_captions` say.
    """
    if call.settings.task.kind == "caption":
        from pipelines.captions.predict import predict_captions

        return predict_captions(call)
    from pipelines.forecasts.predict import predict_maps

    return predict_maps(call)
