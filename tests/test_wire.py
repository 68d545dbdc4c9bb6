"""The wire: what goes in comes out, and nothing else comes out of anything else."""

import struct
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cloudypoints import wire
from cloudypoints.errors import WireError
from cloudypoints.messages import (
    POINT,
    TOPICS,
    ZONE_EVENTS,
    Cloud,
    Depth,
    Grid,
    Header,
    Image,
    Labels,
    Ledger,
    Obstacles,
    Status,
)
from cloudypoints.wire import decode, encode, topic_of
from wire_examples import EXAMPLES, GOLDEN, NEWEST, content, framed, golden, raw, write_golden

KINDS = list(EXAMPLES)
VERSIONS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())

# --- The laws: there and back again ---------------------------------------------------------------

texts = st.text(max_size=30).filter(lambda text: text == text.encode("utf-8", "replace").decode())
names = st.text(min_size=1, max_size=100).filter(lambda n: n.isprintable() and "/" not in n)
counts = st.integers(0, 2**63 - 1)
numbers = st.floats(width=64)
finite = st.floats(allow_nan=False, allow_infinity=False)
headers = st.builds(
    Header,
    camera=names,
    session=counts,
    seq=counts,
    frame=st.integers(-(2**63), 2**63 - 1),
    stamp_ns=st.integers(-(2**63), 2**63 - 1),
    clock=texts,
    ledger=st.builds(Ledger, **{field.name: counts for field in fields(Ledger)}),
    drops=counts,
    model=texts,
    digest=texts,
    calibration=texts,
    scale=texts,
    vehicle_from_camera=st.just(()) | st.tuples(*[finite] * 16),
    intrinsics=st.just(()) | st.tuples(*[finite] * 6),
)


def grids(dtype, least=1, most=2):
    """Arrays of any bit pattern, some without elements."""
    shapes = array_shapes(min_dims=least, max_dims=most, min_side=0, max_side=5)
    size = np.dtype(dtype).itemsize
    raw_bytes = shapes.flatmap(lambda shape: arrays(np.uint8, (*shape, size)))
    return raw_bytes.map(lambda cells: np.ascontiguousarray(cells).view(dtype)[..., 0])


def maps_of_zones(zones):
    """The maps of some zones, which all have the same keys."""
    return {
        "zone_event": {name: event for name, (event, *_) in zones.items()},
        "zone_distance_m": {name: distance_m for name, (_, distance_m, *_) in zones.items()},
        "zone_since_s": {name: distance_m for name, (_, distance_m, *_) in zones.items()},
        "zone_entries": {name: entries for name, (*_, entries, _) in zones.items()},
        "zone_outline_m": {name: tuple(outline) for name, (*_, outline) in zones.items()},
    }


zone_maps = st.dictionaries(
    texts,
    st.tuples(st.sampled_from(ZONE_EVENTS), numbers, counts, st.lists(numbers, max_size=6)),
    max_size=3,
).map(maps_of_zones)


@st.composite
def obstacle_messages(draw):
    sectors = draw(st.integers(0, 6))
    columns = {
        name: draw(arrays(dtype, sectors))
        for name, (dtype, _) in Obstacles.buffers.items()
        if name != "category"
    }
    return Obstacles(
        draw(headers),
        category=draw(arrays(np.uint8, sectors, elements=st.integers(0, 7))),
        **columns,
        state=draw(st.sampled_from(["ok", "degraded", "stale"])),
        reason=draw(texts),
        nearest_m=draw(numbers),
        nearest_bearing_rad=draw(numbers),
        nearest_category=draw(st.integers(0, 7)),
        corridor_m=draw(numbers),
        corridor_width_m=draw(numbers),
        bumper_x_m=draw(numbers),
        conditions=tuple(draw(st.lists(texts, max_size=3))),
        nearest_ttc_s=draw(numbers),
        **draw(zone_maps),
    )


messages = st.one_of(
    st.builds(Cloud, headers, grids(POINT)),
    st.builds(Depth, headers, grids("<f4", least=2)),
    st.builds(Labels, headers, grids("u1", least=2)),
    st.builds(Grid, headers, grids("i1", least=2), cell_m=numbers),
    st.builds(Image, headers, arrays(np.uint8, st.just((2, 4, 3)) | st.just((0, 0, 3)))),
    obstacle_messages(),
    st.builds(
        Status,
        headers,
        texts,
        reason=texts,
        frames=counts,
        rate_hz=numbers,
        age_s=numbers,
        latency_ms=st.dictionaries(texts, numbers, max_size=4),
        faults=st.dictionaries(texts, counts, max_size=4),
        insecure=st.booleans(),
    ),
)


@given(messages)
@settings(max_examples=80, deadline=None)
def test_what_is_encoded_is_decoded(message):
    assert content(decode([raw(part) for part in encode(message)])) == content(message)


