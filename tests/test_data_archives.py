"""Archives as they come: whole, broken off, hostile."""

import io
import tarfile
import zipfile

import pytest

from cloudypoints.errors import SourceError
from cloudytools.data.archives import unpack

FILES = {f"val/{part}/scene_00019/{n}.png": bytes([n]) * 5000
         for part in ("indoors", "outdoor") for n in range(3)}  # fmt: skip


def pack_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def pack_tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


PACKERS = {"a.zip": pack_zip, "a.tar.gz": pack_tar}


def held(folder):
    """What lies below a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(params=PACKERS)
def archive(tmp_path, request):
    return PACKERS[request.param](tmp_path / request.param, FILES)


def test_everything_is_unpacked_and_the_bar_reaches_its_end(archive, tmp_path):
    steps = list(unpack(archive, tmp_path / "out"))
    assert held(tmp_path / "out") == FILES
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total > 0


def test_a_part_can_be_unpacked_alone(archive, tmp_path):
    list(unpack(archive, tmp_path / "out", lambda name: "indoors" in name))
    assert set(held(tmp_path / "out")) == {name for name in FILES if "indoors" in name}


def test_what_was_stopped_goes_on_and_writes_nothing_twice(archive, tmp_path):
    steps = unpack(archive, tmp_path / "out")
    next(steps), next(steps)
    steps.close()
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    assert len(done) == 2
    list(unpack(archive, tmp_path / "out"))
    assert held(tmp_path / "out") == FILES
    assert {path: path.stat().st_mtime_ns for path in done} == done


def test_a_file_that_was_cut_off_is_written_anew(archive, tmp_path):
    list(unpack(archive, tmp_path / "out"))
    name = next(iter(FILES))
    (tmp_path / "out" / name).write_bytes(b"cut off")
    list(unpack(archive, tmp_path / "out"))
    assert held(tmp_path / "out") == FILES


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "val/../../evil", "C:/evil", "..\\evil", "val\\..\\..\\evil"]
)
def test_no_path_leaves_the_folder(tmp_path, kind, name):
    packed = PACKERS[kind](tmp_path / kind, {name: b"evil"})
    with pytest.raises(SourceError, match="leads out of"):
        list(unpack(packed, tmp_path / "out"))
    assert held(tmp_path / "out") == {}


def test_a_link_in_the_folder_is_no_way_out_either(archive, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "val").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="leads out of"):
        list(unpack(archive, tmp_path / "out"))
    assert held(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("val/link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(SourceError, match="val/link is a link or device: refused"):
        list(unpack(path, tmp_path / "out"))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_an_archive_that_is_cut_off_says_so(archive, tmp_path, share):
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    with pytest.raises(SourceError, match=r"broken archive: .*; fetch it anew"):
        list(unpack(archive, tmp_path / "out"))
