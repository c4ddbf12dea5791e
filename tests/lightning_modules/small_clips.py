"""A few small clips with captions for model tests, and a vocabulary to spell them with."""

import torch

from datamodules.batches import BEGIN, END, PAD, ClipBatch
from lightning_modules.caption_options import CaptionerOptions

SIZE = 16
WORDS = ("a", "red", "green", "blue", "dot", "goes", "left", "right", "stays", "here")
VOCABULARY = 4 + len(WORDS)
CAPTIONS = [
    ["a red dot goes left", "a dot goes left"],
    ["a green dot stays here"],
    ["a blue dot goes right", "blue dot goes right"],
    ["a red dot stays here", "a dot stays"],
]


def spell(tokens: list[int]) -> str:
    """The words of tokens, joined by spaces."""
    return " ".join(WORDS[token - 4] for token in tokens)


def spelled_out(caption: str) -> list[int]:
    """BEGIN, the words, END."""
    return [BEGIN, *(4 + WORDS.index(word) for word in caption.split()), END]


def tokens_of(captions: list[list[str]]) -> torch.Tensor:
    """(batch, caption, token) of captions, padded; a clip with fewer captions gets rows of padding."""
    spelled = [[spelled_out(caption) for caption in clip] for clip in captions]
    longest = max(len(one) for clip in spelled for one in clip)
    tokens = torch.full((len(captions), max(map(len, captions)), longest), PAD)
    for number, clip in enumerate(spelled):
        for place, one in enumerate(clip):
            tokens[number, place, : len(one)] = torch.tensor(one)
    return tokens


def clips(*, frames: int = 5, size: int = SIZE, judging: bool = False) -> ClipBatch:
    """Four clips of a dot on grey, as CAPTIONS say; the second and the fourth are shorter and padded."""
    pixels = torch.full((4, frames, 3, size, size), 90, dtype=torch.uint8)
    for number, (colour, speed) in enumerate(((0, -2), (1, 0), (2, 2), (0, 0))):
        for frame in range(frames):
            column = size // 2 - 2 + speed * (frame - frames // 2)
            pixels[number, frame, :, 6:10, column : column + 4] = 0
            pixels[number, frame, colour, 6:10, column : column + 4] = 255
    mask = torch.ones(4, frames, dtype=torch.bool)
    mask[1, frames - 1] = mask[3, frames - 2 :] = False
    pixels[~mask] = 0
    return ClipBatch(
        frames=pixels,
        features=torch.zeros(4, 0, 0, 0),
        mask=mask,
        times=torch.arange(frames).float().expand(4, frames) * mask,
        tokens=torch.zeros(4, 0, 0, dtype=torch.int64) if judging else tokens_of(CAPTIONS),
        clip=torch.arange(4),
    )


def options(
    encoder: dict[str, object] | None = None,
    recurrent: dict[str, object] | str | None = "gru",
    decoder: dict[str, object] | None = None,
) -> CaptionerOptions:
    """A small captioner."""
    if isinstance(recurrent, str):
        recurrent = {"kind": recurrent, "hidden": 16}
    frames = {"kind": "residual", "channels": 8, "depth": 1, "pool": 4, "cells": 2, "gather": "mean"}
    words = {"hidden": 16, "embedding": 12, "attention_size": 8, "dropout": 0.0}
    return CaptionerOptions.model_validate(
        {
            "kind": "captioner",
            "encoder": {**frames, **(encoder or {})},
            "recurrent": recurrent,
            "decoder": {**words, **(decoder or {})},
        }
    )
