"""How long a classic NetCDF file must be: beyond the end of a cut one the library reads zeros in silence."""

import math
import struct
from pathlib import Path
from typing import BinaryIO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # bytes of nc_type


def missing_bytes(path: Path) -> int:
    """Bytes that a classic NetCDF file (CDF-1, 2 or 5) lacks by its own header; 0 for whole and other files.

    Layout: "The NetCDF Classic Format Specification", Unidata. A header that is itself cut lacks at least 1.
    """
    with path.open("rb") as stream:
        magic = stream.read(4)
        if magic[:3] != b"CDF" or magic[3:] not in (b"\x01", b"\x02", b"\x05"):
            return 0
        try:
            needed = _Header(stream, magic[3]).length()
        except (struct.error, KeyError, IndexError):
            return 1
    return max(0, needed - path.stat().st_size)


class _Header:
    """The header's numbers read one after the other; counts are 8 bytes wide in version 5."""

    def __init__(self, stream: BinaryIO, version: int) -> None:
        self._stream = stream
        self._count = ">q" if version == 5 else ">i"
        self._offset = ">i" if version == 1 else ">q"

    def length(self) -> int:
        """Where the last value ends, in bytes from the beginning of the file."""
        records = self._number(self._count)
        self._number(">i")
        dims = [self._dimension() for _ in range(self._number(self._count))]
        self._skip_attributes()
        self._number(">i")
        variables = [self._variable(dims) for _ in range(self._number(self._count))]
        ends = [begin + size for begin, size, recorded in variables if not recorded]
        moving = [(begin, size) for begin, size, recorded in variables if recorded]
        stride = moving[0][1] if len(moving) == 1 else sum(_padded(size) for _, size in moving)
        if records > 0:
            ends += [begin + (records - 1) * stride + size for begin, size in moving]
        return max(ends, default=0)

    def _variable(self, dims: list[int]) -> tuple[int, int, bool]:
        """Begin, bytes (of one record where it has records), and whether it has records."""
        self._name()
        shape = [dims[self._number(self._count)] for _ in range(self._number(self._count))]
        self._skip_attributes()
        kind = self._number(">i")
        self._number(self._count)
        recorded = bool(shape) and shape[0] == 0
        return self._number(self._offset), _SIZES[kind] * math.prod(shape[recorded:]), recorded

    def _dimension(self) -> int:
        self._name()
        return self._number(self._count)

    def _name(self) -> None:
        self._stream.seek(_padded(self._number(self._count)), 1)

    def _skip_attributes(self) -> None:
        self._number(">i")
        for _ in range(self._number(self._count)):
            self._name()
            size = _SIZES[self._number(">i")]
            self._stream.seek(_padded(size * self._number(self._count)), 1)

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._stream.read(struct.calcsize(form)))[0])


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4
