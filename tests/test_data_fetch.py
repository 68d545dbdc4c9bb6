"""Fetching from a site on the loopback that does as the real ones do."""

import hashlib

import cv2
import numpy as np
import pytest

from cloudypoints.errors import ConfigError, SourceError
from cloudytools import data
from cloudytools.data import fetch
from cloudytools.data.__main__ import main
from file_server import AccountServer, FileServer
from test_data_archives import held, pack_tar, pack_zip

ADA = fetch.Account("ada", "løvelace")


def png():
    return cv2.imencode(".png", np.zeros((8, 16, 3), np.uint8))[1].tobytes()


def diode_archive(path):
    """A validation archive of one scan indoors and one outdoor."""
    files = {}
    for part in ("indoors", "outdoor"):
        stem = f"val/{part}/scene_00019/scan_00183/00019_00183_{part}_000_010"
        files[f"{stem}.png"] = png()
        for name, array in (
            ("depth", np.ones((8, 16, 1), "<f4")),
            ("depth_mask", np.ones((8, 16))),
        ):
            np.save(path.parent / "array.npy", array)
            files[f"{stem}_{name}.npy"] = (path.parent / "array.npy").read_bytes()
    return pack_tar(path, files).read_bytes()


@pytest.fixture
def diode(tmp_path, monkeypatch):
    """A server of such an archive, whose digest is the official one."""
    content = diode_archive(tmp_path / "val.tar.gz")
    monkeypatch.setattr(fetch, "DIODE_MD5", {"val": hashlib.md5(content).hexdigest()})
    with FileServer(content) as server:
        yield server


def test_the_command_fetches_unpacks_and_what_it_leaves_can_be_opened(diode, tmp_path, capsys):
    folder = tmp_path / "diode"
    command = ["fetch", "diode", str(folder), "--url", diode.url]
    assert main(command) == 0
    assert len(data.open("diode", folder, "val")) == 2
    assert "inspect diode" in capsys.readouterr().out
    asked = len(diode.asked)
    assert main(command) == 0  # nothing to do
    assert len(diode.asked) == asked


@pytest.mark.parametrize("part", ["indoors", "outdoor"])
def test_a_part_alone_can_be_had(diode, tmp_path, part):
    folder = tmp_path / "diode"
    assert main(["fetch", "diode", str(folder), "--only", part, "--url", diode.url]) == 0
    dataset = data.open("diode", folder, "val")
    assert [dataset.name_of(i).split("/")[0] for i in range(len(dataset))] == [part]


def test_a_part_that_there_is_not_is_refused_before_anything_is_fetched(diode, tmp_path, capsys):
    arguments = ["fetch", "diode", str(tmp_path), "--only", "cellar", "--url", diode.url]
    assert main(arguments) == 2
    assert "known are indoors, outdoor" in capsys.readouterr().err
    assert diode.asked == []


def test_diode_is_fetched_encrypted():
    assert fetch.DIODE_URL.startswith("https://")
    assert fetch.CITYSCAPES_URL.startswith("https://")


@pytest.fixture
def site(tmp_path):
    """Cityscapes' site with a file of its layout in each of the four packages."""
    packages = {}
    for number in fetch.CITYSCAPES_PACKAGES.values():
        files = {f"folder{number}/a": b"a", "README": b"r"}
        packages[number] = pack_zip(tmp_path / "x.zip", files).read_bytes()
    digests = {n: hashlib.md5(content).hexdigest() for n, content in packages.items()}
    with AccountServer(packages, digests) as server:
        yield server


def run_all(steps):
    for step in steps:
        list(step.progress)


def test_cityscapes_comes_with_ones_own_account(site, tmp_path):
    run_all(fetch.cityscapes_steps(tmp_path / "city", ADA, site.url))
    assert set(held(tmp_path / "city")) == {
        "README",
        *(f"folder{number}/a" for number in fetch.CITYSCAPES_PACKAGES.values()),
        *(f"archives/{name}" for name in fetch.CITYSCAPES_PACKAGES),
    }


def test_the_account_can_come_from_the_environment(site, tmp_path, monkeypatch):
    monkeypatch.setenv("CITYSCAPES_USERNAME", ADA.user)
    monkeypatch.setenv("CITYSCAPES_PASSWORD", ADA.password)
    assert main(["fetch", "cityscapes", str(tmp_path / "city"), "--url", site.url]) == 0
    assert (tmp_path / "city" / "README").exists()


def test_or_from_the_person_who_is_asked(site, tmp_path, monkeypatch):
    monkeypatch.delenv("CITYSCAPES_USERNAME", raising=False)
    monkeypatch.delenv("CITYSCAPES_PASSWORD", raising=False)
    monkeypatch.setattr("builtins.input", lambda _: ADA.user)
    monkeypatch.setattr("getpass.getpass", lambda _: ADA.password)
    assert main(["fetch", "cityscapes", str(tmp_path / "city"), "--url", site.url]) == 0


def test_a_wrong_password_is_said_and_never_shown(site, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CITYSCAPES_USERNAME", "ada")
    monkeypatch.setenv("CITYSCAPES_PASSWORD", "secret-word")
    assert main(["fetch", "cityscapes", str(tmp_path), "--url", site.url]) == 2
    told = capsys.readouterr().err
    assert "user 'ada' and the password were not accepted" in told
    assert "secret-word" not in told + repr(fetch.Account("ada", "secret-word"))


def test_a_package_of_another_digest_than_the_site_says_is_refused(site, tmp_path):
    site.digests[1] = "0" * 32
    with pytest.raises(SourceError, match=r"not 0{32}: fetch it anew"):
        run_all(fetch.cityscapes_steps(tmp_path / "city", ADA, site.url))


def test_something_else_instead_of_a_digest_is_refused(site, tmp_path):
    site.digests[1] = "<html>"
    with pytest.raises(SourceError, match="no digest of package 1 but '<html>"):
        run_all(fetch.cityscapes_steps(tmp_path / "city", ADA, site.url))


@pytest.mark.parametrize(
    ("kind", "told"),
    [("redweb", "redwebcvpr18"), ("composed", "foregrounds"), ("streets", "cloudytools.scenes")],
)
def test_for_the_others_it_says_where_to_ask(kind, told, tmp_path, capsys):
    assert main(["fetch", kind, str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_a_part_of_cityscapes_is_refused(tmp_path, capsys):
    assert main(["fetch", "cityscapes", str(tmp_path), "--only", "bremen"]) == 2
    assert "comes as a whole" in capsys.readouterr().err


def test_an_unknown_part_is_refused_in_code_as_well(tmp_path):
    with pytest.raises(ConfigError, match="no part 'attic'"):
        next(fetch.diode_steps(tmp_path, "val", "attic"))
