"""Rows of a CSV file with a header, whatever separates its cells: comma, semicolon, tab or bar."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from datamodules.errors import InputError
from datamodules.video.annotations.source import Source

SEPARATORS = ",;\t|"
_FIRST_LINE = re.compile(r"[^\r\n]{0,1000}\S[^\r\n]{0,9000}")  # with something in it, and no endless one


@dataclass(frozen=True, eq=False)
class Sheet:
    """A CSV file: the names of its columns in small letters, and its rows on demand.

    separator: of the cells, the one that the header has most of.
    """

    source: Source
    columns: tuple[str, ...]
    separator: str

    def place(self, column: str) -> int:
        """Which cell of a row belongs to the column; -1 where there is no such column."""
        return self.columns.index(column) if column in self.columns else -1

    def rows(self, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
        """(line of its last cell, cells) of each row that is not blank, the header left out.

        strict: quotation marks that are not those of CSV are refused, as they would vanish from a caption.
        InputError names the line.
        """
        reader = csv.reader(
            io.StringIO(self.source.text, newline=""), delimiter=self.separator, strict=strict
        )
        try:
            header = next(row for row in reader if any(cell.strip() for cell in row))
            width = len(header)
            for row in reader:
                if len(row) > width:  # spreadsheets write separators for columns that are empty
                    while len(row) > width and not row[-1].strip():
                        row.pop()
                if any(cell and not cell.isspace() for cell in row):
                    yield reader.line_num, row
        except csv.Error as error:
            raise InputError(
                f"{self.source.path}, line {reader.line_num}: no CSV ({error}). A cell with a quotation "
                "mark or a line break stands between two marks, and marks inside it are doubled: "
                '"a ""big"" dog"'
            ) from None


def sheet_of(source: Source) -> Sheet | None:
    """The file as a sheet; None for JSON. The first line that is not blank is the header."""
    if source.json is not None or source.records:
        return None
    found = _FIRST_LINE.search(source.text)
    first = found[0] if found is not None else ""
    separator = max(SEPARATORS, key=first.count)
    cells = next(csv.reader([first], delimiter=separator))
    return Sheet(source, tuple(cell.strip().lower() for cell in cells), separator)


def check_width(sheet: Sheet, line: int, row: list[str]) -> None:
    """InputError where a row has not as many cells as the header."""
    if len(row) != len(sheet.columns):
        raise InputError(
            f"{sheet.source.path}, line {line}: {len(row)} cells, but the header has {len(sheet.columns)} "
            f"({', '.join(sheet.columns)}). Put captions with '{sheet.separator}' between quotation marks"
        )
