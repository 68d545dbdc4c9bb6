"""The recorder's own status on the wire, so that anybody can see what it does and what it lost."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import TracebackType
from typing import Any

import zmq

from cloudypoints.errors import EndpointError
from cloudypoints.messages import Ledger, Status
from cloudypoints.publisher import is_ipv6, is_local
from cloudypoints.timing import utc_ns
from cloudypoints.wire import encode

log = logging.getLogger(__name__)

_LINGER_MS = 200  # for those who listen to be told that it ended


class Beacon:
    """Publishes `status/recorder`; a context manager. Raises EndpointError.

    Only this machine may listen: there is nothing in it that others need.
    """

    def __init__(self, endpoint: str) -> None:
        if not is_local(endpoint):
            raise EndpointError(f"{endpoint}: the recorder's status is for this machine alone")
        self.endpoint = endpoint
        self._session = utc_ns()
        self._seq = 0
        self._context = zmq.Context()
        self._socket: Any = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.IPV6, is_ipv6(endpoint))
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise EndpointError(f"{endpoint}: {zmq.strerror(error.errno or 0)}") from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def send(self, status: Status) -> None:
        """Publish it as the next of this session."""
        header = replace(
            status.header,
            session=self._session,
            seq=self._seq,
            ledger=Ledger(published_ns=utc_ns()),
        )
        self._socket.send_multipart(encode(replace(status, header=header)))
        self._seq += 1

    def close(self) -> None:
        """Free the port, once the last status has gone; may be called twice."""
        self._socket.close(linger=_LINGER_MS)
        self._context.term()

    def __enter__(self) -> Beacon:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
