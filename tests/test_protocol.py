"""PROTOCOL.md tells what the code does: keys, limits, topics, and one message byte by byte."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cloudypoints import wire
from cloudypoints.messages import CATEGORY_NAMES, POINT, PROTOCOL, STATES, TOPICS, Header, Ledger
from cloudypoints.publisher import DEFAULT_ENDPOINT, bulk_beside
from wire_examples import golden

PAGE = (Path(__file__).parents[1] / "node" / "PROTOCOL.md").read_text()
RECORDS = [Header, Ledger, *(topic.type for topic in TOPICS.values())]
NAMES = sorted({field.name for record in RECORDS for field in fields(record)} - {"header"})


def dumped(block):
    """The bytes of a block of the page: an offset, sixteen bytes in hex, the same as text."""
    rows = [re.fullmatch(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} ?){1,16}) *.*", row) for row in block]
    assert [int(row[1], 16) for row in rows] == list(range(0, 16 * len(rows), 16))
    return bytes.fromhex("".join(row[2] for row in rows))


def test_the_dump_is_the_golden_message():
    blocks = re.findall(r"```hexdump\n(.*?)\n```", PAGE, flags=re.DOTALL)
    assert [dumped(block.splitlines()) for block in blocks] == golden("labels")


@pytest.mark.parametrize("name", NAMES)
def test_every_key_and_buffer_is_told(name):
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("kind", TOPICS)
def test_every_kind_is_told_with_its_lane_and_buffers(kind):
    lane = next(row for row in PAGE.splitlines() if row.startswith(f"| {TOPICS[kind].lane} |"))
    assert f"`{kind}`" in lane
    row = next(row for row in PAGE.splitlines() if row.startswith(f"| `{kind}` |"))
    assert all(f"`{name}`" in row for name in TOPICS[kind].type.buffers)


def test_the_version_and_the_endpoints_are_those_of_the_code():
    assert PAGE.startswith(f"# The wire, version {PROTOCOL[0]}.{PROTOCOL[1]}\n")
    assert f"`{DEFAULT_ENDPOINT}`" in PAGE
    assert f"`{bulk_beside(DEFAULT_ENDPOINT)}`" in PAGE


def test_the_bounds_are_those_of_the_code():
    bounds = " ".join(PAGE[PAGE.index("- Sizes") :].split())
    for told in (
        f"topic over {wire.MAX_TOPIC_BYTES} bytes",
        f"header over {wire.MAX_HEADER_BYTES >> 10} KiB",
        f"more than {wire._MAX_LIST} entries",
        f"more than {wire.MAX_BUFFERS} buffers",
        f"a buffer over {wire.MAX_BUFFER_BYTES >> 20} MiB",
    ):
        assert told in bounds


def test_categories_states_and_the_point_record_are_told():
    prose = " ".join(PAGE.split())
    assert all(f"{number} {name}" in prose for number, name in enumerate(CATEGORY_NAMES))
    assert all(f"`{state}`" in PAGE for state in STATES)
    assert f"The point record is {POINT.itemsize} bytes" in PAGE
