"""Clips of a split as ready batches: frames or stored features, with groups of captions when training."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset

from datamodules.batches import ClipBatch
from datamodules.errors import InputError
from datamodules.video.annotations.wording import counted, first_few
from datamodules.video.augment import augment
from datamodules.video.caption_groups import CaptionGroups
from datamodules.video.clips import CaptionedClip
from datamodules.video.decode.faults import ClipError
from datamodules.video.decode.read import read_frames
from datamodules.video.feature_store import FeatureSource
from datamodules.video.options import FrameOptions


class ClipDataset(Dataset[ClipBatch]):
    """Clips of one split; asked for several positions at once it returns one `ClipBatch`.

    clips:    in the order that numbers them
    frames:   which frames are read, their size, and how they vary in training
    features: a frozen encoder's, read instead of the files; None reads the files
    groups:   captions to train on: a sample is a group of them with its clip; None when judging: a sample is
              a clip, its frames are chosen without chance, and no captions come along

    When training, a position counts through all epochs: sample s of epoch e is e x len + s. Its frames and
    their augmentation are drawn from (seed, epoch, sample) alone, so neither the order nor the process that
    reads matters. Errors: InputError that names a clip that has nothing to read or cannot be read.
    """

    def __init__(
        self,
        clips: Sequence[CaptionedClip],
        frames: FrameOptions,
        features: FeatureSource | None = None,
        groups: CaptionGroups | None = None,
    ) -> None:
        """Check that every clip has something to read; nothing is opened yet."""
        _require_something_to_read(clips, features)
        self.clips = tuple(replace(clip, captions=()) for clip in clips)  # readers need no words
        self.frames, self.features, self.groups = frames, features, groups

    def __len__(self) -> int:
        """Samples of an epoch: groups of captions when training, clips when judging."""
        return len(self.clips) if self.groups is None else len(self.groups)

    def __getitem__(self, positions: int | list[int]) -> ClipBatch:
        """The samples at `positions` as one batch; a single position is a batch of one."""
        return self.__getitems__([positions] if isinstance(positions, int) else positions)

    def __getitems__(self, positions: list[int]) -> ClipBatch:
        """The samples at `positions`, all of one epoch, as one batch in that order.

        Frames or features are padded with zeros to the longest clip of the batch, and masked. Times are NaN
        where the features' maker did not keep them.
        """
        epochs, samples = np.divmod(np.asarray(positions, dtype=np.int64), max(len(self), 1))
        epoch = int(epochs[0])
        if epoch < 0 or (epochs != epoch).any() or (epoch and self.groups is None):
            raise IndexError(f"positions {positions} are not {len(self)} samples of one epoch")
        if self.groups is None:
            number, tokens = samples, np.empty((len(samples), 0, 0), dtype=np.int64)
            read = [self._read(self.clips[n]) for n in number.tolist()]
        else:
            number, tokens = self.groups.clip[samples], self.groups.tokens(epoch, samples)
            chances = [self._chance(epoch, sample) for sample in samples.tolist()]
            read = [self._read(self.clips[n], rng) for n, rng in zip(number.tolist(), chances, strict=True)]
        frames, features, mask, times = self._assemble(read)
        return ClipBatch(
            frames=torch.from_numpy(frames),
            features=torch.from_numpy(features),
            mask=torch.from_numpy(mask),
            times=torch.from_numpy(times),
            tokens=torch.from_numpy(tokens),
            clip=torch.from_numpy(number),
        )

    def _chance(self, epoch: int, sample: int) -> np.random.Generator:
        """What decides a training sample's frames."""
        assert self.groups is not None
        seeds = np.random.SeedSequence([self.groups.seed, epoch], spawn_key=(1, sample))
        return np.random.default_rng(seeds)

    def _read(
        self, clip: CaptionedClip, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features (frame, cell, feature) or pixels (frame, height, width, 3), and times (frame,)."""
        if self.features is not None:
            return self.features.features(clip.id)
        assert clip.file is not None
        training = rng is not None
        try:
            found = read_frames(
                clip.file, self.frames, training=training, rng=rng, start=clip.start, stop=clip.stop
            )
        except ClipError as error:
            raise InputError(
                f"clip {clip.id!r} ({clip.file}) cannot be read: {error.reason}. Put a whole file in its "
                "place and give the same command again; data.bad_clips=skip leaves out the clips that cannot "
                "be read when a run begins"
            ) from error
        pixels = found.pixels if rng is None else augment(found.pixels, self.frames.augment, rng)
        return pixels, found.times

    def _assemble(
        self, read: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Frames, features, mask and times of a batch; one copy of each clip, none twice."""
        length = np.array([len(times) for _, times in read])
        mask = np.arange(length.max()) < length[:, None]
        times = np.zeros(mask.shape, dtype=np.float32)
        times[mask] = np.concatenate([seconds for _, seconds in read])
        first = read[0][0]
        if self.features is not None:
            features = np.zeros((*mask.shape, *first.shape[1:]), dtype=first.dtype)
            for place, (values, _) in zip(features, read, strict=True):
                place[: len(values)] = values
            size = self.frames.size
            return np.empty((len(read), 0, 3, size, size), dtype=np.uint8), features, mask, times
        frames = np.empty((*mask.shape, 3, *first.shape[1:3]), dtype=np.uint8)
        for place, (pixels, _) in zip(frames, read, strict=True):
            place[: len(pixels)] = pixels.transpose(0, 3, 1, 2)
            place[len(pixels) :] = 0
        return frames, np.empty((len(read), 0, 0, 0), dtype=np.float16), mask, times


def _require_something_to_read(clips: Sequence[CaptionedClip], features: FeatureSource | None) -> None:
    """Errors: InputError that names the clips without a file, or without stored features."""
    if features is not None:
        what, lacking = "stored features", [clip.id for clip in clips if clip.id not in features]
        way_out = f"Found: {features.description}. Add these clips to it"
    else:
        what, lacking = "file", [clip.id for clip in clips if clip.file is None]
        way_out = "Put the files into data.path"
    if lacking:
        raise InputError(
            f"{counted(len(lacking), 'clip has', 'clips have')} no {what}: {first_few(lacking)}. {way_out}, "
            "or leave the clips out of data.annotations"
        )
