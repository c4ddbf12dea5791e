"""Films read by PyAV, which brings its own FFmpeg: packets tell the times, chosen frames are converted."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from datamodules.video.decode.faults import ClipError, encrypted
from datamodules.video.decode.frames import ClipFacts, Shown
from datamodules.video.decode.packets import PacketSource
from datamodules.video.decode.painting import Painter, Stance, pixel_shape
from datamodules.video.decode.timetable import read_timetable
from datamodules.video.frame_choice import length

NOTHING = "damaged: no frame of it can be decoded from what is there"
MOST_FAULTS = 200
"""How many packets in a row may fail, after which nothing more is expected of a file."""


class _BackwardsError(Exception):
    """Frames come in another order than their times: an AVI file knows only that of decoding."""


class PyavFilm:
    """A clip, or a piece of one, opened by PyAV (see `Film`): only the wanted pictures are in memory.

    size, fit:   what pictures are brought to (see `FrameOptions`)
    start, stop: seconds since the first frame of the file
    Errors: ClipError with the cause, when the film is opened or when its frames are asked for.
    """

    def __init__(
        self, path: Path, size: int, fit: str, start: float | None = None, stop: float | None = None
    ) -> None:
        self.path, self._piece = path, (start, stop)
        self._source = PacketSource(path)
        try:
            self._table = read_timetable(self._source, start, stop)
        except ClipError:
            self._source.close()
            raise
        self._wide = pixel_shape(self._source.stream.sample_aspect_ratio)
        self._painter = Painter(size, fit, self._wide)
        self._sound = True
        self._warning: str | None = None
        if self._table.lacking:
            there = len(self._table.ticks)
            self._warning = f"cut short: {there} of {there + self._table.lacking} frames are there"

    def __enter__(self) -> Self:
        """The film, which is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives back what the reader holds."""
        self._source.close()

    def times(self) -> NDArray[np.float64]:
        """(frame,) seconds within the file (see `Film`)."""
        return self._table.seconds()

    def show(self, wanted: Iterable[int]) -> Shown:
        """The frames of these numbers.

        Only stretches from a key frame to a wanted one are decoded. When something fails on the way, the
        whole film is looked through, and `times` are those of the frames that decode.
        """
        ticks = self._table.ticks
        targets = {int(ticks[number]): number for number in sorted(set(wanted)) if number < len(ticks)}
        if not targets:
            raise encrypted(self.path) or ClipError(self.path, "no frames: a header without pictures")
        try:
            pictures = self._picked(targets) if self._sound else None
            return Shown(self._looked_through(targets) if pictures is None else pictures, self._warning)
        except _BackwardsError:
            self._sound = True
            self._table = read_timetable(self._source, *self._piece, ordered=True)
            return Shown({}, self._warning)

    def _picked(self, targets: dict[int, int]) -> dict[int, NDArray[np.uint8]] | None:
        """The pictures, by number; None when something fails on the way."""
        pictures: dict[int, NDArray[np.uint8]] = {}
        for key, run in self._table.runs(sorted(targets)):
            for tick, frame in self._decoded(key):
                if frame is None:
                    return None
                number = targets.get(tick)
                if number is not None and number not in pictures:
                    pictures[number] = self._painter.paint(frame)
                if tick >= run[-1]:
                    break
        return pictures if len(pictures) == len(targets) else None

    def _looked_through(self, targets: dict[int, int]) -> dict[int, NDArray[np.uint8]]:
        """The pictures that there are, by number, after a look at all frames, which are then known."""
        self._sound = False
        promised = self._table.ticks
        last = int(promised[-1])
        key, _ = next(iter(self._table.runs([int(promised[0])])))
        pictures: dict[int, NDArray[np.uint8]] = {}
        found: set[int] = set()
        faults = 0
        for tick, frame in self._decoded(key):
            if frame is None:
                faults += 1
            elif promised[0] <= tick <= last and tick not in found:
                found.add(tick)
                if tick in targets:
                    pictures[targets[tick]] = self._painter.paint(frame)
            if tick >= last:
                break
        fault = encrypted(self.path) if faults or not found else None
        if fault is not None or not found:
            raise fault or ClipError(self.path, NOTHING)
        if faults and len(found) < len(promised):
            all_frames = len(promised) + self._table.lacking
            kind = "cut short" if self._table.lacking else "damaged"
            self._warning = f"{kind}: {len(found)} of {all_frames} frames can be decoded"
        self._table = replace(self._table, ticks=np.array(sorted(found), np.int64))
        return pictures

    def _decoded(self, key: int | None) -> Iterator[tuple[int, VideoFrame | None]]:
        """Ticks and frames as they are shown, from the key frame at the tick `key`; None for what fails.

        Frames before the first that stands by itself count as failed: they are built on pictures that are
        not there.
        """
        none = np.iinfo(np.int64).min
        faults, order, whole, before = 0, 0, False, none
        packets = self._source.packets(key)
        while faults < MOST_FAULTS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                yield none, None
                return
            # an edit list may hide the key frame, but not what is built on it
            whole = whole or (packet.is_keyframe and packet.is_discard)
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                faults, whole = faults + 1, False  # what follows is built on it, up to the next key frame
                yield none, None
                continue
            for frame in frames:
                assert isinstance(frame, VideoFrame)
                tick = order if self._table.ordered else frame.pts
                order += 1
                if key is not None and tick is not None and tick < key:
                    continue  # leads to the key frame, and belongs to the stretch before
                whole = (whole or bool(frame.key_frame)) and not frame.is_corrupt
                sound = whole and tick is not None
                faults = 0 if sound else faults
                if sound and tick is not None:
                    if tick < before:
                        raise _BackwardsError
                    before = tick
                yield (tick, frame) if sound and tick is not None else (none, None)

    def facts(self) -> ClipFacts:
        """What is known of the clip from its packets and its first frame."""
        if not len(self._table.ticks):
            raise encrypted(self.path) or ClipError(self.path, "no frames: a header without pictures")
        key, _ = next(iter(self._table.runs([int(self._table.ticks[0])])))
        first = next((frame for _, frame in self._decoded(key) if frame is not None), None)
        if first is None:
            raise encrypted(self.path) or ClipError(self.path, NOTHING)
        stance = Stance.of(first)
        width, height = max(1, round(first.width * self._wide)), first.height
        if stance.transposed:
            width, height = height, width
        times, codec = self.times(), self._source.stream.codec_context.name
        return ClipFacts(len(times), length(times), width, height, codec, stance.rotation)
