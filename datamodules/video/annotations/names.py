"""No annotations: what a file is called is what is said of it."""

from collections import Counter
from pathlib import Path

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Clip, Corpus, Draft
from datamodules.video.annotations.wording import first_few
from datamodules.video.media import list_media

NAME = "names"


def captions_of_names(folder: Path) -> Corpus:
    """One clip a media file below the folder, its name without the ending its only caption.

    '_' and '-' become spaces: `thank_you.mkv` says "thank you". A clip's id is the file's name without its
    ending; where that is not unique, the path in the folder; where that is not either, the path with the
    ending. A sub-folder of images, with no video in it, is one clip of that name.

    InputError: no such folder, no media in it, or a name that has no letter or digit.
    """
    index = list_media(folder)
    stills = set(index.image_folders)
    paths = sorted([path for path in index.files if path.parent not in stills] + [*stills])
    if not paths:
        raise InputError(
            f"data.path: {folder} has no video and no image. With data.annotations=null every file there "
            "is a clip named as it is captioned; name the folder with the clips"
        )
    draft = Draft()
    shared: dict[str, list[str]] = {}
    ids = _ids(folder, paths, stills)
    for path in paths:
        name = path.relative_to(folder).as_posix()
        caption = " ".join(_stem(path, stills).replace("_", " ").replace("-", " ").split())
        if not any(sign.isalnum() for sign in caption):
            raise InputError(
                f"data.path: {path} has a name that says nothing; rename it, or give annotations"
            )
        draft.add(Clip(ids[path], (), file=name), path)
        draft.say(ids[path], caption)
        shared.setdefault(_stem(path, stills), []).append(name)
    for stem, names in shared.items():
        if len(names) > 1:
            draft.warn(f"{folder}: {first_few(names)} are all called '{stem}'; each is a clip of its own")
    return draft.finish(NAME, (folder,))


def _stem(path: Path, stills: set[Path]) -> str:
    return path.name if path in stills else path.stem


def _ids(folder: Path, paths: list[Path], stills: set[Path]) -> dict[Path, str]:
    """The shortest name of each path that no other shares."""
    ids: dict[Path, str] = {}
    for shape in (
        lambda path: _stem(path, stills),
        lambda path: path.relative_to(folder).with_name(_stem(path, stills)).as_posix(),
    ):
        left = [path for path in paths if path not in ids]
        names = [shape(path) for path in left]
        uses = Counter([*names, *ids.values()])
        ids |= {path: name for path, name in zip(left, names, strict=True) if uses[name] == 1}
    return {path: ids.get(path, path.relative_to(folder).as_posix()) for path in paths}
