"""Films read by PyAV, which brings its own FFmpeg: packets tell the times, chosen frames are converted."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from datamodules.video.decode.faults import ClipError, encrypted, require_file, unopened
from datamodules.video.decode.fitting import fit_picture, stored_size, turned
from datamodules.video.decode.frames import ClipFacts, Shown
from datamodules.video.frame_choice import length

av.logging.set_level(av.logging.PANIC)

EXACT = Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
"""The same picture on every processor."""
NOTHING = "damaged: no frame of it can be decoded from what is there"
MOST_FAULTS = 200
"""How many packets may fail, after which nothing more is expected of a file."""


class PyavFilm:
    """A clip opened by PyAV (see `Film`): decoded on one thread, only the wanted pictures in memory.

    size, fit: what pictures are brought to (see `FrameOptions`)
    Errors: ClipError with the cause, when the film is opened or when its frames are asked for.
    """

    def __init__(self, path: Path, size: int, fit: str) -> None:
        require_file(path)
        self.path, self.size, self.fit = path, size, fit
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise encrypted(path) or unopened(path, str(error).partition(":")[0]) from error
        if not self._container.streams.video:
            kinds = sorted({stream.type for stream in self._container.streams})
            self._container.close()
            raise ClipError(path, f"no video stream: {' and '.join(kinds) or 'nothing'} only")
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1
        self._reformatter = VideoReformatter()
        self._promised: list[int] | None = None

    def __enter__(self) -> Self:
        """The film, which is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives back what the reader holds."""
        self._container.close()

    def times(self) -> NDArray[np.float64]:
        """(frame,) seconds within the file at which frames are promised to begin, known without decoding."""
        return self._seconds(self._ticks())

    def show(self, wanted: Iterable[int]) -> Shown:
        """The frames of these numbers among those promised, and the times of all that decode.

        A number that is not there is left out. Decoding begins at the key frame before the first one and ends
        with the last, unless something fails on the way: then everything is looked at.
        """
        ticks = self._ticks()
        targets = {ticks[number]: number for number in wanted if number < len(ticks)}
        if not targets:
            raise encrypted(self.path) or ClipError(self.path, "no frames: a header without pictures")
        first, last = min(targets), max(targets)
        shown = self._show(targets, first, last)
        if len(shown.pictures) < len(targets) and first > ticks[0]:
            shown = self._show(targets, ticks[0], last)
        return shown

    def _show(self, targets: dict[int, int], first: int, last: int) -> Shown:
        pictures: dict[int, NDArray[np.uint8]] = {}
        found: list[int] = []
        faults = 0
        for tick, frame in self._decoded(first):
            if frame is None:
                faults += 1
                continue
            found.append(tick)
            if tick in targets:
                pictures[targets[tick]] = self._picture(frame)
            if tick >= last and len(pictures) == len(targets) and not faults:
                return Shown(pictures, self._seconds(self._ticks()), None)
        if not found:
            raise encrypted(self.path) or ClipError(self.path, NOTHING)
        promised = len(self._ticks())
        warning = f"damaged: {len(found)} of {promised} frames can be decoded"
        return Shown(pictures, self._seconds(sorted(found)), warning if len(found) < promised else None)

    def _ticks(self) -> list[int]:
        """When packets say that their frames are shown, in units of the stream's time base, sorted."""
        if self._promised is None:
            found: list[int | None] = []
            self._rewind(None)
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size and not packet.is_discard:
                        found.append(packet.pts)
            except (av.FFmpegError, OSError):
                pass  # what is missing at the end shows when frames are asked for
            known = [tick for tick in found if tick is not None]
            whole = len(known) == len(found) and len(set(known)) == len(known)
            self._by_order = not whole
            self._promised = sorted(known) if whole else list(range(len(found)))
        return self._promised

    def _seconds(self, ticks: list[int]) -> NDArray[np.float64]:
        """(frame,) seconds of ticks."""
        base = self._stream.time_base
        if self._by_order or base is None:
            rate = self._stream.average_rate or self._stream.base_rate
            return np.asarray(ticks, float) / float(rate or 25)
        return np.asarray(ticks, float) * float(base)

    def _rewind(self, first: int | None) -> None:
        """Go to the key frame before the tick `first`; None or the first frame is the beginning."""
        self._container.close()
        self._container = av.open(str(self.path))
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1
        if first is not None and not self._by_order and first > self._ticks()[0]:
            self._container.seek(first, stream=self._stream, backward=True)

    def _decoded(self, first: int) -> Iterator[tuple[int, VideoFrame | None]]:
        """Ticks and frames as they are shown, from the key frame before `first`; None for what fails.

        Frames before the first that stands by itself (a key frame) count as failed: they are built on
        pictures that are not there.
        """
        self._rewind(first)
        faults, order, whole = 0, 0, False
        packets = self._container.demux(self._stream)
        while faults < MOST_FAULTS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                yield 0, None
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                faults += 1
                yield 0, None
                continue
            for frame in frames:
                assert isinstance(frame, VideoFrame)
                tick = order if self._by_order else frame.pts
                order += 1
                whole = whole or (bool(frame.key_frame) and not frame.is_corrupt)
                yield (tick, frame) if whole and not frame.is_corrupt and tick is not None else (0, None)

    def _picture(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB, upright, on black where the frame is transparent."""
        turns = _quarter_turns(frame.rotation)
        wide = float(self._stream.sample_aspect_ratio or 1)
        width, height = stored_size((frame.width, frame.height), wide, turns, self.size, self.fit)
        clear = any(part.is_alpha for part in frame.format.components)
        found: NDArray[np.uint8] = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgba" if clear else "rgb24",
            interpolation=(Interpolation.AREA if width < frame.width else Interpolation.BICUBIC) | EXACT,
            src_color_range=ColorRange(frame.color_range) if frame.color_range in (1, 2) else None,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        ).to_ndarray()  # type: ignore[assignment]
        if clear:
            found = (found[..., :3] * (found[..., 3:] / 255.0) + 0.5).astype(np.uint8)
        return fit_picture(turned(found, turns), self.size, self.fit)

    def facts(self) -> ClipFacts:
        """What is known of the clip from its packets and its first frame."""
        times = self.times()
        first = next((frame for _, frame in self._decoded(self._ticks()[0]) if frame is not None), None)
        if first is None:
            raise encrypted(self.path) or ClipError(self.path, NOTHING)
        turns = _quarter_turns(first.rotation)
        width, height = round(first.width * float(self._stream.sample_aspect_ratio or 1)), first.height
        if turns % 2:
            width, height = height, width
        codec = self._stream.codec_context.name
        return ClipFacts(len(times), length(times), width, height, codec, -90 * turns % 360)


def _quarter_turns(rotation: int) -> int:
    """Quarter turns counterclockwise that bring a stored picture upright; 0 of a turn that is none."""
    return round(rotation / 90) % 4 if abs(rotation) <= 360 else 0
