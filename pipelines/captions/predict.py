"""From a run and clips to sentences: JSON with everything, CSV, or WebVTT subtitles."""

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any

import torch

from datamodules.batches import ClipBatch
from datamodules.errors import InputError
from datamodules.video.check import check_clips
from datamodules.video.clips import CaptionedClip
from datamodules.video.decode.faults import ClipError
from datamodules.video.decode.read import survey
from datamodules.video.media import list_media
from lightning_modules.captioning import CaptioningModule, ClipSentences
from pipelines.captions.caption_files import check_output, write_captions
from pipelines.captions.features import frames_of
from pipelines.captions.model import build_module, frame_encoder, kept_encoder, vocabulary_of
from pipelines.captions.written import Written, written_for
from pipelines.console import progress
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.verbs import Call
from pipelines.weights import load_weights

log = logging.getLogger(__name__)

SUBTITLE_SECONDS = 10.0
"""Length of the pieces that subtitles are written for, where the settings say nothing."""
LAST_PIECE = 0.25
"""A last piece shorter than this share of a whole one is part of the one before it."""


def predict_captions(call: Call) -> dict[str, Any]:
    """Sentences for the clips that `input=` names, into `output=` (.json, .csv or .vtt).

    Without `output=` they go to predictions/captions.json of the run. With task.pieces a long clip is cut
    into pieces of so many seconds, a sentence each. A clip that cannot be read stops the call, or with
    data.bad_clips=skip is told and left out. Returns output, clips, captions, bad_clips.
    """
    settings, run = call.settings, RunDir(Path(call.run or "").absolute())
    files = named_files(call.input or "")
    output = Path(call.output) if call.output else run.predictions / "captions.json"
    check_output(output, len(files))
    pieces = settings.captions.pieces or (SUBTITLE_SECONDS if output.suffix.lower() == ".vtt" else None)
    clips, bad = _readable(settings, files, pieces)
    writer = Writer(settings, run, Path(call.checkpoint) if call.checkpoint else run.best)
    written = list(writer.write(clips)) if clips else []
    output.parent.mkdir(exist_ok=True)
    write_captions(output, written)
    if not call.json:
        log.info("%d captions of %d clips: %s", len(written), len(files) - len(bad), output)
    return {
        "output": str(output),
        "clips": len(files) - len(bad),
        "captions": len(written),
        "bad_clips": bad,
    }


def captions_of(
    settings: Settings, writer: "Writer", files: Sequence[Path]
) -> tuple[list[Written], dict[str, str]]:
    """What is written for each of `files`, and why others cannot be read. Errors: InputError as above."""
    clips, bad = _readable(settings, files, settings.captions.pieces)
    return (list(writer.write(clips)) if clips else []), bad


def named_files(text: str) -> list[Path]:
    """The clips that a file, a folder or a glob names, sorted; a sub-folder of images is one clip.

    Errors: InputError when there is none.
    """
    place = Path(text).expanduser()
    if text and place.is_dir():
        index = list_media(place)
        stills = set(index.image_folders)
        found = sorted([*(path for path in index.files if path.parent not in stills), *stills])
    elif place.is_file():
        found = [place]
    else:
        found = sorted(Path(one) for one in glob(str(place) if text else "", recursive=True))  # noqa: PTH207
    if not found:
        raise InputError(f"input={text}: names no clip; give a file, a folder, or a pattern as 'clips/*.mp4'")
    return found


def _readable(
    settings: Settings, files: Sequence[Path], pieces: float | None
) -> tuple[list[CaptionedClip], dict[str, str]]:
    """The clips or their pieces, and why others cannot be read. Errors: InputError as bad_clips wants."""
    clips: list[CaptionedClip] = []
    bad: dict[str, str] = {}
    stems = Counter(path.stem for path in files)
    for path in files:
        try:
            duration = survey(path).duration
        except ClipError as error:
            bad[str(path)] = error.reason
            continue
        clips += cut(CaptionedClip(path.stem if stems[path.stem] == 1 else str(path), path), duration, pieces)
    with progress("opening clips") as advance:
        checked = check_clips(
            clips, settings.clips.frames, Path(settings.paths.stores) / "checked_clips", advance
        )
    bad |= checked.bad
    for clip, reason in bad.items():
        log.warning("%s: %s", clip, reason)
    if bad and settings.clips.bad_clips == "error":
        named = "; ".join(f"{clip}: {reason}" for clip, reason in list(bad.items())[:5])
        raise InputError(
            f"input: {len(bad)} clips cannot be read ({named}); leave them out with data.bad_clips=skip"
        )
    return list(checked.good), bad


def cut(clip: CaptionedClip, duration: float, pieces: float | None) -> list[CaptionedClip]:
    """`clip` in pieces of so many seconds, the last one shorter or a little longer; whole where None."""
    if pieces is None or not math.isfinite(duration) or duration <= pieces:
        return [replace(clip, start=0.0, stop=duration)] if pieces is not None else [clip]
    count = max(1, math.ceil(duration / pieces - LAST_PIECE))
    edges = [pieces * number for number in range(count)] + [duration]
    return [replace(clip, start=edges[number], stop=edges[number + 1]) for number in range(count)]


class Writer:
    """A run's captioner on this machine's fastest device, with the encoder of its stored features if any."""

    def __init__(self, settings: Settings, run: RunDir, checkpoint: Path) -> None:
        if settings.clips.features not in ("pixels", "store"):
            raise InputError(
                f"run={run.path}: trained on features made elsewhere ({settings.clips.features}), which "
                "cannot be made of clips here; train on data.features=pixels or store"
            )
        self.settings, self.vocabulary = settings, vocabulary_of(run)
        self.encoder = frame_encoder(settings, kept_encoder(run)) if _stored(settings) else None
        shape = None if self.encoder is None else (self.encoder.cells, self.encoder.width)
        module = build_module(settings, self.vocabulary, shape, {}, pretrained=False)
        use_gpu = settings.trainer.accelerator != "cpu" and torch.cuda.is_available()
        self.device = torch.device("cuda" if use_gpu else "cpu")
        self.module: CaptioningModule = load_weights(module, checkpoint).to(self.device)
        if self.encoder is not None:
            self.encoder = self.encoder.to(self.device)

    def write(self, clips: Sequence[CaptionedClip]) -> Iterator[Written]:
        """What is written for each of `clips`, in order."""
        with progress("captions") as advance:
            for batch in frames_of(self.settings, clips):
                for number, found in sorted(self._sentences(batch).items()):
                    yield written_for(found, self.vocabulary, clips[number])
                    advance(number + 1, len(clips))

    @torch.inference_mode()
    def _sentences(self, batch: ClipBatch) -> dict[int, ClipSentences]:
        """What is written for a batch of frames, by the clip's number."""
        batch = ClipBatch(*(part.to(self.device) for part in batch))
        if self.encoder is not None:
            features = self.encoder(batch.frames, batch.mask).half()
            batch = batch._replace(frames=batch.frames[:, :0], features=features)
        return self.module.predict_step(batch, 0)


def _stored(settings: Settings) -> bool:
    return settings.clips.features == "store"
