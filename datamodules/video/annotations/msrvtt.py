"""MSR-VTT (Xu et al., CVPR 2016): train_val_videodatainfo.json and test_videodatainfo.json, or a joint file.

Each is {"videos": [{video_id, split, ...}], "sentences": [{video_id, caption}]}. The videos are distributed
already cut, as video0.mp4 ..., so "start time" and "end time", which count within the source, are not used.

Two ways to split the 10,000 clips are in use:
  full  by the word that the file gives each video: 6513 train, 497 validate, 2990 test.
  1k-A  (Yu et al., JSFusion, ECCV 2018) 1000 clips to test, listed in MSRVTT_JSFUSION_test.csv, and the other
        9000 to train, listed in MSRVTT_train.9k.csv (without that list: all the others). The lists are found
        beside the annotations or are named with them. The convention has no clips to validate with, and a
        checkpoint is not chosen on the test clips here: the training clips whose official word is `validate`
        (497 of the 9000) validate, so that 8503 train. All captions of a test clip are its references.
"""

from collections.abc import Sequence
from dataclasses import replace

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Clip, Corpus, Draft, split_word
from datamodules.video.annotations.fields import id_in, records_of, text_in
from datamodules.video.annotations.sheet import sheet_of
from datamodules.video.annotations.source import Source, load
from datamodules.video.annotations.wording import counted, first_few

NAME = "msrvtt"
LOOKS = "MSR-VTT JSON ('videos' and 'sentences'), with its 1k-A lists (CSV with a column video_id)"
TEST_LIST = "MSRVTT_JSFUSION_test.csv"
TRAIN_LIST = "MSRVTT_train.9k.csv"


def recognise(source: Source) -> bool:
    """Whether the file is one of this corpus, the lists of 1k-A included."""
    if isinstance(source.json, dict):
        return {"videos", "sentences"} <= source.json.keys()
    sheet = sheet_of(source)
    return sheet is not None and "video_id" in sheet.columns and "caption" not in sheet.columns


def read(sources: Sequence[Source], convention: str) -> Corpus:
    """The clips of all files given, split by the convention.

    InputError: no annotations, a video listed twice, a caption of an unknown video, a list of 1k-A that is
    absent or does not fit.
    """
    lists = [source for source in sources if source.json is None]
    infos = [source for source in sources if source.json is not None]
    if not infos:
        named = first_few(str(source.path) for source in lists)
        raise InputError(f"{named}: a list of MSR-VTT videos, but no annotations; add {LOOKS}")
    draft = Draft()
    for info in infos:
        _add_videos(info, draft)
    for info in infos:
        _add_sentences(info, draft)
    used: list[Source] = []
    if convention == "1k-A":
        used = _find_lists(infos, lists)
        _split_1k(draft, used)
    return draft.finish(NAME, tuple(source.path for source in (*infos, *used)))


def _add_videos(info: Source, draft: Draft) -> None:
    for place, video in enumerate(records_of(info.json, "videos", info.path)):
        where = f"{info.path}, videos[{place}]"
        split = split_word(text_in(video, "split", where), where) if "split" in video else None
        draft.add(Clip(id_in(video, "video_id", where), (), split=split), info.path)


def _add_sentences(info: Source, draft: Draft) -> None:
    for place, sentence in enumerate(records_of(info.json, "sentences", info.path)):
        where = f"{info.path}, sentences[{place}]"
        clip_id = id_in(sentence, "video_id", where)
        if clip_id not in draft:
            raise InputError(f"{where}: a caption of '{clip_id}', which 'videos' does not list; add it there")
        draft.say(clip_id, text_in(sentence, "caption", where))


def _find_lists(infos: Sequence[Source], given: Sequence[Source]) -> list[Source]:
    """The list of test clips and, where there is one, that of training clips, in this order."""
    folders = list(dict.fromkeys(info.path.parent for info in infos))
    found = []
    for part, name in (("test", TEST_LIST), ("train", TRAIN_LIST)):
        named = [source for source in given if part in source.path.name.lower()]
        beside = [folder / name for folder in folders if (folder / name).is_file()]
        if len(named) > 1:
            raise InputError(
                f"two lists of {part} clips, {named[0].path} and {named[1].path}; name the one of 1k-A"
            )
        if named or beside:
            found.append(named[0] if named else load(beside[0]))
        elif part == "test":
            raise InputError(
                f"data.split.convention=1k-A needs {TEST_LIST}, which is neither beside {infos[0].path} nor "
                "among data.annotations. Place it there, or choose data.split.convention=full"
            )
    return found


def _split_1k(draft: Draft, lists: Sequence[Source]) -> None:
    """Give the listed clips the split of 1k-A, and the others none."""
    test = _listed(lists[0], draft)
    others = [clip_id for clip_id in draft.ids() if clip_id not in test]
    train = _listed(lists[1], draft) if len(lists) > 1 else dict.fromkeys(others)
    if both := [clip_id for clip_id in train if clip_id in test]:
        raise InputError(
            f"{lists[1].path} and {lists[0].path} share {counted(len(both), 'clip', 'clips')}: "
            f"{first_few(both)}. A clip trains or tests; give the lists of one convention"
        )
    for clip_id in draft.ids():
        clip = draft[clip_id]
        split = None
        if clip_id in test:
            split = "test"
        elif clip_id in train:
            split = "validation" if clip.split == "validation" else "train"
        draft.change(replace(clip, split=split))


def _listed(source: Source, draft: Draft) -> dict[str, None]:
    """The clip ids of a list, in its order. InputError when the annotations lack one."""
    sheet = sheet_of(source)
    if sheet is None or "video_id" not in sheet.columns:
        raise InputError(
            f"{source.path}: {source.describe()}; a list of 1k-A is a CSV with a column video_id"
        )
    place = sheet.place("video_id")
    ids = dict.fromkeys(row[place].strip() for _, row in sheet.rows(strict=False) if len(row) > place)
    if absent := [clip_id for clip_id in ids if clip_id not in draft]:
        raise InputError(
            f"{source.path} lists {counted(len(absent), 'clip', 'clips')} without annotations: "
            f"{first_few(absent)}. 1k-A draws on all official splits: give train_val_videodatainfo.json and "
            "test_videodatainfo.json"
        )
    return ids
