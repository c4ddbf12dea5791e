"""COCO captions (Chen et al., 2015): captions_train2017.json and its like, and Karpathy's dataset_coco.json.

  official  {"images": [{id, file_name}], "annotations": [{image_id, caption}]}; the split is the word in the
            file's name
  Karpathy  {"images": [{cocoid, filepath, filename, split, sentences: [{raw}]}]} (Karpathy and Fei-Fei, CVPR
            2015), "restval" being training; also his Flickr8k and Flickr30k files, which have no cocoid

An image is a clip of one frame. Its id is the image's id as text, or the file's name without its ending.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Clip, Corpus, Draft, file_name, split_in_name, split_word
from datamodules.video.annotations.fields import id_in, records_of, text_in
from datamodules.video.annotations.source import Source

NAME = "coco"
LOOKS = "COCO captions JSON ('images' and 'annotations', or Karpathy's with 'sentences')"


def recognise(source: Source) -> bool:
    """Whether the file holds images with their captions."""
    if not isinstance(source.json, dict) or not isinstance(source.json.get("images"), list):
        return False
    return "annotations" in source.json or _is_karpathy(source)


def read(sources: Sequence[Source], convention: str) -> Corpus:
    """The images of all files given. InputError: an image twice, a caption of an unknown image."""
    draft = Draft()
    for source in sources:
        if _is_karpathy(source):
            _add_karpathy(source, draft)
        else:
            _add_official(source, draft)
    return draft.finish(NAME, tuple(source.path for source in sources))


def _is_karpathy(source: Source) -> bool:
    first = source.json["images"][0] if source.json["images"] else None
    return isinstance(first, dict) and "sentences" in first


def _add_official(source: Source, draft: Draft) -> None:
    split = split_in_name(re.findall("[a-z]+", source.path.stem.lower()))
    for place, image in enumerate(records_of(source.json, "images", source.path)):
        where = f"{source.path}, images[{place}]"
        named = "file_name" in image
        file = file_name(text_in(image, "file_name", where), where) if named else None
        draft.add(Clip(id_in(image, "id", where), (), split=split, file=file), source.path)
    for place, annotation in enumerate(records_of(source.json, "annotations", source.path)):
        where = f"{source.path}, annotations[{place}]"
        clip_id = id_in(annotation, "image_id", where)
        if clip_id not in draft:
            raise InputError(
                f"{where}: a caption of image {clip_id}, which 'images' does not list; add it there"
            )
        draft.say(clip_id, text_in(annotation, "caption", where))


def _add_karpathy(source: Source, draft: Draft) -> None:
    for place, image in enumerate(records_of(source.json, "images", source.path)):
        where = f"{source.path}, images[{place}]"
        name = file_name(text_in(image, "filename", where), where)
        file = PurePosixPath(text_in(image, "filepath", where) if "filepath" in image else "", name)
        clip_id = id_in(image, "cocoid", where) if "cocoid" in image else file.stem
        split = split_word(text_in(image, "split", where), where) if "split" in image else None
        draft.add(Clip(clip_id, (), split=split, file=file_name(str(file), where)), source.path)
        for sentence in records_of(image, "sentences", source.path) if "sentences" in image else ():
            draft.say(clip_id, text_in(sentence, "raw", f"{where}, sentences"))
