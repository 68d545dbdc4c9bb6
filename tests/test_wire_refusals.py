"""What is no message of ours is refused in one clear line, and nothing is believed before that."""

import tracemalloc
from dataclasses import fields

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudypoints import wire
from cloudypoints.errors import VersionError, WireError
from cloudypoints.messages import TOPICS, Header, Ledger
from cloudypoints.wire import decode
from wire_examples import EXAMPLES, content, golden

KINDS = list(EXAMPLES)


def altered(kind, /, **changes):
    """The golden parts of a kind with these keys of the header set; ... takes a key out."""
    topic, header, *buffers = golden(kind)
    document = {**msgpack.unpackb(header), **changes}
    kept = {key: value for key, value in document.items() if value is not ...}
    return [topic, msgpack.packb(kept), *buffers]


def described(kind, /, **changes):
    """The golden parts of a kind with the description of the first buffer changed."""
    first, *others = msgpack.unpackb(golden(kind)[1])["buffers"]
    return altered(kind, buffers=[{**first, **changes}, *others])


def in_body(kind, /, **changes):
    """The golden parts of a kind with these keys of the body set; ... takes a key out."""
    body = {**msgpack.unpackb(golden(kind)[1])["body"], **changes}
    return altered(kind, body={key: value for key, value in body.items() if value is not ...})


def refusal(parts):
    """The one line that says why these parts are no message."""
    with pytest.raises(WireError) as refused:
        decode(parts)
    line = str(refused.value)
    assert 10 < len(line) < 400
    assert "\n" not in line
    return line


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_buffers_that_are_unknown_are_ignored(kind):
    topic, header, *buffers = golden(kind)
    document = msgpack.unpackb(header)
    document["v"] = [1, 99]
    document["mood"] = {"deep": [1, [2, [3]]]}
    document["body"]["mood"] = None
    document["ledger"]["moon_ns"] = 1.5
    document["buffers"].append({"name": "extra", "dtype": "bfloat16", "bytes": 5})
    parts = [topic, msgpack.packb(document), *buffers, b"extra"]
    assert content(decode(parts)) == content(EXAMPLES[kind]())


def test_another_major_version_is_refused_by_name():
    with pytest.raises(VersionError, match="protocol version 2, this library speaks 1") as refused:
        decode(altered("cloud", v=[2, 0]))
    assert refused.value.major == 2


def test_another_major_version_is_refused_before_anything_else_is_judged():
    topic, header, *_ = altered("cloud", v=[3], kind=5, camera=..., body=..., buffers=...)
    with pytest.raises(VersionError):
        decode([topic + b"of another kind", header])


@pytest.mark.parametrize("version", [..., 1, "1", [], [None], [True], ["1", "0"], {}, [1.0, 0]])
def test_a_version_that_is_none_is_refused(version):
    assert "not [major, minor]" in refusal(altered("labels", v=version))


@pytest.mark.parametrize("key", [field.name for field in fields(Header)])
def test_a_header_without_a_key_is_refused(key):
    assert key in refusal(altered("labels", **{key: ...}))


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (kind, field.name)
        for kind, topic in TOPICS.items()
        for field in fields(topic.type)
        if field.name != "header" and field.name not in topic.type.buffers
    ],
)
def test_a_body_without_a_key_is_refused(kind, key):
    assert refusal(in_body(kind, **{key: ...})) == f"body: {key} is missing"


@pytest.mark.parametrize("stage", [field.name for field in fields(Ledger)])
def test_a_ledger_without_a_stage_is_refused(stage):
    ledger = msgpack.unpackb(golden("labels")[1])["ledger"]
    del ledger[stage]
    assert refusal(altered("labels", ledger=ledger)) == f"ledger: {stage} is missing"


