"""YAML of other people's cameras: keys, lists and words, and the numbers that these read as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudypoints.errors import CalibrationError, MissingExtra


def document(text: str, kind: str) -> Mapping[str, Any]:
    """What a YAML text of this kind holds: dicts and lists of str, whatever its tags say.

    Raises CalibrationError, MissingExtra.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra(f"reading {kind}", "node") from error
    try:
        content = yaml.load(text, yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise CalibrationError(f"not {kind}: {error}") from error
    if not isinstance(content, dict):
        raise CalibrationError(f"not {kind} of a camera: it holds no keys")
    return content


def as_number(value: Any) -> Any:
    """The number that a word reads as, with YAML's bare exponents (1e-05); else the value."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def as_numbers(values: Any) -> Any:
    """The same of each item of a list."""
    return [as_number(value) for value in values] if isinstance(values, list) else values
