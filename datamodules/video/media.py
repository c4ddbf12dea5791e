"""Which file on disk is which clip. The folder is listed once; no file is opened."""

import os
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Clip, Corpus, file_name
from datamodules.video.annotations.wording import counted, first_few, near_names

VIDEO_ENDINGS = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mkv"),
    *(".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".ts", ".vob", ".webm"),
    *(".wmv", ".y4m"),
)
IMAGE_ENDINGS = (".avif", ".bmp", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_ENDINGS = frozenset((*VIDEO_ENDINGS, *IMAGE_ENDINGS))


def is_image(path: Path) -> bool:
    """Whether the ending is that of a still picture."""
    return path.suffix.lower() in IMAGE_ENDINGS


@dataclass(frozen=True)
class Media:
    """Where the clips of a corpus lie.

    files: the file, or the folder of images, of each clip that was found.
    missing: ids of the clips without one, in the corpus's order.
    extra: files, and folders of images, that belong to no clip, sorted.
    """

    files: dict[str, Path]
    missing: tuple[str, ...]
    extra: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Index:
    """The media below a folder, by the names under which a clip may ask for them.

    files: all media files, sorted.
    image_folders: sub-folders that hold images and no video, sorted.
    by_path: both of them by their path in the folder.
    """

    folder: Path
    files: tuple[Path, ...]
    image_folders: tuple[Path, ...]
    by_path: dict[str, Path]
    by_name: dict[str, list[Path]]
    by_stem: dict[str, list[Path]]
    by_image_folder: dict[str, list[Path]]

    def find(self, name: str) -> list[Path]:
        """What the name can mean: files with that name, then without their ending, then folders of images."""
        for names in (self.by_name, self.by_stem, self.by_image_folder):
            if name in names:
                return names[name]
        return []


def list_media(folder: Path) -> Index:
    """The media files below a folder, by their endings; hidden files and folders are passed over.

    InputError when there is no such folder.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InputError(f"data.path: {folder} {what}. {near_names(folder)} Name the folder of the clips.")
    files: dict[str, Path] = {}  # by their path in the folder
    image_folders: dict[str, Path] = {}
    entered = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in sorted(folders) if _enter(Path(place, name), entered)]
        found = [name for name in sorted(names) if _ending(name) in _ENDINGS and not name.startswith(".")]
        here = Path(place)
        within = "" if here == folder else f"{_shown(here, folder)}/"
        if found and within and all(_ending(name) in IMAGE_ENDINGS for name in found):
            image_folders[within[:-1]] = here
        files |= {within + name: here / name for name in found}
    return Index(
        folder,
        tuple(files[name] for name in sorted(files)),
        tuple(image_folders[name] for name in sorted(image_folders)),
        files | image_folders,
        _by_name(files),
        _by_name(files, without_ending=True),
        _by_name(image_folders),
    )


def find_media(folder: Path, corpus: Corpus) -> Media:
    """The file of each clip: the one that the annotation names, else the one that its id names.

    The path in the folder of a named file is looked for first. Otherwise a name finds a file wherever it lies
    below, with or without its ending; else a sub-folder of images. Names and ids only choose among what lies
    in the folder: none leads out of it. The folder itself, and what lies in it, may be links to other places.

    InputError: no such folder; several files for one clip; not one clip found; a file that is named by an
    absolute path or with '..'.
    """
    index = list_media(folder)
    files: dict[str, Path] = {}
    several: dict[str, list[Path]] = {}
    for clip in corpus.clips.values():
        found = _candidates(index, clip)
        if len(found) == 1:
            files[clip.id] = found[0]
        elif found:
            several[clip.id] = found
    if several:
        raise InputError(_several(folder, several))
    missing = tuple(clip_id for clip_id in corpus.clips if clip_id not in files)
    if not files:
        names = first_few(_shown(path, folder) for path in index.files) or "no video and no image"
        raise InputError(
            f"data.path: {folder} has no file for any of {counted(len(missing), 'clip', 'clips')} "
            f"({first_few(missing)}). It holds {names}. A clip's file bears its id: name the folder with "
            "them, or the files in the annotations (a table's column 'file')"
        )
    return Media(files, missing, _extra(index, set(files.values())))


def _enter(folder: Path, entered: set[str]) -> bool:
    """Whether a sub-folder is to be listed: not hidden, and not met before by another link."""
    real = os.path.realpath(folder)
    if folder.name.startswith(".") or real in entered:
        return False
    entered.add(real)
    return True


def _ending(name: str) -> str:
    """The last ending in small letters, as `Path.suffix`, but fast enough for a hundred thousand names."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122


def _by_name(paths: dict[str, Path], without_ending: bool = False) -> dict[str, list[Path]]:
    """Paths by name alone, and those in sub-folders also by their path in the folder; sorted."""
    names: dict[str, list[Path]] = {}
    for within in sorted(paths):
        place, _, name = within.rpartition("/")
        if without_ending:
            name = name[: len(name) - len(_ending(name))]
        names.setdefault(name, []).append(paths[within])
        if place:
            names.setdefault(f"{place}/{name}", []).append(paths[within])
    return names


def _candidates(index: Index, clip: Clip) -> list[Path]:
    """The files that may be the clip's."""
    if clip.file is not None:
        named = Path(file_name(clip.file, f"clip '{clip.id}'"))
        if named.as_posix() in index.by_path:
            return [index.by_path[named.as_posix()]]
        if found := index.find(named.as_posix()):
            return found
        if (index.folder / named).exists():
            return [index.folder / named]
        if found := index.find(named.name):
            return found
    return index.find(clip.id)


def _extra(index: Index, used: set[Path]) -> tuple[Path, ...]:
    """What no clip uses; of a folder of images without one that is used, the folder."""
    inside = {path.parent for path in used} | used
    whole = {folder for folder in index.image_folders if folder not in inside}
    loose = [
        path
        for path in index.files
        if path not in used and path.parent not in used and path.parent not in whole
    ]
    return tuple(sorted([*loose, *whole]))


def _several(folder: Path, several: dict[str, list[Path]]) -> str:
    """That clips have more than one file, and how to choose."""
    told = (
        f"'{clip_id}' is {' or '.join(_shown(path, folder) for path in found[:3])}"
        for clip_id, found in several.items()
    )
    return (
        f"data.path: in {folder}, {counted(len(several), 'clip has', 'clips have')} more than one file: "
        f"{first_few(told)}. Move the others out of the folder, or name the one that is meant in the "
        "annotations (a table's column 'file')"
    )


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
