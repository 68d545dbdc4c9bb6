"""One door to every kind of dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudypoints.errors import ConfigError
from cloudytools.data import cityscapes, composed, diode, redweb, streets
from cloudytools.data.sample import Dataset


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be opened under one name."""

    splits: tuple[str, ...]
    open: Callable[[Path, str, str], Dataset]  # folder, split, only
    parts: str = ""  # what `only` may name, for people


KINDS: Mapping[str, Kind] = {
    "cityscapes": Kind(cityscapes.SPLITS, cityscapes.find, "a city, such as bremen"),
    "diode": Kind(diode.SPLITS, diode.find, "indoors or outdoor"),
    "redweb": Kind(redweb.SPLITS, lambda folder, split, _: redweb.find(folder, split)),
    "composed": Kind(composed.SPLITS, lambda folder, split, _: composed.find(folder, split)),
    "streets": Kind(streets.SPLITS, lambda folder, split, _: streets.find(folder, split)),
}


def open(kind: str, folder: Path, split: str = "train", *, only: str = "") -> Dataset:
    """A dataset in its official layout; `only` keeps a part of it where the kind has parts.

    Raises ConfigError for an unknown kind, split or part, and for a folder that does not hold it,
    saying where it was found instead.
    """
    known = KINDS.get(kind)
    if known is None:
        raise ConfigError(f"dataset {kind!r}; known are {', '.join(KINDS)}")
    if split not in known.splits:
        raise ConfigError(f"{kind} has no split {split!r}; it has {', '.join(known.splits)}")
    if only and not known.parts:
        raise ConfigError(f"{kind} has no parts to choose, so {only!r} is none of them")
    dataset = known.open(folder, split, only)
    if not len(dataset) and not dataset.missing:
        raise ConfigError(f"{folder}: its split {split} of {kind} has no pictures at all")
    return dataset
