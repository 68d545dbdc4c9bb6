"""Names of sources, and how they are said without their passwords."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudypoints.capture import CaptureSettings, open_source, redacted
from cloudypoints.capture.names import kind_of
from cloudypoints.errors import SourceError


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rtsp://camera.local/street", "rtsp://camera.local/street"),
        ("rtsp://joe:pw@camera.local:554/a", "rtsp://***@camera.local:554/a"),
        ("rtsp://joe:p@ss:w@rd@10.0.0.1/a", "rtsp://***@10.0.0.1/a"),
        ("http://10.0.0.1/a?channel=1&password=pw", "http://10.0.0.1/a?channel=1&password=***"),
        ("http://10.0.0.1/a?user=joe&pwd=pw&x=1", "http://10.0.0.1/a?user=***&pwd=***&x=1"),
        ("https://10.0.0.1/a?access_token=abc", "https://10.0.0.1/a?access_token=***"),
        ("rtsp://10.0.0.1/user=joe&password=pw&channel=1", "rtsp://10.0.0.1/user=***&password=***&channel=1"),
        ("rtsp://10.0.0.1/user=joe_password=pw_channel=1", "rtsp://10.0.0.1/user=***"),
        ("/films/user@home/key=1.mp4", "/films/user@home/key=1.mp4"),
        ("camera:/dev/video0", "camera:/dev/video0"),
    ],
)  # fmt: skip
def test_a_url_is_said_without_user_password_or_token(url, said):
    assert redacted(url) == said


_WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/?#"))


@given(user=_WORD, password=_WORD)
def test_no_login_survives(user, password):
    url = f"rtsp://{user}x7:{password}x7@camera/street"
    assert redacted(url) == "rtsp://***@camera/street"


@given(
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="&;/#"))
)
def test_no_password_survives_in_a_query(password):
    assert redacted(f"http://camera/street?password={password}") == (
        "http://camera/street?password=***"
    )


@given(st.text())
def test_anything_can_be_redacted(name):
    redacted(name)


def test_every_kind_of_name_is_known(tmp_path):
    (tmp_path / "street.mp4").touch()
    names = ["demo:", "camera:0", "rtsp://a/b", "HTTPS://a/b", str(tmp_path)]
    assert [kind_of(name) for name in names] == ["demo", "camera", "network", "network", "folder"]
    assert kind_of(str(tmp_path / "street.mp4")) == "video"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (
            "ftp://joe:pw@a/b",
            r"ftp://\*\*\*@a/b: unknown kind of source ftp://; known are .*rtsp://",
        ),
        ("rtsp:///street", "no host in it"),
        ("rtsp://[::1/street", "no host in it"),
        ("nowhere.mp4", "'nowhere.mp4': no such file or folder; a source is a file"),
        ("", "no source is named; it is a file"),
    ],
)
def test_a_name_of_nothing_is_refused_with_what_would_be_right(
    name, complaint, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=complaint) as caught:
        open_source(name, CaptureSettings())
    assert "\n" not in str(caught.value)
    assert "pw" not in str(caught.value)
