"""Features instead of frames: a frozen encoder's, written once into a store, or made by others."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from datamodules.batches import ClipBatch
from datamodules.errors import InputError
from datamodules.sampler import OrderedBatches, judging_loader
from datamodules.video.check import state_of
from datamodules.video.clips import CaptionedClip
from datamodules.video.datamodule import ClipDataModule
from datamodules.video.dataset import ClipDataset
from datamodules.video.feature_identity import FeatureIdentity, store_path
from datamodules.video.feature_store import FeatureSource, FeatureStore
from datamodules.video.feature_writer import FeatureWriter
from datamodules.video.foreign_features import open_foreign_features
from datamodules.video.named_features import NamedFeatures
from lightning_modules.captioner import Captioner
from lightning_modules.encoders.frames import FrameEncoder
from pipelines.captions.data import ClipData
from pipelines.captions.model import frame_encoder
from pipelines.console import progress
from pipelines.locking import Lock
from pipelines.settings import Settings

log = logging.getLogger(__name__)

LOCK_SECONDS = 24 * 3600.0
"""How long a process waits for another one that writes the same store."""


def open_features(settings: Settings, data: ClipData) -> FeatureSource | None:
    """The features that the settings name, made now where they are this run's own to make; None for pixels.

    Of several processes one writes and the others wait. A store that was begun goes on where it stopped.
    Errors: InputError when features are absent or of another encoder.
    """
    named = settings.clips.features
    clips = [clip for split in data.splits.values() for clip in split]
    if named == "pixels":
        return None
    if named != "store":
        found = open_foreign_features(Path(named))
        log.info("features: %s", found.description)
        return found
    encoder = frame_encoder(settings)
    identity = identity_of(settings, encoder)
    folder = store_path(Path(settings.paths.stores), identity)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder.with_name(f"{folder.name}.lock"))
    if not lock.acquire():
        log.info("%s writes the features in %s; waiting for it", lock.holder(), folder)
        if not lock.acquire(LOCK_SECONDS):
            raise InputError(f"{folder}: another process has been writing it for a day; stop it, or wait")
    names = {clip.id: name_in_store(clip) for clip in clips}
    try:
        _write_missing(settings, encoder, identity, folder, list(dict.fromkeys(clips)), names)
    finally:
        lock.release()
    store = FeatureStore.open(folder, identity)
    log.info("features: %s", store.description)
    return NamedFeatures(store, names)


def identity_of(settings: Settings, encoder: FrameEncoder) -> FeatureIdentity:
    """All that decides the features: encoder and weights, frames, the folder of clips, versions."""
    options = settings.captioner.encoder
    frames = settings.clips.frames.model_dump(mode="json", exclude={"augment"})
    name = options.backbone if options.kind == "torchvision" else options.kind
    return FeatureIdentity(
        backbone=name,
        weights_digest=encoder.digest(),
        preprocessing=encoder.preprocessing,
        frames={**frames, "folder": str(Path(settings.clips.path).absolute())},
        versions={package: _version(package) for package in ("torch", "torchvision", "av")},
    )


def name_in_store(clip: CaptionedClip) -> str:
    """The clip's id, and a digest of which seconds of its file, by the file's size and time of change.

    So a file that was put in another's place is read anew. What is stored of the earlier one stays, unused.
    """
    assert clip.file is not None
    content = json.dumps([*state_of(clip.file), clip.start, clip.stop])
    return f"{clip.id} {hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _write_missing(
    settings: Settings,
    encoder: FrameEncoder,
    identity: FeatureIdentity,
    folder: Path,
    clips: list[CaptionedClip],
    names: Mapping[str, str],
) -> None:
    """Features of the clips that the store lacks, in order; what was written survives a kill.

    names: what each clip is called in the store, by its id
    """
    if folder.is_dir():
        store = FeatureStore.open(folder, identity)
        if all(names[clip.id] in store for clip in clips):
            return
    use_gpu = settings.trainer.accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if use_gpu else "cpu")
    encoder = encoder.to(device)
    with FeatureWriter(folder, identity) as writer, progress("features") as advance:
        todo = [clip for clip in clips if names[clip.id] not in writer]
        done = known = len(clips) - len(todo)
        log.info("writing features of %d clips into %s", len(todo), folder)
        for batch in frames_of(settings, todo) if todo else ():
            chosen = todo[done - known : done - known + len(batch.clip)]
            features = _features(encoder, batch, device)
            for row, clip in enumerate(chosen):
                counts = batch.mask[row].numpy()
                writer.add(names[clip.id], features[row][counts], batch.times[row].numpy()[counts])
            done += len(chosen)
            advance(done, len(clips))
        writer.complete()


def frames_of(settings: Settings, clips: Sequence[CaptionedClip]) -> Iterable[ClipBatch]:
    """Frames of `clips` in order, as a judge reads them, a batch at a time."""
    options = settings.clips
    data = ClipDataset(clips, options.frames)
    return judging_loader(data, OrderedBatches(len(data), options.batch_size), options.workers)


@torch.inference_mode()
def _features(encoder: FrameEncoder, batch: ClipBatch, device: torch.device) -> np.ndarray:
    """Features float16 (clip, frame, cell, feature) of a batch of frames."""
    return encoder(batch.frames.to(device), batch.mask.to(device)).half().cpu().numpy()


@torch.inference_mode()
def clip_vectors(model: Captioner, clips: ClipDataModule, split: str) -> np.ndarray:
    """One vector a clip, float32 (clip, feature): the mean over frames and places of what is remembered."""
    rows: dict[int, np.ndarray] = {}
    device = next(model.parameters()).device
    with progress(f"features of {split} clips") as advance:
        data = clips.dataset(split)
        order = OrderedBatches(len(data), clips.batch_size)
        for batch in judging_loader(data, order, clips.workers):
            batch = ClipBatch(*(part.to(device) for part in batch))
            memory = model.remember(batch)
            weights = memory.mask.float() / memory.mask.sum(1, keepdim=True).clamp(min=1)
            vectors = torch.einsum("bf,bfcw->bw", weights, memory.values.float()) / memory.values.shape[2]
            rows |= dict(zip(batch.clip.tolist(), vectors.cpu().numpy(), strict=True))
            advance(len(rows), clips.counts[split])
    return np.stack([rows[number] for number in range(clips.counts[split])])
