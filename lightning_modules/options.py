"""What a model, its task and its optimiser are made of: frozen, validated settings. Imports nothing slow."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Options(BaseModel):
    """Settings that cannot be changed and allow nothing extra."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderOptions(Options):
    """The CNN that reads each map of a sequence.

    kind: plain (conv, ReLU, pool, flatten, fully connected) or residual (skip connections).
    channels: width of its features.
    depth: residual blocks after the stem, or stages of conv and ReLU.
    pool: downsampling factor of the whole encoder; the decoder brings the maps back.
    context: a path that sees the whole domain at once (residual).
    dropout: share of the features dropped in training.
    """

    kind: Literal["plain", "residual"] = "residual"
    channels: int = Field(default=32, ge=1)
    depth: int = Field(default=2, ge=1)
    pool: Literal[1, 2, 4, 8] = 2
    context: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)


class RecurrentOptions(Options):
    """The network that reads the sequence of features.

    kind: rnn, lstm, gru (on pooled vectors) or convlstm, convgru (on maps).
    hidden: width of the state.
    layers: how many are stacked.
    kernel: cells across of a convolution's kernel (convlstm, convgru); odd.
    """

    kind: Literal["rnn", "lstm", "gru", "convlstm", "convgru"] = "convgru"
    hidden: int = Field(default=32, ge=1)
    layers: int = Field(default=1, ge=1)
    kernel: Literal[1, 3, 5, 7] = 3


class DecoderOptions(Options):
    """What rolls the state out and turns it back into maps.

    dropout: share of the features and states dropped in training, at each step of the rollout.
    """

    dropout: float = Field(default=0.2, ge=0, lt=1)


class ModelOptions(Options):
    """Encoder, recurrent network and decoder, what they are told, and the noise on inputs in training.

    place: tell the network where it is (latitude, longitude, sun, the values themselves); false leaves it the
        anomalies and the season, which short records cannot be learnt by heart from.
    noise: standard deviation of the noise on the normalised inputs in training.
    """

    kind: Literal["forecaster"] = "forecaster"
    encoder: EncoderOptions = EncoderOptions()
    recurrent: RecurrentOptions = RecurrentOptions()
    decoder: DecoderOptions = DecoderOptions()
    place: bool = True
    noise: float = Field(default=0.0, ge=0)


class LinearOptions(Options):
    """The ridge regression on principal components, reference and prior.

    components: principal components kept.
    lags: last steps that it reads.
    folds: blocks of the training years for cross-fitting.
    """

    components: int = Field(default=30, ge=1)
    lags: int = Field(default=4, ge=1)
    folds: int = Field(default=5, ge=2)


class CurriculumOptions(Options):
    """How the rollout grows while training.

    start: steps rolled out at first; null rolls out all of them from the beginning.
    epochs: epochs until the whole horizon is rolled out.
    """

    start: int | None = Field(default=None, ge=1)
    epochs: int = Field(default=10, ge=1)


class ScheduledSamplingOptions(Options):
    """How often a step of the rollout reads the truth instead of the forecast, in training.

    start: probability in the first epoch.
    end: probability in the last epoch.
    """

    start: Share = 0.0
    end: Share = 0.0


class ForecastOptions(Options):
    """The task: what is read, what is forecast, from which prior, under which loss.

    history: observed steps that are read.
    horizon: steps that are forecast.
    prior: the model predicts departures from it: persistence, damped_persistence, climatology or linear.
    loss: mse, mae, huber; crps or nll for a forecast with a spread.
    channel_weights: weight of a variable in the loss, by its name; 1 where unset.
    series_weight: weight of the station series in the loss.
    """

    kind: Literal["forecast"] = "forecast"
    history: int = Field(default=4, ge=1)
    horizon: int = Field(default=6, ge=1)
    prior: Literal["persistence", "damped_persistence", "climatology", "linear"] = "linear"
    loss: Literal["mse", "mae", "huber", "crps", "nll"] = "mse"
    channel_weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    series_weight: float = Field(default=1.0, ge=0)
    linear: LinearOptions = LinearOptions()
    curriculum: CurriculumOptions = CurriculumOptions()
    scheduled_sampling: ScheduledSamplingOptions = ScheduledSamplingOptions()


class OptimizerOptions(Options):
    """How the weights move.

    learning_rate: the highest, reached after the warm-up.
    weight_decay: of matrices and kernels.
    warmup: share of all steps in which the rate rises.
    schedule: cosine (falls to 0 at the end) or constant.
    gradient_clip: largest norm of the gradient; null for none.
    ema: decay of the moving average of the weights that is judged; null for none.
    """

    kind: Literal["adamw"] = "adamw"
    learning_rate: Positive = 2e-3
    weight_decay: float = Field(default=0.1, ge=0)
    warmup: Share = 0.05
    schedule: Literal["cosine", "constant"] = "cosine"
    gradient_clip: Positive | None = 1.0
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.995
