"""What lies in a coded picture; whether it is a key is tried in test_capture_developing."""

from __future__ import annotations

import pytest

from cloudypoints.capture.annexb import kinds_in, with_parameters

DELIMITER = b"\0\0\0\1\x09\x10"
PARAMETERS = b"\0\0\0\1\x67\x42" + b"\0\0\1\x68\xce"
SLICE = b"\0\0\1\x65\x88"


def test_each_unit_has_its_kind():
    assert kinds_in("h264", DELIMITER + PARAMETERS + SLICE) == [9, 7, 8, 5]
    assert kinds_in("h265", b"\0\0\1\x40\1" + b"\0\0\0\1\x42\1" + b"\0\0\1\x26\1") == [32, 33, 19]
    assert kinds_in("h264", b"") == kinds_in("h264", b"\0\0\1") == []


@pytest.mark.parametrize("start", [b"\0\0\1", b"\0\0\0\1"])
def test_parameter_sets_stand_before_the_picture_and_behind_its_delimiter(start):
    picture = start + SLICE[3:]
    assert with_parameters("h264", picture, PARAMETERS) == (PARAMETERS + picture, True)
    delimited, whole = with_parameters("h264", DELIMITER + picture, PARAMETERS)
    assert (delimited, whole) == (DELIMITER + PARAMETERS + picture, True)


def test_a_picture_that_has_them_stays_as_it_is():
    assert with_parameters("h264", PARAMETERS + SLICE, PARAMETERS) == (PARAMETERS + SLICE, True)
    assert with_parameters("jpeg", b"\xff\xd8", b"") == (b"\xff\xd8", True)


@pytest.mark.parametrize("unknown", [b"", b"\1\x64\0\x1f"])
def test_without_any_it_is_told(unknown):
    assert with_parameters("h264", SLICE, unknown) == (SLICE, False)
