"""Archives are unpacked whole and inside their folder, or not at all."""

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import archives
from datamodules.archives import is_archive, unpack
from datamodules.errors import InputError

PLAIN = {"clips/a.mp4": b"aaaa", "clips/deep/b é.mp4": b"bb", "captions.csv": b"clip,caption\n"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refused(archive: Path, folder: Path, told: str) -> None:
    """It is refused with the words; nothing appears in or around the folder."""
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(InputError, match=told):
        unpack(archive, folder)
    assert sorted(folder.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_what_is_in_an_archive_is_in_the_folder(tmp_path: Path, name: str) -> None:
    assert is_archive(name)
    made = zipped(tmp_path / name, PLAIN) if name.endswith("zip") else tarred(tmp_path / name, PLAIN)
    assert contents(unpack(made, tmp_path / "data")) == PLAIN
    refused(made, tmp_path / "data", "is there already")


def test_one_folder_around_everything_is_taken_off(tmp_path: Path) -> None:
    wrapped = {f"./YouTubeClips/{name}": content for name, content in PLAIN.items()}
    assert contents(unpack(tarred(tmp_path / "a.tar", wrapped), tmp_path / "data")) == PLAIN


@pytest.mark.parametrize(
    "name",
    [
        "../out.txt",
        "a/../../out.txt",
        "/tmp/out.txt",
        "//out.txt",
        "..",
        "a\\..\\out.txt",
        "C:/out.txt",
        "C:out",
        "a\nb",
    ],
)
@pytest.mark.parametrize("kind", [zipped, tarred])
def test_names_that_lead_out_are_refused(
    tmp_path: Path, kind: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    made = kind(tmp_path / "a", {"fine.txt": b"x", name: b"out"})
    refused(made, place / "data", "nothing was unpacked")
    assert not Path("/tmp/out.txt").exists()


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    made = zipped(tmp_path / "a.zip", {"fineXname.mp4": b"x"})
    made.write_bytes(made.read_bytes().replace(b"fineXname", b"fine\0name"))
    place = tmp_path / "place"
    place.mkdir()
    refused(made, place / "data", "nothing was unpacked")


LINKS = {
    "a link out": [special("x", tarfile.SYMTYPE, "../..")],
    "a link inside": [special("x", tarfile.SYMTYPE, "fine.txt")],
    "a hard link out": [special("x", tarfile.LNKTYPE, "/etc/hostname")],
    "a device": [special("x", tarfile.CHRTYPE)],
    "a pipe": [special("x", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("what", LINKS)
def test_links_and_devices_are_refused(tmp_path: Path, what: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    made = tarred(tmp_path / "a.tar", {"fine.txt": b"x"}, *LINKS[what])
    refused(made, place / "data", r"'x' is a (link|device), and only plain files")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("x")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/hostname")
    refused(tmp_path / "a.zip", tmp_path / "data", "'x' is a link")


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = tarfile.TarInfo("big")
    big.size = 1 << 62
    with tarfile.open(tmp_path / "says.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("fine"))
        archive.fileobj.write(big.tobuf())  # type: ignore[union-attr]
    refused(tmp_path / "says.tar", tmp_path / "data", r"says it holds .* GB or more, and .* free")
    lying = zipped(tmp_path / "lies.zip", {"big": bytes(3 << 20)})
    content = bytearray(lying.read_bytes())
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(mark) + place
        content[at : at + 4] = (1000).to_bytes(4, "little")
    lying.write_bytes(content)
    refused(lying, tmp_path / "data", "holds more than the 1000 bytes|damaged")
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    refused(zipped(tmp_path / "many.zip", PLAIN), tmp_path / "data", "one of more than 2")


def test_damaged_encrypted_and_other_files_are_refused(tmp_path: Path) -> None:
    whole = tarred(tmp_path / "a.tar.gz", {"a": os.urandom(1 << 16)}).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.tar.gz", tmp_path / "data", "damaged|neither")
    (tmp_path / "text.zip").write_text("no archive")
    refused(tmp_path / "text.zip", tmp_path / "data", "neither a zip nor a tar")


def test_a_file_that_is_there_twice_or_also_a_folder_is_refused(tmp_path: Path) -> None:
    twice = zipped(tmp_path / "a.zip", {"a": b"1", "./a": b"2"})
    refused(twice, tmp_path / "data", "is there twice")
    refused(
        zipped(tmp_path / "b.zip", {"a": b"1", "a/b": b"2"}), tmp_path / "data", "a file and a folder at once"
    )
