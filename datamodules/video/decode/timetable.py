"""When the frames of a film are shown, from its packets alone: nothing is decoded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from datamodules.video.decode.faults import ClipError
from datamodules.video.decode.packets import PacketSource

DOUBLES = 0.1
"""Share of frames with another's time, from which the times are not believed."""
OPENED = 64
"""Packets in which the first frame to be shown is looked for."""
CLOSE = 1e-6
"""Seconds that are nothing: rounding is not to decide."""


@dataclass(frozen=True, eq=False)
class Timetable:
    """When frames are shown.

    ticks:   (frame,) int64, increasing, in units of `unit`
    keys:    (key,) int64, increasing: frames at which decoding can begin
    unit:    seconds
    ordered: packets do not say it: frames are numbered instead, and come at the stream's rate
    lacking: frames that the file's index promises and the file does not hold
    """

    ticks: NDArray[np.int64]
    keys: NDArray[np.int64]
    unit: float
    ordered: bool = False
    lacking: int = 0

    def seconds(self) -> NDArray[np.float64]:
        """(frame,) seconds within the file."""
        return self.ticks.astype(np.float64) * self.unit

    def runs(self, wanted: list[int]) -> Iterator[tuple[int | None, list[int]]]:
        """Ticks that are decoded in one go, with the key frame before them; None is the beginning.

        wanted: increasing. A stretch between two key frames in which nothing is wanted is left out.
        """
        if self.ordered or not len(self.keys):
            yield None, wanted
            return
        stretch = np.maximum(np.searchsorted(self.keys, wanted, side="right") - 1, 0)
        for part in np.split(np.arange(len(wanted)), np.flatnonzero(np.diff(stretch) > 1) + 1):
            yield int(self.keys[stretch[part[0]]]), [wanted[place] for place in part]


def read_timetable(
    source: PacketSource, start: float | None, stop: float | None, ordered: bool = False
) -> Timetable:
    """That of the whole film, or of the frames that begin from `start` to before `stop`.

    start, stop: seconds since the film's first frame. Where no frame begins between them, it is the one that
    is on the screen. Only packets about the piece are read, where the file's times can be trusted.
    ordered: they cannot: frames come at the stream's rate

    Errors: ClipError when the film ends before `start`.
    """
    if start is None and stop is None:
        return _whole(source, ordered)
    base = float(source.stream.time_base or 0)
    origin = None if ordered else _origin(source)
    if origin is not None and base:
        begin = origin + int(np.ceil(((start or 0.0) - CLOSE) / base))
        end = None if stop is None else origin + int(np.ceil((stop - CLOSE) / base))
        found = _Listed(source.packets(begin), end)
        if not found.untold:
            return _piece(source, found.timetable(base), begin, end, found.goes_on)
    whole = _whole(source, ordered)
    if not len(whole.ticks):
        return whole
    begin = int(whole.ticks[0]) + int(np.ceil(((start or 0.0) - CLOSE) / whole.unit))
    end = None if stop is None else int(whole.ticks[0]) + int(np.ceil((stop - CLOSE) / whole.unit))
    return _piece(source, whole, begin, end, False)


class _Listed:
    """What packets say.

    untold:  whether their times are missing, or too often doubled, to be believed
    goes_on: whether there are frames behind `end`
    """

    def __init__(self, packets: Iterable[Packet], end: int | None = None) -> None:
        self.keys: list[int] = []
        self.stored = 0
        self.goes_on = False
        first: int | None = None
        found: list[int | None] = []
        try:
            for packet in packets:
                if not packet.size:
                    continue
                self.stored += 1
                if packet.is_keyframe and packet.pts is not None:
                    first = packet.pts if first is None else first
                    self.keys.append(packet.pts)
                if not packet.is_discard:
                    found.append(packet.pts)
                if end is not None and packet.dts is not None and packet.dts > end:
                    self.goes_on = True
                    break
        except (av.FFmpegError, OSError):
            pass  # what is missing at the end shows when frames are asked for
        known = [tick for tick in found if tick is not None]
        self.count = len(found)
        self.ticks = np.unique(np.array(known, np.int64))
        self.untold = len(known) < len(found) or len(self.ticks) < (1 - DOUBLES) * len(found)
        if first is not None:  # what is shown before the first key frame is built on what is not there
            self.ticks = self.ticks[self.ticks >= first]

    def timetable(self, base: float, lacking: int = 0) -> Timetable:
        """The times told."""
        return Timetable(self.ticks, np.unique(np.array(self.keys, np.int64)), base, False, lacking)


def _whole(source: PacketSource, ordered: bool) -> Timetable:
    """The timetable of all packets."""
    found = _Listed(source.packets())
    lacking = max(0, source.promised - found.stored)
    base = source.stream.time_base
    if ordered or found.untold or base is None:
        rate = source.stream.average_rate or source.stream.base_rate or 25
        none = np.empty(0, np.int64)
        return Timetable(np.arange(found.count, dtype=np.int64), none, 1 / float(rate), True, lacking)
    return found.timetable(float(base), lacking)


def _origin(source: PacketSource) -> int | None:
    """The tick of the first frame that is shown; None where packets do not tell it."""
    found = _Listed(islice(source.packets(), OPENED))
    return None if found.untold or not len(found.ticks) else int(found.ticks[0])


def _piece(source: PacketSource, table: Timetable, begin: int, end: int | None, goes_on: bool) -> Timetable:
    """The part of a timetable from `begin` to before `end`."""
    ticks = table.ticks
    first = int(np.searchsorted(ticks, begin))
    last = len(ticks) if end is None else int(np.searchsorted(ticks, end))
    if first >= last:
        step = int(np.median(np.diff(ticks))) if len(ticks) > 1 else 0
        if not first or not (goes_on or first < len(ticks) or begin < ticks[-1] + step):
            seconds = (ticks[-1] - ticks[0]) * table.unit if len(ticks) else 0.0
            raise ClipError(source.path, f"no frames in this piece: its last one begins at {seconds:g} s")
        first, last = first - 1, first
    return Timetable(ticks[first:last], table.keys, table.unit, table.ordered)
