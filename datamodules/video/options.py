"""What a set of captioned clips is made of: frozen, validated settings. Imports nothing slow."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from datamodules.options import DownloadOptions, Options, Paths, check_name, sentence

Fraction = Annotated[float, Field(gt=0, lt=1)]


class ClipSplitOptions(Options):
    """Which clips train, validate and test.

    kind: official (as the annotations say), fractions, lists (files of clip ids), or whole (every clip in
        every split: what was learnt by heart, nothing else).
    convention: of an official split that has several: full or 1k-A (MSR-VTT).
    train: a fraction, or a file with one clip id a line.
    validation: a fraction, or a file with one clip id a line.
    test: a fraction, or a file with one clip id a line.
    """

    kind: Literal["official", "fractions", "lists", "whole"] = "official"
    convention: Literal["full", "1k-A"] = "full"
    train: Fraction | str | None = None
    validation: Fraction | str | None = None
    test: Fraction | str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = (self.train, self.validation, self.test)
        wanted = {"fractions": float, "lists": str}.get(self.kind)
        if wanted is not None and not all(isinstance(part, wanted) for part in parts):
            what = "fractions such as 0.8" if wanted is float else "files with one clip id a line"
            raise sentence(f"kind={self.kind} wants train, validation and test as {what}")
        if wanted is None and any(part is not None for part in parts):
            raise sentence(f"kind={self.kind} takes no train, validation, test; kind=fractions or lists does")
        if wanted is float and (total := sum(float(part) for part in parts if part is not None)) > 1 + 1e-9:
            raise sentence(f"train, validation and test are fractions that sum to 1 at most; found {total:g}")
        return self


class AugmentOptions(Options):
    """Random changes of training frames, the same for all frames of a clip.

    crop: smallest share of the picture's area that is kept; 1 keeps all of it.
    flip: probability of a mirrored clip; 0 where left and right have a meaning.
    colour: largest relative change of brightness, contrast and saturation.
    """

    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0


class FrameOptions(Options):
    """Which frames of a clip are read, and how they are brought to one size.

    choice: uniform (evenly spread), segment (random within equal parts when training, their middle when
        judging), fps (so many a second) or all.
    count: frames a clip (uniform, segment).
    fps: frames a second (fps).
    most: frames of a clip at most (fps, all); a longer clip is thinned evenly.
    size: pixels across and down.
    fit: crop (the middle square), squeeze (both sides alike) or pad (black bars).
    backend: pyav or torchcodec.
    """

    choice: Literal["uniform", "segment", "fps", "all"] = "segment"
    count: int = Field(default=16, ge=1)
    fps: Annotated[float, Field(gt=0)] = 2.0
    most: int = Field(default=256, ge=1)
    size: int = Field(default=224, ge=8)
    fit: Literal["crop", "squeeze", "pad"] = "crop"
    backend: Literal["pyav", "torchcodec"] = "pyav"
    augment: AugmentOptions = AugmentOptions()


class VocabularyOptions(Options):
    """What sentences are spelt with, from training captions only.

    kind: words, or bpe (byte-pair encoding).
    min_count: how often a word must occur in training captions to be known (words).
    size: pieces at most (bpe).
    lower: case does not matter.
    """

    kind: Literal["words", "bpe"] = "words"
    min_count: int = Field(default=2, ge=1)
    size: int = Field(default=4000, ge=300)
    lower: bool = True


class SampleClipsOptions(Options):
    """The generated sample set.

    clips: of the training split.
    seed: fixes what they show and say.
    """

    clips: int = Field(default=1200, ge=20)
    seed: int = Field(default=0, ge=0)


class ClipOptions(Options):
    """Captioned clips: the files, what is said of them, which frames are read.

    path: the folder of the clips (or images); a clip is found by its id, with any ending.
    annotations: file(s) with the captions; null takes each file's name as its caption.
    format: of the annotations: auto, msvd, msrvtt, vatex, coco, table.
    bad_clips: error stops at a clip that cannot be read; skip reports it, and scores say that they miss it.
    features: pixels; store (a frozen encoder's, written once); or a folder of .npy files or an HDF5 file.
    captions_per_clip: captions of one clip that are trained on together.
    max_words: longer captions are cut for training; references never are.
    facts: a CSV clip,<fact>,...: what a right sentence names, alternatives divided by '|'.
    batch_size: clips per batch and process.
    workers: processes that read, per rank; 0: the training process itself.
    """

    kind: Literal["clips"]
    name: Annotated[str, AfterValidator(check_name)]
    path: Annotated[str, Field(min_length=1)]
    annotations: Paths | None = None
    format: Literal["auto", "msvd", "msrvtt", "vatex", "coco", "table"] = "auto"
    split: ClipSplitOptions = ClipSplitOptions()
    frames: FrameOptions = FrameOptions()
    bad_clips: Literal["error", "skip"] = "error"
    features: Annotated[str, Field(min_length=1)] = "pixels"
    vocabulary: VocabularyOptions = VocabularyOptions()
    captions_per_clip: int = Field(default=5, ge=1)
    max_words: int = Field(default=30, ge=1)
    facts: str | None = None
    batch_size: int = Field(default=16, ge=1)
    workers: int = Field(default=0, ge=0)
    download: DownloadOptions | None = None
    sample: SampleClipsOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _features_is_a_word(cls, values: Any) -> Any:
        """`data.features=null` means pixels."""
        if isinstance(values, dict) and values.get("features", "") is None:
            return {**values, "features": "pixels"}
        return values
