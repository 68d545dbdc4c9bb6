"""A recorder's manners: nicer than the node, and no page is asked for that it had before."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import os, resource, threading
import numpy as np
from cloudypoints.recording.priority import come_second

def chunk():
    held = [np.ones(20 << 20, np.uint8) for _ in range(3)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before = os.nice(0)
{manners}
chunk()
start = faults()
for _ in range(5):
    chunk()
print(os.nice(0) - before, faults() - start)
"""


def nice_and_faults(manners: str) -> tuple[int, int]:
    """How much nicer a process is, and the pages that five chunks cost it."""
    command = [sys.executable, "-c", _SCRIPT.format(manners=manners)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    nicer, faults = map(int, said.split())
    return nicer, faults


def test_it_is_nicer_than_the_node():
    assert nice_and_faults("come_second()")[0] == min(5, 19 - os.nice(0))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's memory")
def test_what_it_has_freed_it_need_not_ask_for_again():
    _, kept = nice_and_faults("come_second()")
    _, asked_anew = nice_and_faults("")
    assert kept < 50 < asked_anew
