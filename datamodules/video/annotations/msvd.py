"""MSVD, the Microsoft Research Video Description corpus (Chen and Dolan, ACL 2011), in both of its forms.

  video_corpus.csv          VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description
  AllVideoDescriptions.txt  lines "VideoID_Start_End caption", comments after '#'

A clip's id is VideoID_Start_End. Only English captions are read, the "clean" and the "unverified" ones alike,
as in published work. The split in use (1200 clips to train, 100 to validate, 670 to test: Venugopalan et al.,
ICCV 2015) counts clips by the numbers in `youtube_mapping.txt`, lines "VideoID_Start_End vid1": it is read
when it lies beside the annotations or is named with them, and clips may then be stored as vid1.avi, too.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Clip, Corpus, Draft
from datamodules.video.annotations.sheet import Sheet, sheet_of
from datamodules.video.annotations.source import Source, load
from datamodules.video.annotations.wording import counted, first_few

NAME = "msvd"
LOOKS = "MSVD video_corpus.csv or AllVideoDescriptions.txt (with youtube_mapping.txt)"
MAPPING = "youtube_mapping.txt"
_COLUMNS = {"videoid", "start", "end", "description"}
_SPOKEN = re.compile(r"(\S+_\d+_\d+)(?:\s+(.*))?", re.DOTALL)
_MAPPED = re.compile(r"(\S+_\d+_\d+)\s+(vid(\d+))")
_LAST = (("train", 1200), ("validation", 1300), ("test", 1970))


def recognise(source: Source) -> bool:
    """Whether the file is one of this corpus, the mapping included."""
    if source.json is not None or source.records:
        return False
    first = next((line for _, line in _lines(source)), "")
    sheet = sheet_of(source)
    return _SPOKEN.fullmatch(first) is not None or (sheet is not None and set(sheet.columns) >= _COLUMNS)


def read(sources: Sequence[Source], convention: str) -> Corpus:
    """The clips of one annotation file, split by the mapping where there is one.

    InputError: no annotations, or both forms at once; a mapping that names a clip twice.
    """
    mappings = [source for source in sources if _is_mapping(source)]
    spoken = [source for source in sources if not _is_mapping(source)]
    if len(spoken) != 1:
        named = first_few(str(source.path) for source in sources)
        raise InputError(
            f"MSVD is read from one file, video_corpus.csv or AllVideoDescriptions.txt (they say the same); "
            f"found {len(spoken)} among {named}. Give one of them, and {MAPPING} if you have it"
        )
    beside = spoken[0].path.parent / MAPPING
    if not mappings and beside.is_file():
        mappings = [load(beside)]
    draft = Draft()
    sheet = sheet_of(spoken[0])
    if sheet is not None and set(sheet.columns) >= _COLUMNS:
        _read_sheet(sheet, draft)
    else:
        _read_lines(spoken[0], draft)
    if mappings:
        _number(mappings, draft)
    return draft.finish(NAME, (spoken[0].path, *(source.path for source in mappings)))


def _is_mapping(source: Source) -> bool:
    """Whether the first line of a text names a clip's number."""
    first = next((line for _, line in _lines(source)), "")
    return _MAPPED.fullmatch(first) is not None


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    """(number, text) of the lines that hold something and are no comment."""
    for number, line in enumerate(source.text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _read_sheet(sheet: Sheet, draft: Draft) -> None:
    """Take the English rows; those that name no clip are left out and told."""
    video, start, end, said = (sheet.place(name) for name in ("videoid", "start", "end", "description"))
    language = sheet.place("language")
    odd: list[str] = []
    for line, row in sheet.rows(strict=False):
        if len(row) != len(sheet.columns):
            odd.append(str(line))
        elif language < 0 or row[language].strip().lower() == "english":
            clip_id = _clip_id(row[video].strip(), row[start], row[end])
            if clip_id is None:
                odd.append(str(line))
            else:
                _say(draft, clip_id, row[said], sheet.source.path)
    _tell(draft, sheet.source, odd, "no clip (VideoID, Start, End), or not as many cells as the header")


def _clip_id(video: str, start: str, end: str) -> str | None:
    """VideoID_Start_End with whole seconds; None where the cells name no clip (spreadsheets write #NAME?)."""
    try:
        seconds = float(start), float(end)
    except ValueError:
        return None
    if not video or video.startswith("#") or not all(value.is_integer() for value in seconds):
        return None
    return f"{video}_{int(seconds[0])}_{int(seconds[1])}"


def _read_lines(source: Source, draft: Draft) -> None:
    """Take the lines of AllVideoDescriptions.txt; those that begin with no clip id are left out and told."""
    odd: list[str] = []
    for number, line in _lines(source):
        match = _SPOKEN.fullmatch(line)
        if match is None:
            odd.append(str(number))
        else:
            _say(draft, match[1], match[2] or "", source.path)
    _tell(draft, source, odd, "no clip id (VideoID_Start_End) at their beginning")


def _say(draft: Draft, clip_id: str, caption: str, path: Path) -> None:
    if clip_id not in draft:
        draft.add(Clip(clip_id, ()), path)
    draft.say(clip_id, caption)


def _tell(draft: Draft, source: Source, odd: list[str], why: str) -> None:
    if odd:
        draft.warn(
            f"{source.path}: {counted(len(odd), 'line was', 'lines were')} left out for having {why}: "
            f"line {first_few(odd)}"
        )


def _number(mappings: Sequence[Source], draft: Draft) -> None:
    """Give each clip its number's name and split; tell of clips and numbers that have no counterpart."""
    met: set[str] = set()
    unknown = []
    for source in mappings:
        for line, text in _lines(source):
            match = _MAPPED.fullmatch(text)
            if match is None:
                raise InputError(
                    f"{source.path}, line {line}: '{text[:60]}' is no line such as 'mv89psg6zh4_33_46 vid1'"
                )
            clip_id, name, number = match[1], match[2], int(match[3])
            if clip_id in met:
                raise InputError(f"{source.path}, line {line}: the clip {clip_id} is numbered twice")
            met.add(clip_id)
            if clip_id in draft:
                split = next((split for split, last in _LAST if 1 <= number <= last), None)
                draft.change(replace(draft[clip_id], file=name, split=split))
            else:
                unknown.append(clip_id)
    named = first_few(str(source.path) for source in mappings)
    if unknown:
        draft.warn(
            f"{named}: {counted(len(unknown), 'numbered clip has', 'numbered clips have')} no caption and "
            f"{'is' if len(unknown) == 1 else 'are'} left out: {first_few(unknown)}"
        )
    if strangers := [clip_id for clip_id in draft.ids() if clip_id not in met]:
        draft.warn(
            f"{named}: {counted(len(strangers), 'clip has', 'clips have')} no number, thus no "
            f"official split: {first_few(strangers)}"
        )
