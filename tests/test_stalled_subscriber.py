"""A subscriber that stops costs the node bounded memory and the others nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cloudypoints
from cloudypoints.timing import NS_PER_S, Deadline, utc_ns
from peers import ANY_PORT

PEERS = Path(__file__).parent / "peers.py"
STOPPED_S = 3.0
MAX_AGE_S = 0.5  # of the peer that is stopped

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]


def peer(*arguments):
    """A process of its own, spoken to line by line."""
    command = [sys.executable, str(PEERS), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def numbers(process):
    """The next line that it says."""
    return [int(word) for word in process.stdout.readline().split()]


def test_a_stopped_subscriber_is_harmless_and_gets_nothing_stale_afterwards():
    with peer("publish", ANY_PORT, ANY_PORT) as node:
        endpoint, bulk_endpoint = node.stdout.readline().split()
        with (
            peer("subscribe", endpoint, bulk_endpoint) as stalled,
            cloudypoints.subscribe(endpoint, "cloud/front", bulk_endpoint=bulk_endpoint) as healthy,
        ):
            assert numbers(stalled)
            stalled.send_signal(signal.SIGSTOP)
            before = healthy.read(5).header.seq
            end = Deadline(STOPPED_S)
            while not end.over:
                after = healthy.read(1).header.seq
            stalled.send_signal(signal.SIGCONT)
            continued_ns = utc_ns()
            captured_ns = handed_ns = 0
            while handed_ns < continued_ns:
                captured_ns, handed_ns = numbers(stalled)
            stalled.kill()
        node.stdin.close()
        resident, peak = numbers(node)
    assert after - before > 0.5 * 30 * STOPPED_S  # the other went on, at most of the 30 Hz
    assert healthy.health("cloud/front").lost < 5
    assert handed_ns - captured_ns < MAX_AGE_S * NS_PER_S
    assert peak - resident < 64 << 20
