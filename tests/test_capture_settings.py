"""What may be set of sources, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cloudypoints.capture import CaptureSettings


def test_the_defaults_are_patient_at_the_start_and_use_tcp():
    settings = CaptureSettings()
    assert (settings.open_timeout_s, settings.read_timeout_s) == (20, 5)
    assert settings.rtsp_transport == "tcp"
    assert settings.reconnect


@pytest.mark.parametrize(
    "wrong",
    [
        {"pace": -1},
        {"pace": float("nan")},
        {"open_timeout_s": 0},
        {"read_timeout_s": 1e9},
        {"mode": "maybe"},
        {"rtsp_transport": "carrier pigeon"},
        {"width_px": -640},
        {"pase": 1},
    ],
)
def test_a_setting_that_is_unknown_or_out_of_range_is_refused(wrong):
    with pytest.raises(ValidationError):
        CaptureSettings(**wrong)
