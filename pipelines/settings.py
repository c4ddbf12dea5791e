"""The whole of a run's settings, composed from the wings' options: frozen, validated once, nothing extra."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from datamodules.gridded.options import GriddedOptions
from datamodules.video.options import ClipOptions
from lightning_modules.caption_options import CaptionerOptions, CaptionOptions
from lightning_modules.options import ForecastOptions, ModelOptions, OptimizerOptions, Options, Positive


class PathOptions(Options):
    """Where things are and go.

    data: the folder that presets read from; the environment's SKYREEL_DATA, else data.
    runs: run directories and the tracking database.
    stores: packed data, shared by all runs.
    """

    data: str = Field(min_length=1)
    runs: str = Field(default="runs", min_length=1)
    stores: str = Field(default="stores", min_length=1)


class RunOptions(Options):
    """What the run is called: its directory is <paths.runs>/<run.experiment>/<run.name>.

    name: null makes one when the run starts; the name of an unfinished run goes on with it.
    experiment: null takes the preset's name, else data.name.
    restart: true begins again where a run of this name exists.
    sweep: null, else the name of the sweep that this run is a trial of.
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    experiment: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    restart: bool = False
    sweep: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")


class TrainerOptions(Options):
    """Where and for how long training runs.

    accelerator: cpu, gpu or auto (a GPU where there is one).
    devices: processes on this machine, or auto.
    nodes: machines.
    strategy: auto, ddp (one process per device), or fsdp (the same, the weights shared out among them).
    backend: how processes talk: gloo (CPU), nccl (GPU); null chooses.
    precision: 32, bf16, 16 (with a scaled loss, for GPUs without bf16), or auto (bf16 where it is fast).
    accumulate: batches whose gradients are summed for one step of the optimiser.
    max_epochs: ends training after so many passes; null for no bound.
    max_steps: ends training after so many steps; null for no bound.
    max_minutes: ends training after so long; null for no bound. Schedules follow it unless max_steps is set.
    patience: epochs without a better validation figure until training ends; null never.
    checkpoint_minutes: how much work a kill can cost at most.
    keep_best: how many of the best checkpoints stay: best.ckpt, best-2.ckpt, ...
    requeue: SIGUSR1 (SLURM's warning before a job's end) also has the job queued again.
    threads: of the processor, per process; null leaves PyTorch's choice.
    compile: torch.compile the network.
    deterministic: two runs give equal figures, unless the clock bounds them (max_minutes without max_steps).
    """

    accelerator: Literal["cpu", "gpu", "auto"] = "auto"
    devices: int | Literal["auto"] = 1
    nodes: int = Field(default=1, ge=1)
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    backend: Literal["gloo", "nccl"] | None = None
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    accumulate: int = Field(default=1, ge=1)
    max_epochs: int | None = Field(default=50, ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    max_minutes: Positive | None = None
    patience: int | None = Field(default=None, ge=1)
    checkpoint_minutes: Positive = 5.0
    keep_best: int = Field(default=1, ge=1)
    requeue: bool = False
    threads: int | None = Field(default=None, ge=1)
    compile: bool = False
    deterministic: bool = True

    @model_validator(mode="before")
    @classmethod
    def _precision_is_a_word(cls, values: Any) -> Any:
        """`trainer.precision=32` names a precision, though it reads as a number."""
        if isinstance(values, dict) and values.get("precision") in (16, 32):
            return {**values, "precision": str(values["precision"])}
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.devices, int) and self.devices < 1:
            raise ValueError(f"devices is {self.devices}; it must be at least 1, or auto")
        if self.max_epochs is self.max_steps is self.max_minutes is None:
            raise ValueError("training has no end: set max_epochs, max_steps or max_minutes")
        return self


class TrackingOptions(Options):
    """Where MLflow keeps what happened.

    kind: sqlite (a file), server (an http address) or none.
    uri: null means <paths.runs>/mlflow.db; an http address makes the kind a server.
    experiment: the name in MLflow; null takes run.experiment.
    system_metrics: processor, memory and GPU use along the run.
    timeout: seconds to wait at the end for a slow server; what is left then `skyreel review sync` sends.
    """

    kind: Literal["sqlite", "server", "none"] = "sqlite"
    uri: str | None = Field(default=None, pattern=r"^(sqlite:///|https?://).+")
    experiment: str | None = None
    system_metrics: bool = True
    timeout: Positive = 20.0

    @model_validator(mode="before")
    @classmethod
    def _address_is_a_server(cls, values: Any) -> Any:
        """A uri alone is enough: an http address turns sqlite into server."""
        if not isinstance(values, dict) or not str(values.get("uri")).startswith("http"):
            return values
        return {**values, "kind": "server"} if values.get("kind", "sqlite") == "sqlite" else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "server" and self.uri is None:
            raise ValueError("a server needs its address: tracking.uri=http://HOST:PORT")
        if self.kind == "server" and self.uri is not None and not self.uri.startswith("http"):
            raise ValueError(f"uri is {self.uri}; a server's address begins with http:// or https://")
        return self


