"""Where the datasets come from: DIODE over HTTPS, Cityscapes with one's own account; for the others
whom to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from cloudypoints.download import Progress, Remote, download
from cloudypoints.errors import ConfigError, SourceError
from cloudytools.data import diode
from cloudytools.data.archives import unpack

DIODE_URL = "https://diode-dataset.s3.amazonaws.com"
# From the official devkit's README: the MD5 of each split's archive.
DIODE_MD5: Mapping[str, str] = {
    "train": "3a94632398fe1d002d89f11743f748b1",  # 81 GB
    "val": "5c895d09201b88973c8fe4552a67dd85",  # 2.6 GB
}
CITYSCAPES_URL = "https://www.cityscapes-dataset.com"
CITYSCAPES_PACKAGES: Mapping[str, int] = {  # the site's own numbers
    "gtFine_trainvaltest.zip": 1,  # 241 MB
    "leftImg8bit_trainvaltest.zip": 3,  # 11 GB
    "disparity_trainvaltest.zip": 7,  # 3.5 GB
    "camera_trainvaltest.zip": 8,  # 2 MB
}
ASK: Mapping[str, str] = {
    "redweb": (
        "ReDWeb V1 is given out by its authors (Xian et al., CVPR 2018): follow "
        "https://sites.google.com/site/redwebcvpr18 and unpack it so that the folder holds Imgs "
        "and RDs. Until then: python -m cloudytools.data make redweb FOLDER"
    ),
    "composed": (
        "composed pictures are made of your own: put cut-outs (RGBA .png) into "
        "FOLDER/foregrounds and pictures into FOLDER/backgrounds. Without any: "
        "python -m cloudytools.data make composed FOLDER"
    ),
    "streets": (
        "streets are rendered, not fetched: python -m cloudytools.scenes --count 1000 --out FOLDER"
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One of the things that fetching does, with its progress."""

    what: str
    progress: Iterator[Progress]


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody's account at cityscapes-dataset.com; it is sent there and kept nowhere."""

    user: str
    password: str

    def __repr__(self) -> str:
        """Without the password, so that no log shows it."""
        return f"Account({self.user!r})"


def diode_steps(folder: Path, split: str, only: str = "", url: str = DIODE_URL) -> Iterator[Step]:
    """Download one split into FOLDER/archives and unpack all of it, or one of its parts."""
    if only and only not in diode.PARTS:
        raise ConfigError(f"diode has no part {only!r}; known are {', '.join(diode.PARTS)}")
    archive = folder / "archives" / f"{split}.tar.gz"
    remote = Remote(f"{url}/{split}.tar.gz", f"md5:{DIODE_MD5[split]}")
    yield Step(f"fetching {archive.name}", download(remote, archive))
    yield Step(f"unpacking {only or split}", unpack(archive, folder, _part_of(split, only)))


def cityscapes_steps(folder: Path, account: Account, url: str = CITYSCAPES_URL) -> Iterator[Step]:
    """Log in, download the four packages into FOLDER/archives, and unpack them."""
    session = logged_in(account, url)
    for name, number in CITYSCAPES_PACKAGES.items():
        archive = folder / "archives" / name
        digest = f"md5:{_published_md5(session, url, number)}"
        remote = Remote(f"{url}/file-handling/?packageID={number}", digest, session)
        yield Step(f"fetching {name}", download(remote, archive))
        yield Step(f"unpacking {name}", unpack(archive, folder))


def logged_in(account: Account, url: str) -> requests.Session:
    """A session of this account. Raises SourceError where the site does not take it."""
    session = requests.Session()
    form = {"username": account.user, "password": account.password, "submit": "Login"}
    try:
        session.get(f"{url}/login/", timeout=30)
        answer = session.post(f"{url}/login/", data=form, allow_redirects=False, timeout=30)
    except requests.exceptions.RequestException as error:
        raise SourceError(f"{url}: no login: {type(error).__name__}") from None
    if answer.status_code != 302:  # who is welcome is sent on to another page
        raise SourceError(
            f"{url}: user {account.user!r} and the password were not accepted; "
            f"accounts are made at {url}/register"
        )
    return session


def _published_md5(session: requests.Session, url: str, number: int) -> str:
    """What the site says its package's MD5 is."""
    try:
        answer = session.get(f"{url}/md5-sum/?packageID={number}", timeout=30)
        answer.raise_for_status()
    except requests.exceptions.RequestException as error:
        raise SourceError(f"{url}: no digest of package {number}: {error}") from error
    words = answer.text.split()
    if not words or len(words[0]) != 32 or not set(words[0].lower()) <= set("0123456789abcdef"):
        raise SourceError(f"{url}: no digest of package {number} but {answer.text[:60]!r}")
    return words[0]


def _part_of(split: str, only: str) -> Callable[[str], bool]:
    prefix = f"{split}/{only}/" if only else f"{split}/"
    return lambda name: name.removeprefix("./").startswith(prefix)
