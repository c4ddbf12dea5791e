"""`Corpus`: clips and what was said of them, whatever the file format; and how one is put together."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from datamodules.errors import InputError
from datamodules.video.annotations.wording import counted, first_few

SPLITS = ("train", "validation", "test")
_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("validation", "validate", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class Clip:
    """One clip and its captions, raw but for the white space around them; never none.

    split: train, validation or test where the annotation says so.
    file: the name that the annotation gives the file, relative to the folder of clips and inside it (see
        `file_name`), its ending perhaps left out.
    start, stop: seconds within that file; None: from its beginning, to its end.
    """

    id: str
    captions: tuple[str, ...]
    split: str | None = None
    file: str | None = None
    start: float | None = None
    stop: float | None = None


@dataclass(frozen=True)
class Corpus:
    """Clips by id, in the order of their first appearance in the sources.

    sources: every file that was read, lists and mappings found beside the annotations among them.
    warnings: sentences about what was left out or looks odd.
    """

    clips: dict[str, Clip]
    format: str
    sources: tuple[Path, ...]
    warnings: tuple[str, ...]


def split_word(word: str, where: str) -> str | None:
    """train, validation or test for the words in use ("val", "restval", ...); None for an empty one.

    where: what an InputError about another word names, such as a file and a line.
    """
    text = word.strip().lower()
    if text and text not in _SPLIT_WORDS:
        raise InputError(f"{where}: the split '{word}' is none of {', '.join(_SPLIT_WORDS)}; correct it")
    return _SPLIT_WORDS.get(text)


def split_in_name(words: list[str]) -> str | None:
    """The split that the words of a file's name agree on; None where they name none, or more than one."""
    found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None


def file_name(text: str, where: str) -> str:
    """The name that an annotation gives a file: relative to the folder of clips, and inside it.

    Annotations come from elsewhere, so a name cannot lead out of the folder, by an absolute path or by '..'.
    A link that lies in the folder may lead out: whoever owns the folder has put it there, to have data of
    another place in it.

    where: what an InputError about another name names, such as a file and a line.
    """
    absolute = re.match(r"[/\\]|[A-Za-z]:[/\\]", text)
    if absolute or ".." in text.replace("\\", "/").split("/") or "\0" in text:
        raise InputError(
            f"{where}: the file {text!r} {'is an absolute path' if absolute else 'leads out of data.path'}, "
            "but annotations name files inside the folder data.path: write the name relative to it; to have "
            "a folder of another place in it, place a link there yourself (ln -s)"
        )
    return text


class Draft:
    """Clips and captions as a reader meets them; `finish` judges them as a whole."""

    def __init__(self) -> None:
        self._clips: dict[str, Clip] = {}
        self._captions: dict[str, list[str]] = {}
        self._met: dict[str, Path] = {}
        self._blank: list[str] = []
        self._warnings: list[str] = []

    def __contains__(self, clip_id: object) -> bool:
        """Whether the clip was added."""
        return clip_id in self._clips

    def __getitem__(self, clip_id: str) -> Clip:
        """The clip as it was added, still without captions."""
        return self._clips[clip_id]

    def ids(self) -> tuple[str, ...]:
        """The ids of all clips, in the order in which they were added."""
        return tuple(self._clips)

    def add(self, clip: Clip, path: Path) -> None:
        """Take a clip that a file lists. InputError when its id was there before."""
        if clip.id in self._clips:
            first = self._met[clip.id]
            where = f"twice in {path}" if first == path else f"in {first} and again in {path}"
            raise InputError(
                f"the clip id '{clip.id}' stands {where}, but ids are unique: remove one of the two, "
                "or leave out a file that repeats another"
            )
        self._clips[clip.id] = clip
        self._captions[clip.id] = []
        self._met[clip.id] = path

    def change(self, clip: Clip) -> None:
        """Put another one in the place of the clip with the same id."""
        self._clips[clip.id] = clip

    def say(self, clip_id: str, caption: str) -> None:
        """Take one more caption of a clip that was added; a blank one is counted and dropped."""
        stripped = caption.strip()
        if stripped:
            self._captions[clip_id].append(stripped)
        else:
            self._blank.append(clip_id)

    def warn(self, sentence: str) -> None:
        """Keep a sentence for `Corpus.warnings`."""
        self._warnings.append(sentence)

    def finish(self, form: str, sources: tuple[Path, ...]) -> Corpus:
        """The corpus. InputError when there is no clip, or one without captions."""
        files = ", ".join(str(path) for path in sources)
        if not self._clips:
            raise InputError(f"{files}: read as {form}, no clip with a caption was found; give another file")
        if silent := [clip_id for clip_id, said in self._captions.items() if not said]:
            raise InputError(
                f"{files}: {counted(len(silent), 'clip has', 'clips have')} no caption: {first_few(silent)}. "
                "Add their captions, or remove them from the list of clips"
            )
        if self._blank:
            self.warn(
                f"{files}: {counted(len(self._blank), 'empty caption was', 'empty captions were')} left out, "
                f"of {first_few(dict.fromkeys(self._blank))}"
            )
        self._warn_of_repeats(files)
        clips = {
            clip_id: replace(clip, captions=tuple(self._captions[clip_id]))
            for clip_id, clip in self._clips.items()
        }
        return Corpus(clips, form, sources, tuple(self._warnings))

    def _warn_of_repeats(self, files: str) -> None:
        """One sentence about captions that a clip has more than once; all of them are kept."""
        extra = {clip_id: len(said) - len(set(said)) for clip_id, said in self._captions.items()}
        if total := sum(extra.values()):
            named = first_few(clip_id for clip_id, count in extra.items() if count)
            self.warn(
                f"{files}: {counted(total, 'caption repeats', 'captions repeat')} another of the same clip, "
                f"and {'is' if total == 1 else 'are'} kept: {named}"
            )
