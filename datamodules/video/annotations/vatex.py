"""VATEX (Wang et al., ICCV 2019): vatex_training_v1.0.json and its like, lists of {videoID, enCap, chCap}.

The English captions are read. A video id ends with the seconds that were cut from the source, such as
Ptf_2VRj-V0_000122_000132, and clips are stored already cut and named so: each is read from its beginning to
its end. (Sources that were never cut are described by a table with the columns file, start and stop.) The
split is the word in the file's name.
"""

import re
from collections.abc import Sequence

from datamodules.video.annotations.corpus import Clip, Corpus, Draft, split_in_name
from datamodules.video.annotations.fields import id_in, records_of, texts_in
from datamodules.video.annotations.source import Source

NAME = "vatex"
LOOKS = "VATEX JSON (a list of videoID and enCap)"


def recognise(source: Source) -> bool:
    """Whether the file is a list of VATEX clips."""
    first = source.json[0] if isinstance(source.json, list) and source.json else None
    return isinstance(first, dict) and "videoID" in first


def read(sources: Sequence[Source], convention: str) -> Corpus:
    """The clips of all files given. InputError: a clip listed twice, or one without English captions."""
    draft = Draft()
    for source in sources:
        split = split_in_name(re.findall("[a-z]+", source.path.stem.lower()))
        for place, video in enumerate(records_of(source.json, "the file", source.path)):
            where = f"{source.path}, entry {place}"
            clip_id = id_in(video, "videoID", where)
            draft.add(Clip(clip_id, (), split=split), source.path)
            for caption in texts_in(video, "enCap", where) if "enCap" in video else ():
                draft.say(clip_id, caption)
    return draft.finish(NAME, tuple(source.path for source in sources))
