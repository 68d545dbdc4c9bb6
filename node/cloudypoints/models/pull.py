"""A public model's file into the cache: from Hugging Face or over HTTPS, resumed, and checked.

What is expected of it is the preset's digest, else the one that the hub states for its large files;
where neither is known, that is said, and the digest of what came is written down beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from cloudypoints.download import Progress, Remote, download
from cloudypoints.errors import ConfigError, MissingExtra, SourceError
from cloudypoints.formats import write_whole
from cloudypoints.models.presets import Preset

_HUB = "hf:"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SHA256 = re.compile("[0-9a-f]{64}")
_PATIENCE_S = 30.0


def cache_folder() -> Path:
    """Where models lie: `cloudypoints/models` in XDG_CACHE_HOME, or else in ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "cloudypoints" / "models"


@dataclass(frozen=True, slots=True)
class Pull:
    """One preset's file on its way into a folder of the cache."""

    preset: Preset
    folder: Path
    source: str = ""  # instead of the preset's
    sha256: str = ""  # likewise
    hub: str = ""  # address of the hub; "": as huggingface_hub has it
    patience_s: float = _PATIENCE_S  # without a byte
    wait: Callable[[float], None] = time.sleep  # between two tries

    def __post_init__(self) -> None:
        """Raises ConfigError for a source that cannot be fetched from, or a digest that is none."""
        if not self._from:
            raise ConfigError(
                f"{self.preset.name}: no ONNX file of it is known: export one (see "
                f"{self.preset.page}) and adopt it: cloudypoints models adopt FILE "
                f"{self.preset.name}"
            )
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ConfigError(f"{self.sha256!r:.80}: a SHA-256 is 64 digits in lower-case hex")
        if not self._from.startswith(_HUB):
            _check_address(self._from)

    @property
    def path(self) -> Path:
        """Where the file lies when it has come."""
        return self.folder / self.preset.name / PurePosixPath(urlsplit(self._from).path).name

    def fetch(self) -> Iterator[Progress]:
        """Bring it, giving the progress; nothing to do where it is there and right.

        Raises SourceError where it does not come, or is not what is expected; MissingExtra.
        """
        remote, known = self._remote()
        yield from download(remote, self.path)
        note = {"source": remote.url, "sha256": sha256_of(self.path), "expected": known}
        write_whole(self._note, (json.dumps(note, indent=2) + "\n").encode())

    def told(self) -> str:
        """What is known of the file that came: its digest, and whether it was to be expected."""
        note = json.loads(self._note.read_text(encoding="utf-8"))
        return f"SHA-256 {note['sha256']}: {note['expected']}"

    @property
    def _from(self) -> str:
        return self.source or self.preset.source

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def _remote(self) -> tuple[Remote, str]:
        """Where it is, with the digest that is expected and the words on where that comes from."""
        url, digest = self._from, self.sha256 or ("" if self.source else self.preset.sha256)
        known = "as expected" if digest else "none was known, so this proves nothing but itself"
        if url.startswith(_HUB):
            url, stated = self._of_hub(url.removeprefix(_HUB))
            if stated and not digest:
                digest, known = stated, "as the hub states it; no other was known"
        expected = f"sha256:{digest}" if digest else ""
        return Remote(url, expected, patience_s=self.patience_s, wait=self.wait), known

    def _of_hub(self, place: str) -> tuple[str, str]:
        """The address of OWNER/REPOSITORY/PATH at its newest commit, and the SHA-256 stated."""
        try:
            import huggingface_hub as hub
            from huggingface_hub import errors
        except ImportError as error:
            raise MissingExtra("fetching from Hugging Face", "zoo") from error
        owner, _, rest = place.partition("/")
        repository, _, path = rest.partition("/")
        if not path:
            raise ConfigError(f"{_HUB}{place}: expected {_HUB}OWNER/REPOSITORY/PATH")
        address = partial(hub.hf_hub_url, f"{owner}/{repository}", path, endpoint=self.hub or None)
        # Any of the library that it talks HTTP with, which changes from version to version.
        refused = errors.HTTPError  # type: ignore[attr-defined]
        try:
            about = hub.get_hf_file_metadata(address(), timeout=self.patience_s)
        except (refused, OSError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise SourceError(f"{_HUB}{place}: the hub does not tell of it: {reason[0]}") from error
        digest = about.etag or ""
        url = address(revision=about.commit_hash)
        return url, digest if _SHA256.fullmatch(digest) else ""


def sha256_of(path: Path) -> str:
    """Of the file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    named = bool(PurePosixPath(parts.path).name)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not ((parts.scheme == "https" or local) and parts.hostname and named):
        raise ConfigError(f"{url}: expected https://HOST/FILE or {_HUB}OWNER/REPOSITORY/PATH")