@pytest.mark.parametrize("key", [field.name for field in fields(Header)] + ["body", "buffers"])
@pytest.mark.parametrize("value", [None, b"bytes", msgpack.ExtType(5, b""), {1: 1}, [[]], True])
def test_a_header_value_of_the_wrong_type_is_refused(key, value):
    refusal(altered("labels", **{key: value}))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("obstacles", {"state": "fine"}),
        ("obstacles", {"state": 0}),
        ("obstacles", {"nearest_m": "6.5"}),
        ("obstacles", {"nearest_m": None}),
        ("obstacles", {"nearest_category": 8}),
        ("obstacles", {"nearest_category": -1}),
        ("obstacles", {"nearest_category": 1.0}),
        ("status", {"frames": 1.5}),
        ("status", {"frames": True}),
        ("status", {"insecure": 0}),
        ("status", {"latency_ms": []}),
        ("status", {"latency_ms": {"total": "33"}}),
        ("status", {"latency_ms": {b"total": 33.0}}),
        ("status", {"faults": {"corrupt": 1.5}}),
    ],
)
def test_a_body_value_of_the_wrong_type_or_range_is_refused(kind, changes):
    refusal(in_body(kind, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": -1},
        {"session": -1},
        {"drops": -3},
        {"vehicle_from_camera": [1.0] * 15},
        {"vehicle_from_camera": [float("nan")] * 16},
        {"vehicle_from_camera": ["1"] * 16},
        {"intrinsics": [3.0, 2.0]},
        {"intrinsics": [float("inf")] * 6},
        {"ledger": []},
        {"kind": "obstacles"},
        {"kind": "clouds"},
        {"kind": ["cloud"]},
        {"camera": "rear"},
        {"camera": ""},
        {"camera": "x" * 101},
        {"camera": "a\nb"},
        {"camera": "front/left"},
        {"body": [1]},
        {"buffers": {}},
        {"buffers": []},
        {"buffers": ["points"]},
        {"buffers": [{"name": 5}]},
        {"buffers": [{"name": ["points"]}]},
        {"buffers": [{"name": "other"}]},
    ],
)
def test_a_header_that_cannot_be_true_is_refused(changes):
    refusal(altered("cloud", **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [2, 2]},
        {"shape": [6]},
        {"shape": [2, 3, 1]},
        {"shape": [-2, -3]},
        {"shape": [2.0, 3.0]},
        {"shape": [True, 6]},
        {"shape": []},
        {"shape": [1, 1, 1, 2, 3]},
        {"shape": "23"},
        {"shape": None},
        {"shape": [2**31, 2**31]},
        {"shape": [2**62, 4]},
        {"shape": [2**31 - 1] * 4},
        {"shape": [0, 2**31 - 1, 2**31 - 1, 2**31 - 1]},
        {"bytes": 5},
        {"bytes": -24},
        {"bytes": None},
        {"bytes": 2**40},
        {"dtype": "O"},
        {"dtype": "|O8"},
        {"dtype": ">f4"},
        {"dtype": "<f8"},
        {"dtype": "<i4"},
        {"dtype": "<c8"},
        {"dtype": "<M8[s]"},
        {"dtype": "S4"},
        {"dtype": "f4,("},
        {"dtype": "(2,3)f4"},
        {"dtype": "f" * 10_000},
        {"dtype": [["depth_m", "O"]]},
        {"dtype": [["x", "<f4"], ["y"]]},
        {"dtype": {"names": ["x"]}},
        {"dtype": 4},
        {"dtype": None},
    ],
)
def test_a_buffer_whose_description_lies_is_refused(changes):
    assert "depth_m" in refusal(described("depth", **changes))


def test_a_point_record_of_another_layout_is_refused():
    dtype = [["x", "<f4"], ["y", "<f4"], ["z", "<f4"], ["label", "<u4"]]
    assert "point record" in refusal(described("cloud", dtype=dtype))


@pytest.mark.parametrize("buffer", [b"", b"\0" * 23, b"\0" * 25, b"\0" * 48])
def test_a_buffer_of_another_size_is_refused(buffer):
    assert "24 bytes" in refusal([*golden("depth")[:2], buffer])


def test_two_buffers_of_one_name_are_refused():
    topic, header, buffer = golden("depth")
    description = msgpack.unpackb(header)["buffers"][0]
    header = altered("depth", buffers=[description, description])[1]
    assert "a name of its own" in refusal([topic, header, buffer, buffer])


