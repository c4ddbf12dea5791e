"""What a captioner and its task are made of: frozen, validated settings. Imports nothing slow."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lightning_modules.options import Options, Positive, RecurrentOptions, Share


class FrameEncoderOptions(Options):
    """The CNN that reads each frame of a clip.

    kind: plain, residual, or torchvision (a published backbone).
    backbone: the backbone's name in torchvision.models (torchvision).
    weights: null for none; default for torchvision's own; or a file: a state dict, or a checkpoint of a run.
    frozen: the weights stay as they are.
    channels: width of its features (plain, residual).
    depth: residual blocks, or stages of conv and ReLU (plain, residual).
    pool: downsampling factor (plain, residual).
    cells: features of a frame are averaged to at most cells x cells places; 1 gives one vector a frame.
    gather: how the places of a frame become what is read: mean; flatten (all of them, connected fully); or
        points (of each feature the maximum and where it is: what is there, and where, apart).
    """

    kind: Literal["plain", "residual", "torchvision"] = "residual"
    backbone: str = "resnet18"
    weights: str | None = None
    frozen: bool = False
    channels: int = Field(default=64, ge=1)
    depth: int = Field(default=3, ge=1)
    pool: Literal[1, 2, 4, 8] = 8
    cells: int = Field(default=16, ge=1)
    gather: Literal["mean", "flatten", "points"] = "points"


class WordDecoderOptions(Options):
    """The recurrent network that writes the sentence.

    kind: rnn, lstm or gru.
    form: attend (looks at the frames at every word) or s2vt (two layers read all frames, then write).
    attention: mean, additive or multiplicative over frames; spatial over frames and their places.
    hidden: width of the state.
    layers: how many are stacked (attend).
    embedding: width of a word's vector.
    attention_size: width of the space in which attention compares.
    dropout: share of the embeddings, and of the outputs before the last layer, dropped in training.
    tie: the same matrix reads words and writes them.
    """

    kind: Literal["rnn", "lstm", "gru"] = "lstm"
    form: Literal["attend", "s2vt"] = "attend"
    attention: Literal["mean", "additive", "multiplicative", "spatial"] = "additive"
    hidden: int = Field(default=256, ge=1)
    layers: int = Field(default=1, ge=1)
    embedding: int = Field(default=256, ge=1)
    attention_size: int = Field(default=128, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    tie: bool = False


class ReaderOptions(RecurrentOptions):
    """The network that reads the frames of a clip in order, before words are written.

    kind: rnn, lstm, gru (a vector a frame) or convlstm, convgru (on the places of a frame).
    hidden: width of the state.
    """

    kind: Literal["rnn", "lstm", "gru", "convlstm", "convgru"] = "gru"
    hidden: int = Field(default=256, ge=1)


class CaptionerOptions(Options):
    """Encoder of frames, recurrent network over frames, decoder of words.

    recurrent: the network that reads the frames in order before words are written; null leaves it out.
    concepts: weight of a second loss in training: which words the captions hold at all, told from the mean of
        what was read (Fang et al. 2015); 0 leaves it out.
    """

    kind: Literal["captioner"]
    encoder: FrameEncoderOptions = FrameEncoderOptions()
    recurrent: ReaderOptions | None = ReaderOptions()
    decoder: WordDecoderOptions = WordDecoderOptions()
    concepts: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse at once what the network would refuse when it is built."""
        gather, cells = self.encoder.gather, self.encoder.cells
        spatial = self.decoder.form == "attend" and self.decoder.attention == "spatial"
        if spatial and (gather != "mean" or cells == 1):
            raise ValueError(
                "decoder.attention=spatial looks at several places of a frame: set encoder.gather=mean (now "
                f"{gather}) and encoder.cells above 1 (now {cells}), or take decoder.attention=additive"
            )
        reader = None if self.recurrent is None else self.recurrent.kind
        if reader in ("convlstm", "convgru") and gather != "mean":
            raise ValueError(
                f"recurrent.kind={reader} reads the places of a frame: set encoder.gather=mean (now "
                f"{gather}), or take recurrent.kind=gru"
            )
        return self


class WordSamplingOptions(Options):
    """How often a word is read from the model's own sentence instead of the caption, in training
    (Bengio et al. 2015).

    start: probability in the first epoch.
    end: probability in the last epoch.
    per: token (each word by itself) or sample (a whole caption).
    """

    start: Share = 0.0
    end: Share = 0.0
    per: Literal["token", "sample"] = "token"


class DecodingOptions(Options):
    """How sentences are written.

    method: greedy, beam or sample.
    width: of the beam.
    length_penalty: log-probability is divided by length to this power; 0 is none.
    no_repeat: no n-gram of this length twice in a sentence; 0 allows all.
    temperature: above 1 flatter, below 1 sharper (sample).
    top_k: only the k likeliest words; null for all (sample).
    top_p: only the likeliest words of this probability together; null for all (sample).
    max_words: pieces of a sentence at most, its end not counted.
    n_best: distinct sentences a clip that predict tells.
    """

    method: Literal["greedy", "beam", "sample"] = "beam"
    width: int = Field(default=5, ge=1)
    length_penalty: float = Field(default=0.0, ge=0)
    no_repeat: int = Field(default=0, ge=0)
    temperature: Positive = 1.0
    top_k: int | None = Field(default=None, ge=1)
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_words: int = Field(default=30, ge=1)
    n_best: int = Field(default=5, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.method == "beam" and self.n_best > self.width:
            raise ValueError(f"n_best is {self.n_best}; a beam of width {self.width} finds that many at most")
        return self


class CaptionOptions(Options):
    """The task: under which loss sentences are learnt, how they are written and judged.

    objective: cross_entropy, or self_critical (the reward is CIDEr-D; begins from a trained run: start).
    label_smoothing: share of the target's probability spread over all words.
    tokenizer: of sentences and references in scores: words (lower case, no punctuation), plain (white space)
        or ptb (the Penn Treebank's; needs Java).
    meteor: METEOR too; needs Java and the extra skyreel[java].
    reward_samples: sampled sentences a clip whose rewards are compared (self_critical).
    pieces: seconds of the pieces that predict cuts clips into; null: a sentence a clip (10 s for .vtt).
    """

    kind: Literal["caption"]
    objective: Literal["cross_entropy", "self_critical"] = "cross_entropy"
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    scheduled_sampling: WordSamplingOptions = WordSamplingOptions()
    decoding: DecodingOptions = DecodingOptions()
    tokenizer: Literal["words", "plain", "ptb"] = "words"
    meteor: bool = False
    reward_samples: int = Field(default=5, ge=1)
    pieces: Positive | None = None
