"""The packets of a film's pictures: found among the streams of a file, and reached without decoding."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from datamodules.video.decode.faults import ClipError, encrypted, require_file, unopened

av.logging.set_level(av.logging.PANIC)

OPENING = {"protocol_whitelist": "file", "max_pixels": str(1 << 28)}
"""A clip is a file: it fetches nothing; and a wrong header does not ask for all the memory."""
NOT_FILMS = frozenset(("tty", "hls", "concat", "dash", "sdp", "rtsp"))
"""Formats in which a text is taken for pictures, or names other files."""
BACK = (0.0, 2.0, 20.0)
"""Seconds before the wanted moment at which a key frame is looked for, in turn."""
SOUGHT = 400
"""Packets in which a key frame is looked for, after a jump."""


class PacketSource:
    """The packets of the video stream of a file; of several the one that is meant to be watched.

    Errors: ClipError with the cause, when it is made.
    """

    def __init__(self, path: Path) -> None:
        require_file(path)
        self.path = path
        self._open()
        self._used = False

    def close(self) -> None:
        """Gives back the file."""
        self._container.close()

    @property
    def promised(self) -> int:
        """Frames whose places the index tells, where a format has a whole index; else 0."""
        return len(self.stream.index_entries) if "mp4" in self._container.format.name else 0

    def packets(self, near: int | None = None) -> Iterator[Packet]:
        """Packets from a key frame at or before the tick `near`; from the beginning when there is none.

        The decoder is fresh. Errors: av.FFmpegError or OSError where the file cannot be read on.
        """
        if near is not None:
            base = float(self.stream.time_base or 0)
            for seconds in BACK if base else ():
                found = self._after_jump(near, round(seconds / base))
                if found is not None:
                    return found
        if self._used:
            self.close()
            self._open()
        self._used = True
        return self._container.demux(self.stream)

    def _after_jump(self, near: int, back: int) -> Iterator[Packet] | None:
        """Packets from the first key frame that a jump finds, when it is not behind `near`."""
        self._used = True
        try:
            self._container.seek(near - back, stream=self.stream, backward=True)
            packets = self._container.demux(self.stream)
            for _ in range(SOUGHT):
                packet = next(packets)
                if packet.pts is not None and packet.is_keyframe:
                    return chain((packet,), packets) if packet.pts <= near else None
        except (av.FFmpegError, OSError, StopIteration):
            pass
        return None

    def _open(self) -> None:
        try:
            self._container: InputContainer = av.open(str(self.path.absolute()), options=dict(OPENING))
        except (av.FFmpegError, OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise encrypted(self.path) or unopened(self.path, said.lower()) from error
        try:
            self.stream = self._watched()
        except ClipError:
            self._container.close()
            raise
        for stream in self._container.streams:
            if stream.index != self.stream.index:
                stream.discard = Discard.all
        self.stream.codec_context.thread_count = 1
        self.stream.codec_context.options = {"max_pixels": OPENING["max_pixels"]}

    def _watched(self) -> VideoStream:
        """The video stream that is no cover or thumbnail, and for which there is a decoder."""
        if self._container.format.name in NOT_FILMS:
            raise ClipError(self.path, f"not a media file, but a text ({self._container.format.name})")
        films = [
            one for one in self._container.streams.video if not one.disposition & Disposition.attached_pic
        ]
        if not films:
            kinds = {stream.type for stream in self._container.streams if stream.type != "video"}
            cover = " and a cover" if self._container.streams.video else ""
            raise ClipError(
                self.path, f"no video stream: {' and '.join(sorted(kinds)) or 'nothing'}{cover} only"
            )
        read = [one for one in films if one.codec_context is not None]
        if not read:
            raise ClipError(self.path, "its codec is not known to this build of FFmpeg")
        best = self._container.streams.best("video")
        return next((one for one in read if best is not None and one.index == best.index), read[0])
