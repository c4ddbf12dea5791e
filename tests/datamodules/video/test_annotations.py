"""Captions of every format end in the same `Corpus`, raw; what cannot be used is refused with the way out."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Clip
from datamodules.video.annotations.read import read_annotations
from datamodules.video.annotations.source import Source
from datamodules.video.annotations.table import cells_of
from tests.datamodules.video.annotation_files import MSVD_HEADER, coco, msrvtt, msvd, write, write_json


def refusal(path: str | Path | Sequence[Path], **options: str) -> str:
    """What `read_annotations` says when it refuses."""
    with pytest.raises(InputError) as caught:
        read_annotations(path, **options)
    return str(caught.value)


# --- MSVD ---------------------------------------------------------------------------------------------------


def test_msvd_keeps_english_captions_raw_and_leaves_dirty_rows_out_aloud(tmp_path: Path) -> None:
    rows = [
        "mv89psg6zh4,33,46,1,clean,55,English,A bird   in a sink keeps getting under the running water.  ",
        "mv89psg6zh4,33,46,2,unverified,55,Slovene,Papagaj se umiva pod tekočo vodo v lijaku.",
        'mv89psg6zh4,33,46,3,clean,55,English,"A bird, ""wet"",\nis bathing."',
        "-4wsuPCjDBc,5.0,15.0,4,clean,20,english,A squirrel is eating a peanut in it's shell.",
        "#NAME?,5,15,4,clean,20,English,A lost video.",
        ",5,15,4,clean,20,English,A lost video.",
        "abc,x,15,4,clean,20,English,A lost video.",
        "abc,5,15",
        "-4wsuPCjDBc,5,15,4,clean,20,English,   ",
    ]
    corpus = read_annotations(str(msvd(tmp_path, rows)))
    assert corpus.format == "msvd"
    assert {name: clip.captions for name, clip in corpus.clips.items()} == {
        "mv89psg6zh4_33_46": (
            "A bird   in a sink keeps getting under the running water.",
            'A bird, "wet",\nis bathing.',
        ),
        "-4wsuPCjDBc_5_15": ("A squirrel is eating a peanut in it's shell.",),
    }
    assert [clip.split for clip in corpus.clips.values()] == [None, None]
    odd, blank = corpus.warnings
    assert "4 lines were left out" in odd
    assert "line 7, 8, 9, 10" in odd
    assert "1 empty caption was left out, of -4wsuPCjDBc_5_15" in blank


def test_msvd_clips_get_the_split_and_second_name_of_the_mapping_beside_them(tmp_path: Path) -> None:
    numbers = (1, 1200, 1201, 1300, 1301, 1970, 1971)
    text = "# Video descriptions\n\n" + "".join(f"a_b{n}_1_{n} A dog nr {n}\n" for n in (*numbers, 7777))
    path = write(tmp_path / "AllVideoDescriptions.txt", text)
    write(tmp_path / "youtube_mapping.txt", "".join(f"a_b{n}_1_{n} vid{n}\n" for n in (*numbers, 5)))
    corpus = read_annotations(path)
    splits = [clip.split for clip in corpus.clips.values()]
    assert splits == ["train", "train", "validation", "validation", "test", "test", None, None]
    assert corpus.clips["a_b1200_1_1200"].file == "vid1200"
    assert corpus.clips["a_b1200_1_1200"].captions == ("A dog nr 1200",)
    assert corpus.sources == (path, tmp_path / "youtube_mapping.txt")
    assert "1 numbered clip has no caption and is left out: a_b5_1_5" in corpus.warnings[0]
    assert "1 clip has no number" in corpus.warnings[1]
    away = tmp_path / "maps"
    away.mkdir()
    named = (tmp_path / "youtube_mapping.txt").rename(away / "numbers.txt")
    assert read_annotations([str(named), str(path)]).clips == corpus.clips


def test_msvd_refuses_both_forms_at_once_and_a_mapping_alone_or_ambiguous(tmp_path: Path) -> None:
    table = msvd(tmp_path, ["a,1,2,3,clean,4,English,A dog."], ["a_1_2 vid1"])
    text = write(tmp_path / "AllVideoDescriptions.txt", "a_1_2 a dog\n")
    assert "Give one of them" in refusal([table, text])
    assert "found 0 among" in refusal(tmp_path / "youtube_mapping.txt")
    write(tmp_path / "youtube_mapping.txt", "a_1_2 vid1\na_1_2 vid2\n")
    assert "line 2: the clip a_1_2 is numbered twice" in refusal(text)
    write(tmp_path / "youtube_mapping.txt", "a_1_2 vid1\nb_1_2 2\n")
    assert "line 2: 'b_1_2 2' is no line such as" in refusal(text)


# --- MSR-VTT ------------------------------------------------------------------------------------------------


@pytest.fixture
def vtt(tmp_path: Path) -> list[Path]:
    """Both files of an MSR-VTT of 4 training, 2 validation and 3 test clips."""
    words = {f"video{number}": "train" if number < 4 else "validate" for number in range(6)}
    tests = {f"video{number}": "test" for number in range(6, 9)}
    return [
        msrvtt(tmp_path / "train_val_videodatainfo.json", words),
        msrvtt(tmp_path / "test_videodatainfo.json", tests),
    ]


def test_msrvtt_splits_by_the_words_of_its_files_and_reads_whole_videos(vtt: list[Path]) -> None:
    corpus = read_annotations([str(path) for path in vtt])
    assert corpus.format == "msrvtt"
    assert list(corpus.clips) == [f"video{number}" for number in range(9)]
    splits = [clip.split for clip in corpus.clips.values()]
    assert splits == ["train"] * 4 + ["validation"] * 2 + ["test"] * 3
    assert corpus.clips["video7"] == Clip("video7", ("video7 says 0", "video7 says 1"), "test")
    joint = msrvtt(vtt[0].parent / "videodatainfo_2017.json", {"video1": "train", "video2": "test"})
    assert [clip.split for clip in read_annotations(joint).clips.values()] == ["train", "test"]


def test_msrvtt_1k_a_tests_the_listed_clips_and_validates_with_official_validation_clips(
    vtt: list[Path],
) -> None:
    folder = vtt[0].parent
    rows = "".join(f"ret{number},msr{number},video{number},a man\n" for number in (7, 6))
    listed = write(folder / "MSRVTT_JSFUSION_test.csv", "key,vid_key,video_id,sentence\n" + rows)
    corpus = read_annotations(vtt, convention="1k-A")
    splits = [clip.split for clip in corpus.clips.values()]
    assert splits == ["train"] * 4 + ["validation"] * 2 + ["test", "test", "train"]
    assert len(corpus.clips["video7"].captions) == 2
    assert corpus.sources == (*vtt, listed)
    train = write(folder / "MSRVTT_train.9k.csv", "video_id\nvideo0\nvideo5\nvideo8\n")
    for paths in (vtt, [train, *vtt, listed]):
        corpus = read_annotations(paths, convention="1k-A")
        assert {name: clip.split for name, clip in corpus.clips.items() if clip.split} == {
            "video0": "train",
            "video5": "validation",
            "video6": "test",
            "video7": "test",
            "video8": "train",
        }
    write(train, "video_id\nvideo0\nvideo7\n")
    assert "share 1 clip: video7" in refusal(vtt, convention="1k-A")


def test_msrvtt_1k_a_is_refused_without_its_list_its_clips_or_with_other_data(vtt: list[Path]) -> None:
    told = refusal(vtt, convention="1k-A")
    assert "needs MSRVTT_JSFUSION_test.csv" in told
    assert "convention=full" in told
    write(vtt[0].parent / "MSRVTT_JSFUSION_test.csv", "key,vid_key,video_id,sentence\nret0,m,video7,a man\n")
    assert "without annotations: video7" in refusal(vtt[0], convention="1k-A")
    other = write(vtt[0].parent / "own.csv", "clip,caption\na,a dog\n")
    assert "is one of MSR-VTT" in refusal(other, convention="1k-A")
    assert "but no annotations" in refusal(vtt[0].parent / "MSRVTT_JSFUSION_test.csv")


def test_a_video_listed_twice_and_a_caption_of_an_unknown_one_are_refused(vtt: list[Path]) -> None:
    again = msrvtt(vtt[0].parent / "videodatainfo_2017.json", {"video8": "test"})
    assert "'video8' stands in" in refusal([*vtt, again])
    info = json.loads(again.read_text())
    write_json(again, {**info, "videos": info["videos"] * 2})
    assert "'video8' stands twice in" in refusal(again)
    write_json(again, {**info, "sentences": [{"video_id": "video9", "caption": "x"}]})
    assert "sentences[0]: a caption of 'video9'" in refusal(again)
    write_json(again, {**info, "sentences": [{"video_id": "video8", "caption": None}]})
    assert "sentences[0]: 'caption' is absent, but text is wanted" in refusal(again)
    write_json(again, {**info, "videos": [{"video_id": "video8", "split": "tset"}]})
    assert "the split 'tset' is none of train" in refusal(again)


# --- VATEX, COCO --------------------------------------------------------------------------------------------


def test_vatex_takes_english_captions_and_the_split_of_the_files_name(tmp_path: Path) -> None:
    paths = []
    for number, name in enumerate(
        ("vatex_training_v1.0", "vatex_validation_v1.0", "vatex_public_test_english_v1.1")
    ):
        clip = {
            "videoID": f"Ptf_2VRj-V{number}_000122_000132",
            "enCap": ["A man.", "Men."],
            "chCap": ["男人"],
        }
        paths.append(write_json(tmp_path / f"{name}.json", [clip]))
    corpus = read_annotations(paths)
    assert corpus.clips["Ptf_2VRj-V1_000122_000132"] == Clip(
        "Ptf_2VRj-V1_000122_000132", ("A man.", "Men."), "validation"
    )
    assert [clip.split for clip in corpus.clips.values()] == ["train", "validation", "test"]
    assert read_annotations(str(tmp_path / "vatex_*.json")).clips.keys() == corpus.clips.keys()
    silent = write_json(tmp_path / "vatex_private_test.json", [{"videoID": f"v{n}"} for n in range(7)])
    assert "7 clips have no caption: v0, v1, v2, v3, v4 and 2 more" in refusal(silent)
    twice = write_json(tmp_path / "vatex_twice.json", [{"videoID": "v", "enCap": ["a"]}] * 2)
    assert "'v' stands twice" in refusal(twice)


def test_coco_images_are_clips_named_by_their_number(tmp_path: Path) -> None:
    train = coco(tmp_path / "captions_train2017.json", {9: ["A dog. ", "Two dogs"], 391895: ["Ein Hund ☃"]})
    val = coco(tmp_path / "captions_val2017.json", {7: ["A cat"]})
    corpus = read_annotations([train, val])
    assert corpus.format == "coco"
    assert corpus.clips["9"] == Clip("9", ("A dog.", "Two dogs"), "train", "000000000009.jpg")
    assert corpus.clips["7"].split == "validation"
    assert "'9' stands twice" in refusal([coco(tmp_path / "more.json", {7: ["A"]}), _doubled(train)])


def _doubled(path: Path) -> Path:
    """The same COCO file with every image listed twice."""
    value = json.loads(path.read_text())
    return write_json(path, {**value, "images": value["images"] * 2})


def test_karpathys_coco_has_splits_and_folders_of_its_own(tmp_path: Path) -> None:
    words = {"train": "train", "restval": "train", "val": "validation", "test": "test"}
    images = [
        {
            "cocoid": number,
            "filepath": "val2014",
            "filename": f"COCO_val2014_{number:012d}.jpg",
            "split": word,
            "sentences": [{"raw": f"A {word} dog.", "tokens": ["no"]}],
        }
        for number, word in enumerate(words)
    ]
    corpus = read_annotations(
        write_json(tmp_path / "dataset_coco.json", {"images": images, "dataset": "coco"})
    )
    assert [clip.split for clip in corpus.clips.values()] == list(words.values())
    assert corpus.clips["2"].file == "val2014/COCO_val2014_000000000002.jpg"
    assert corpus.clips["2"].captions == ("A val dog.",)
    flickr = {"filename": "1000092795.jpg", "split": "test", "sentences": [{"raw": "Two men."}]}
    named = read_annotations(write_json(tmp_path / "dataset_flickr30k.json", {"images": [flickr]}))
    assert named.clips["1000092795"].file == "1000092795.jpg"


# --- tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tables_are_read_whatever_program_wrote_them(
    tmp_path: Path, separator: str, line_end: str, mark: str
) -> None:
    quoted = f'"Ein ""Hund""{separator} müde"'
    lines = [
        ("", "Clip", " caption "),
        ("0", "a", quoted),
        ("1", "b", " one "),
        ("2", "a", "two"),
        ("", "", ""),
    ]
    text = mark + "".join(separator.join(cells) + line_end for cells in lines)
    corpus = read_annotations(write(tmp_path / "own.csv", text))
    assert corpus.clips == {
        "a": Clip("a", (f'Ein "Hund"{separator} müde', "two")),
        "b": Clip("b", ("one",)),
    }


def test_a_table_may_name_split_file_and_seconds_once_or_in_accord(tmp_path: Path) -> None:
    path = write(
        tmp_path / "own.csv",
        "clip,caption,split,start,stop,file\na,one,val,1.5,3,film.mp4\na,two,,,,\na,three,validation,1.5,,\n",
    )
    assert read_annotations(path).clips["a"] == Clip(
        "a", ("one", "two", "three"), "validation", "film.mp4", 1.5, 3.0
    )
    lines = [
        {"clip": 7, "caption": "one", "start": 1.5, "stop": 3, "file": None},
        {"clip": "7", "caption": "two", "split": "test"},
    ]
    jsonl = write(tmp_path / "own.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    assert read_annotations(jsonl).clips["7"] == Clip("7", ("one", "two"), "test", None, 1.5, 3.0)
    renamed = jsonl.rename(tmp_path / "own.json")
    assert read_annotations(renamed).format == "table"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clip,caption\na,one, two\n", "line 2: 3 cells, but the header has 2"),
        ("clip,caption\na\n", "line 2: 1 cells"),
        ('clip,caption\na,"Hi" he says\n', "line 2: no CSV"),
        ('clip,caption\na,"never closed\nb,two\n', "no CSV .*doubled"),
        ("clip,caption\n,one\n", "line 2: no clip is named"),
        ("clip,caption,split\na,one,tset\n", "line 2: the split 'tset'"),
        (
            "clip,caption,split\na,one,test\na,two,train\n",
            "line 3: the clip 'a' has split=train here, but test",
        ),
        ("clip,caption,start\na,one,soon\n", "line 2: start='soon' is no time"),
        ("clip,caption,start\na,one,-1\n", "line 2: start='-1' is no time"),
        ("clip,caption,start,stop\na,one,3,2\n", "stop=2 is not after start=3"),
        ("clip,caption\n", "no clip with a caption was found"),
        ("clip,caption\na, \nb,one\n", "1 clip has no caption: a"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_annotations(write(tmp_path / "own.csv", text))


def test_jsonl_that_is_broken_or_holds_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    good = '{"clip": "a", "caption": "one"}\n'
    path = tmp_path / "own.jsonl"
    assert "line 2, column" in refusal(write(path, good + '{"clip": "a", "capt'))
    assert "line 2: each line is an object" in refusal(write(path, good + "[1]\n"))
    assert "line 2: the caption ['one'] is no text" in refusal(
        write(path, good + good.replace('"one"', '["one"]'))
    )


def test_captions_said_twice_are_kept_and_told(tmp_path: Path) -> None:
    corpus = read_annotations(write(tmp_path / "own.csv", "clip,caption\na,one\na,one\na,one\nb,one\nb, \n"))
    assert corpus.clips["a"].captions == ("one", "one", "one")
    assert any("2 captions repeat another of the same clip, and are kept: a" in w for w in corpus.warnings)
    assert any("1 empty caption was left out, of b" in w for w in corpus.warnings)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1, max_size=5))
def test_captions_of_a_quoted_table_come_back_as_they_were_written(captions: list[str]) -> None:
    quoted = "".join('a,"{}"\n'.format(caption.replace('"', '""')) for caption in captions)
    source = Source(Path("own.csv"), "clip,caption\n" + quoted)
    assert [cells["caption"] for _, cells in cells_of(source)] == captions


# --- files that cannot be read ------------------------------------------------------------------------------


def test_an_absent_file_is_told_with_what_lies_near(tmp_path: Path) -> None:
    write(tmp_path / "captions.csv", "clip,caption\na,one\n")
    told = refusal(tmp_path / "caption.csv", key="references")
    assert told.startswith("references: there is no file")
    assert "Near it: captions.csv" in told
    assert "name the file in it. It holds captions.csv" in refusal(tmp_path)
    assert "empty list" in refusal([])


def test_a_file_that_is_not_utf_8_is_told_with_line_byte_and_command(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(b"\xef\xbb\xbfclip,caption\na,one\nb,caf\xe9\n")
    told = refusal(path)
    assert "line 3, byte 27 of the file is 0xe9" in told
    assert path.read_bytes()[27] == 0xE9
    assert "iconv -f WINDOWS-1252 -t UTF-8 own.csv > own_utf8.csv" in told
    path.write_text("clip,caption\na,one\n", encoding="utf-16")
    assert "iconv -f UTF-16 -t UTF-8" in refusal(path)


def test_cut_empty_and_packed_files_are_told(tmp_path: Path, vtt: list[Path]) -> None:
    whole = vtt[0].read_text()
    for kept in (len(whole) - 1, len(whole) // 2, len(whole) // 3):
        write(vtt[0], whole[:kept])
        assert "is cut short" in refusal(vtt[0])
    write(vtt[0], whole.replace('"videos":', '"videos"', 1))
    assert "line 1, column" in refusal(vtt[0])
    assert "is empty" in refusal(write(tmp_path / "a.csv", "\ufeff \n"))
    (tmp_path / "a.json").write_bytes(b"\x1f\x8b\x08 packed")
    assert "is compressed" in refusal(tmp_path / "a.json")
    assert "is no JSON: it begins with '<!DOCTYPE" in refusal(write(tmp_path / "b.json", "<!DOCTYPE html>"))


def test_an_unknown_format_is_told_with_what_was_found_and_what_is_allowed(tmp_path: Path) -> None:
    told = refusal(write(tmp_path / "a.csv", "picture,words\na,b\n"))
    assert "text that begins with 'picture,words'" in told
    assert "CSV with the columns clip and caption" in told
    assert "COCO captions JSON" in told
    assert "keys version, database" in refusal(
        write_json(tmp_path / "b.json", {"version": 1, "database": {}})
    )
    result = write_json(tmp_path / "c.json", [{"image_id": 1, "caption": "a dog"}])
    assert "holds hypotheses, not annotations" in refusal(result)
    write(tmp_path / "d.csv", "clip,caption\na,b\n")
    assert "is table, but data.format=coco wants COCO" in refusal(tmp_path / "d.csv", format="coco")
    assert read_annotations(tmp_path / "d.csv", format="table").format == "table"
    mixed = refusal([tmp_path / "d.csv", coco(tmp_path / "e.json", {1: ["a"]})])
    assert "files of several formats" in mixed
    assert "is cut short" not in refusal(write(tmp_path / "f.csv", MSVD_HEADER))