def _kind(default: str) -> Discriminator:
    """Which class a section is of, by its `kind`; the weather's, where it says none."""

    def kind_of(section: Any) -> str:
        found = section.get("kind") if isinstance(section, dict) else getattr(section, "kind", None)
        return default if found is None else str(found)

    return Discriminator(kind_of)


DataOptions = Annotated[
    Annotated[GriddedOptions, Tag("gridded")] | Annotated[ClipOptions, Tag("clips")], _kind("gridded")
]
TaskOptions = Annotated[
    Annotated[ForecastOptions, Tag("forecast")] | Annotated[CaptionOptions, Tag("caption")],
    _kind("forecast"),
]
NetworkOptions = Annotated[
    Annotated[ModelOptions, Tag("forecaster")] | Annotated[CaptionerOptions, Tag("captioner")],
    _kind("forecaster"),
]
TOGETHER = (("gridded", "forecast", "forecaster"), ("clips", "caption", "captioner"))
"""The kinds of data, task and model that make one system."""


class Settings(Options):
    """Everything that a run is told.

    seed: of every random choice.
    start: weights to begin from: another run's directory, or a checkpoint file; null begins anew.
    """

    paths: PathOptions
    run: RunOptions
    seed: int = Field(default=0, ge=0)
    start: str | None = None
    data: DataOptions
    task: TaskOptions = ForecastOptions()
    model: NetworkOptions = ModelOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    trainer: TrainerOptions = TrainerOptions()
    tracking: TrackingOptions = TrackingOptions()

    @model_validator(mode="after")
    def _check(self) -> Self:
        kinds = (self.data.kind, self.task.kind, self.model.kind)
        if kinds not in TOGETHER:
            known = "; or ".join(", ".join(kinds) for kinds in TOGETHER)
            raise ValueError(
                f"data, task and model are of kinds {', '.join(kinds)}; what goes together is {known}: "
                "choose data=, task= and model= of one system"
            )
        stored = self.data.kind == "clips" and self.data.features != "pixels"
        if stored and not self.captioner.encoder.frozen:
            raise ValueError(
                f"data.features={self.clips.features} are of an encoder that does not change: set "
                "model.encoder.frozen=true, or data.features=pixels"
            )
        return self

    @property
    def tracking_uri(self) -> str | None:
        """The address of the MLflow tracking store; None when nothing is tracked."""
        if self.tracking.kind == "none":
            return None
        return self.tracking.uri or f"sqlite:///{Path(self.paths.runs).resolve()}/mlflow.db"

    @property
    def clips(self) -> ClipOptions:
        """The data, where they are clips. ValueError where they are maps."""
        if self.data.kind != "clips":
            raise ValueError(f"data.kind is {self.data.kind}, not clips")
        return self.data

    @property
    def captions(self) -> CaptionOptions:
        """The task, where it is captions. ValueError where it is forecasts."""
        if self.task.kind != "caption":
            raise ValueError(f"task.kind is {self.task.kind}, not caption")
        return self.task

    @property
    def captioner(self) -> CaptionerOptions:
        """The model, where it writes captions. ValueError where it forecasts."""
        if self.model.kind != "captioner":
            raise ValueError(f"model.kind is {self.model.kind}, not captioner")
        return self.model

    @property
    def maps(self) -> GriddedOptions:
        """The data, where they are maps. ValueError where they are clips."""
        if self.data.kind != "gridded":
            raise ValueError(f"data.kind is {self.data.kind}, not gridded")
        return self.data

    @property
    def forecast(self) -> ForecastOptions:
        """The task, where it is forecasts. ValueError where it is captions."""
        if self.task.kind != "forecast":
            raise ValueError(f"task.kind is {self.task.kind}, not forecast")
        return self.task

    @property
    def forecaster(self) -> ModelOptions:
        """The model, where it forecasts. ValueError where it writes captions."""
        if self.model.kind != "forecaster":
            raise ValueError(f"model.kind is {self.model.kind}, not forecaster")
        return self.model
