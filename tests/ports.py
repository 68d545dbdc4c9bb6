"""Ports for tests that start a node."""

import zmq


def free_port() -> int:
    """One that is free, outside the range that the system hands out."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        return socket.bind_to_random_port("tcp://127.0.0.1", min_port=20000, max_port=30000)
