"""The tables that a registered model takes and gives: names, types and meanings of their columns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipelines.rundir import RunDir
from pipelines.settings import Settings

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec

Kind = Literal["string", "double", "long", "object"]


@dataclass(frozen=True)
class Column:
    """One column: a value a row, or lists of it, `depth` deep; an object has `parts`."""

    name: str
    kind: Kind
    meaning: str
    depth: int = 0
    required: bool = True
    parts: tuple["Column", ...] = ()


@dataclass(frozen=True)
class Tables:
    """What goes in and what comes out; of the inputs a row gives `path`, or what it names besides."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]

    def as_signature(self) -> "ModelSignature":
        """The same as MLflow checks it."""
        from mlflow.models import ModelSignature
        from mlflow.types import Schema

        inputs, outputs = (Schema([*map(_spec, columns)]) for columns in (self.inputs, self.outputs))
        return ModelSignature(inputs, outputs)

    def as_plain(self) -> dict[str, dict[str, str]]:
        """The meanings, as the MLmodel file tells them."""
        return {
            side: {one.name: one.meaning for one in columns}
            for side, columns in (("inputs", self.inputs), ("outputs", self.outputs))
        }


def tables_of(settings: Settings, run: RunDir) -> Tables:
    """The tables of a run's model. Errors: InputError when the run is not whole."""
    return _caption_tables() if settings.task.kind == "caption" else _forecast_tables(settings, run)


def _forecast_tables(settings: Settings, run: RunDir) -> Tables:
    from pipelines.forecasts.kept import kept_model

    trained, _ = kept_model(run)
    rows, columns = trained.grid.shape
    channels = ", ".join(f"{one.name} in {one.units or 'its unit'}" for one in trained.channels)
    history = settings.forecast.history
    places = f"as in model/grid.npz, {rows} by {columns} cells"
    inputs = [
        Column("path", "string", f"files with the newest maps: {PATHS}", required=False),
        Column(
            "time",
            "string",
            f"instead of path: ISO dates of the maps (time,), UTC, {trained.step.lead_name(1)} apart, "
            f"{history} or more",
            1,
            False,
        ),
        Column(
            "maps",
            "double",
            f"instead of path: (time, channel, lat, lon), channels {channels}; cells {places}; null: missing",
            4,
            False,
        ),
    ]
    if trained.series is not None:
        named = ", ".join(
            f"{name} in {unit or 'its unit'}"
            for name, unit in zip(trained.series.names, trained.series.units, strict=True)
        )
        told = (
            f"(time, series) at the last {history} maps, series {named}; null: missing; without it the file"
        )
        inputs.append(Column("series", "double", f"{told} of the training settings is read", 2, False))
    outputs: tuple[Column, ...] = (
        Column("row", "long", "number of the input row, from 0"),
        Column("forecast_reference_time", "string", "ISO date of the last map that was read, UTC"),
        Column("lead", "string", "lead time in words, such as 24h"),
        Column("lead_hours", "double", "lead time in hours; a calendar month counts 730.5"),
        Column("valid_time", "string", "ISO date that the forecast is for, UTC"),
        Column("variable", "string", "name of the channel, or of a station's series"),
        Column("units", "string", "unit of values and spread, as the training files write it"),
        Column("lat", "double", "degrees north: (lat,), or (lat, lon) on a projected grid", 1),
        Column("lon", "double", "degrees east: (lon,), or (lat, lon) on a projected grid", 1),
        Column("values", "double", "(lat, lon); one cell for a station; over HTTP null where missing", 2),
        Column(
            "spread", "double", "standard deviation (lat, lon); null where the model gives none", 2, False
        ),
    )
    if trained.grid.projected:
        outputs = tuple(_deeper(one) if one.name in ("lat", "lon") else one for one in outputs)
    return Tables(tuple(inputs), outputs)


PATHS = "a file, a folder or a pattern on the machine that predicts"


def _deeper(column: Column) -> Column:
    return Column(column.name, column.kind, column.meaning, column.depth + 1, column.required)


RIVAL = (
    Column("caption", "string", "a sentence"),
    Column("log_probability", "double", "natural logarithm of its probability", required=False),
    Column("score", "double", "what sentences are ordered by", required=False),
)
LOOK = (
    Column("words", "string", "of the caption, and its end", 1),
    Column("frame_times", "double", "seconds; null where unknown", 1),
    Column("weights", "double", "(word, frame); each word's sum to 1", 2),
)


def _caption_tables() -> Tables:
    inputs = (
        Column("path", "string", f"a clip or several: {PATHS}", required=False),
        Column(
            "frames",
            "long",
            "instead of path: (frame, height, width, 3), red, green, blue, 0 to 255, evenly over the clip",
            4,
            False,
        ),
        Column("clip", "string", "what the clip of frames is called in the answer", required=False),
    )
    outputs = (
        Column("row", "long", "number of the input row, from 0"),
        Column("clip", "string", "name of the clip"),
        Column("caption", "string", "the best sentence"),
        Column("log_probability", "double", "natural logarithm of its probability"),
        Column("start", "double", "seconds; null for a whole clip", required=False),
        Column("stop", "double", "seconds; null for a whole clip", required=False),
        Column("file", "string", "the file that was read; null for frames", required=False),
        Column("n_best", "object", "the best sentences: caption, log_probability, score", 1, parts=RIVAL),
        Column(
            "attention",
            "object",
            "where it looked: words, frame_times (s), weights (word, frame)",
            parts=LOOK,
        ),
    )
    return Tables(inputs, outputs)


def _spec(column: Column) -> "ColSpec":
    from mlflow.types import ColSpec

    return ColSpec(_type(column), column.name, required=column.required)


def _type(column: Column) -> Any:
    """MLflow's type of the cells."""
    from mlflow.types import DataType
    from mlflow.types.schema import Array, Object, Property

    if column.parts:
        parts = [Property(one.name, _type(one), required=one.required) for one in column.parts]
        kind: Any = Object(parts)
    else:
        kind = DataType[column.kind]
    for _ in range(column.depth):
        kind = Array(kind)
    return kind
