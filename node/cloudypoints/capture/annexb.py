"""What lies in a coded picture: its units, whether a decoder can begin with it, parameter sets."""

from __future__ import annotations

from collections.abc import Iterator

# Kinds of units: parameter sets of a sequence, and what marks the beginning of a picture.
_SPS = {"h264": 7, "h265": 33}
_DELIMITER = {"h264": 9, "h265": 35}
_START = b"\0\0\1"


def is_key(coding: str, content: bytes) -> bool:
    """Whether a decoder can begin with this packet of a video."""
    if coding in ("jpeg", "mjpeg"):
        return True
    if coding == "h264":
        return 5 in kinds_in("h264", content)
    if coding in ("h265", "hevc"):
        return any(16 <= kind <= 21 for kind in kinds_in("h265", content))
    if coding == "vp9":
        return len(content) > 0 and not content[0] & 0b1100
    if coding == "vp8":
        return len(content) > 0 and not content[0] & 1
    return any(kind == 1 for kind in _obus(content))  # AV1: a sequence header


def kinds_in(coding: str, content: bytes) -> list[int]:
    """The kind of each unit of an Annex B stream of H.264 or H.265."""
    return [_kind(coding, content[at]) for at in _units(content)]


def with_parameters(coding: str, content: bytes, parameters: bytes) -> tuple[bytes, bool]:
    """A key picture with its parameter sets, and whether it has them.

    `parameters` in Annex B are what the stream said once, outside of its pictures.
    """
    if coding == "jpeg" or _SPS[coding] in kinds_in(coding, content):
        return content, True
    if not parameters.startswith((_START, b"\0" + _START)):
        return content, False
    units = list(_units(content))
    delimited = len(units) > 1 and _kind(coding, content[units[0]]) == _DELIMITER[coding]
    # A delimiter stands first, before a start code of three or four bytes.
    at = content.rfind(_START, 0, units[1]) if delimited else 0
    at -= delimited and content[at - 1] == 0
    return content[:at] + parameters + content[at:], True


def _kind(coding: str, first_byte: int) -> int:
    return first_byte & 0x1F if coding == "h264" else first_byte >> 1 & 0x3F


def _units(content: bytes) -> Iterator[int]:
    """Where each unit of an Annex B stream begins, behind its start code."""
    at = content.find(_START)
    while 0 <= at < len(content) - 3:
        yield at + 3
        at = content.find(_START, at + 3)


def _obus(content: bytes) -> Iterator[int]:
    """The kinds of the units of an AV1 packet, those with a stated size."""
    at = 0
    while at < len(content):
        head = content[at]
        yield head >> 3 & 0xF
        at += 2 if head & 4 else 1
        size = shift = 0
        while head & 2 and at < len(content) and shift < 56:
            size |= (content[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not content[at - 1] & 0x80:
                break
        if not head & 2:
            return
        at += size