def test_sector_arrays_of_different_lengths_are_refused():
    topic, header, *buffers = described("obstacles", shape=[2], bytes=8)
    assert "lengths [2, 3]" in refusal([topic, header, buffers[0][:8], *buffers[1:]])


def test_a_category_that_does_not_exist_is_refused():
    *parts, _ = golden("obstacles")
    assert "category beyond void, flat" in refusal([*parts, b"\0\0\x08"])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 30])
def test_a_message_with_parts_missing_or_too_many_is_refused(count):
    parts = golden("obstacles")
    refusal((parts * 4)[:count])


@pytest.mark.parametrize(
    "topic",
    [
        b"",
        b"\0",
        b"labels",
        b"labels\0",
        b"labels/front",
        b"labels/front\0\0",
        b"labels/front_left\0",
        b"LABELS/front\0",
        b"depth/front\0",
        b"labels/\xff\0",
        b"labels/front\0" * 1_000_000,
    ],
)
def test_a_topic_that_is_not_the_header_s_is_refused(topic):
    assert "labels/front" in refusal([topic, *golden("labels")[1:]])


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x80" + b"\0",
        b"\x93\x01\x02\x03",
        b"\xa3abc",
        b"\x81\x01\x02",  # a key that is not text
        b"\x81\xa1v\xa1\xff",  # text that is not UTF-8
        b"\xd7\xff" + b"\xff" * 8,  # a time stamp that cannot be
        b"\x91" * 2000,  # too deep
        golden("labels")[1][:-1],
        golden("labels")[1] + b"\0",
    ],
)
def test_a_header_that_is_not_a_map_in_msgpack_is_refused(header):
    assert "header" in refusal([b"labels/front\0", header, b""])


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_cut_short_is_refused_wherever_it_is_cut(kind):
    topic, header, *buffers = golden(kind)
    for length in range(len(header)):
        refusal([topic, header[:length], *buffers])


def test_sizes_are_bounded_before_anything_is_allocated():
    lists = b"\xdd\x00\x00\xff\xf0" * 1000  # each claims 65 520 entries
    cases = [
        [b"labels/front\0", b"\x81" * (wire.MAX_HEADER_BYTES + 1)],
        [b"labels/front\0", lists + b"\0" * 60_000],
        [b"labels/front\0" * 100_000, golden("labels")[1], b""],
        described("depth", shape=[2**30, 2**30], bytes=2**62),
        [*golden("depth")[:2], np.zeros(0, "u1").data],
    ]
    tracemalloc.start()
    for parts in cases:
        refusal(parts)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 10 << 20


# --- Anything at all ------------------------------------------------------------------------------


def outcome(parts):
    """The message, or the line that says why it is none."""
    try:
        return decode(parts)
    except WireError as error:
        return str(error)


def assert_decoded_or_refused(parts):
    """Whatever comes, it is a message or a WireError of one line."""
    result = outcome(parts)
    assert isinstance(result, tuple(topic.type for topic in TOPICS.values())) or "\n" not in result


@given(st.sampled_from(KINDS), st.data())
@settings(max_examples=250, deadline=None)
def test_golden_bytes_with_bytes_changed_are_a_message_or_refused(kind, data):
    parts = [bytearray(part) for part in golden(kind)]
    for _ in range(data.draw(st.integers(1, 4))):
        part = parts[data.draw(st.sampled_from([1, 1, 1, 0, len(parts) - 1]))]
        at = data.draw(st.integers(0, max(0, len(part) - 1)))
        part[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    assert_decoded_or_refused(parts)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.sampled_from(["<f4", "|u1", "points", "front", [2, 3], [0], 2**31]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.sampled_from(KINDS), st.data())
@settings(max_examples=250, deadline=None)
def test_a_header_with_any_value_anywhere_is_a_message_or_refused(kind, data):
    topic, header, *buffers = golden(kind)
    document = msgpack.unpackb(header)
    places = [document, document["ledger"], document["body"], *document["buffers"]]
    place = data.draw(st.sampled_from([place for place in places if place]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(junk)
    assert_decoded_or_refused([topic, msgpack.packb(document), *buffers])


@given(st.lists(st.binary(max_size=50), max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused(parts):
    refusal(parts)