@given(messages)
@settings(max_examples=30, deadline=None)
def test_what_is_decoded_is_encoded_to_the_same_bytes(message):
    parts = [raw(part) for part in encode(message)]
    assert [raw(part) for part in encode(decode(parts))] == parts


def test_every_field_of_every_message_has_a_reader():
    records = {Header, Ledger, *(topic.type for topic in TOPICS.values())}
    types = {
        str(field.type)
        for record in records
        for field in fields(record)
        if field.name != "header" and field.name not in getattr(record, "buffers", ())
    }
    assert types == set(wire._READERS)


def test_arrays_are_not_copied_on_either_side():
    message = EXAMPLES["depth"]()
    parts = encode(message)
    assert parts[2] is message.depth_m
    assert np.shares_memory(decode(parts).depth_m, message.depth_m)


@pytest.mark.parametrize("part_of", [bytes, bytearray, memoryview])
def test_decoded_arrays_are_read_only(part_of):
    message = decode([part_of(part) for part in golden("depth")])
    with pytest.raises(ValueError, match="read-only"):
        message.depth_m[0, 0] = 1


def test_an_array_that_is_not_contiguous_travels_too():
    depth = Depth(Header("front"), np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2])
    assert decode(encode(depth)).depth_m.tolist() == [[0, 2], [4, 6], [8, 10]]


def test_text_that_is_not_unicode_does_not_stop_a_message():
    status = Status(Header("front"), reason="caf\udce9")
    assert decode(encode(status)).reason == "caf?"


# --- Golden bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_of_version_1_stay_as_they_are(kind):
    stored = (GOLDEN / NEWEST / f"{kind}.bin").read_bytes()
    assert framed(encode(EXAMPLES[kind]())) == stored


@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_bytes_are_the_example(kind):
    assert content(decode(golden(kind))) == content(EXAMPLES[kind]())


def test_every_kind_has_golden_bytes_in_every_version():
    kinds = {
        version: {path.stem for path in (GOLDEN / version).glob("*.bin")} for version in VERSIONS
    }
    first = {"obstacles", "status", "cloud", "depth", "labels", "image"}
    assert list(kinds) == ["v1", NEWEST]
    assert first <= kinds["v1"]
    assert kinds[NEWEST] == set(TOPICS)


@pytest.mark.parametrize("kind", ["obstacles", "status", "cloud", "depth", "labels", "image"])
def test_an_older_message_is_read_and_what_it_could_not_say_is_at_its_default(kind):
    message = decode(golden(kind, "v1"))
    newer = [f for f in fields(message) if f.metadata.get("since", 0) > 0]
    untold = type(message)(
        **{f.name: getattr(message, f.name) for f in fields(message) if f not in newer}
    )
    assert content(message) == content(untold)
    assert message.header == EXAMPLES[kind]().header


def test_golden_bytes_are_never_overwritten(tmp_path):
    write_golden(tmp_path / "v9")
    assert (tmp_path / "v9" / "labels.bin").read_bytes() == framed(golden("labels"))
    with pytest.raises(FileExistsError):
        write_golden(tmp_path / "v9")


def test_the_framing_of_golden_files_is_a_length_before_each_part():
    assert framed([b"ab", b""]) == struct.pack("<I", 2) + b"ab" + struct.pack("<I", 0)


def test_what_is_too_large_for_any_reader_is_not_sent():
    depth = Depth(Header("front"), np.zeros((8192, 8193), np.float32))  # never touched
    with pytest.raises(WireError, match=r"header of \d+ bytes; at most 65536"):
        encode(Status(Header("front"), reason="x" * wire.MAX_HEADER_BYTES))
    with pytest.raises(WireError, match="at most 268435456"):
        encode(depth)


@pytest.mark.parametrize("value", [np.float32(1), np.int64(1), object(), 2**65])
def test_a_value_that_msgpack_does_not_know_is_named(value):
    with pytest.raises(WireError, match="status: the header cannot be packed"):
        encode(Status(Header("front"), frames=value))


@pytest.mark.parametrize("camera", ["", "a/b", "a\0", "a\n", "x" * 101, "\udcff"])
def test_a_camera_whose_name_cannot_stand_in_a_topic_is_refused(camera):
    with pytest.raises(WireError, match="camera name"):
        topic_of("cloud", camera)
    with pytest.raises(WireError, match="camera name"):
        encode(replace(EXAMPLES["labels"](), header=Header(camera)))


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(WireError, match="known are obstacles, scale, status, setup"):
        topic_of("clouds", "front")


def test_a_topic_ends_in_nul_so_that_no_camera_is_the_start_of_another():
    assert topic_of("cloud", "front") == b"cloud/front\0"
    assert not topic_of("cloud", "front_left").startswith(topic_of("cloud", "front"))
