"""A web server of one file on the loopback that can be told to misbehave, request by request."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class FileServer:
    """Serves `content` under every path; each request takes the next of the `plan`, then `serve`.

    The plan's words: serve (ranges and entity tags as they should be), cut (half of what is asked
    for, then the line drops), stall (half, then silence until the server ends), deaf (ranges are
    ignored), lie (another range than was asked for), page (a web page), 404, 503.
    """

    def __init__(self, content: bytes, plan: tuple[str, ...] = (), tag: str = '"one"') -> None:
        self.content = content
        self.plan = deque(plan)
        self.tag = tag
        self.stated = hashlib.sha256(content).hexdigest()  # as a hub states it
        self.asked: list[str] = []  # the Range headers, "" for none
        self.paths: list[str] = []
        self.over = threading.Event()
        handler = type("Handler", (_Handler,), {"server_": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_: FileServer
    protocol_version = "HTTP/1.1"
    timeout = 20  # of a client that says nothing

    def end_headers(self) -> None:
        """A connection for each request, so that none is waited for at the end."""
        self.send_header("Connection", "close")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        """What the hub tells of a file: its commit, and the digest and size of a large one."""
        self.send_response(200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", self.server_.tag)
        self.send_header("X-Linked-ETag", f'"{self.server_.stated}"')
        self.send_header("Content-Length", str(len(self.server_.content)))
        self.end_headers()

    def do_GET(self) -> None:
        server = self.server_
        server.paths.append(self.path)
        asked = self.headers.get("Range", "")
        server.asked.append(asked)
        todo = server.plan.popleft() if server.plan else "serve"
        if todo in ("404", "503"):
            self.send_error(int(todo))
            return
        if todo == "page":
            self._answer(200, b"<html>please log in</html>", kind="text/html; charset=utf-8")
            return
        start = self._start(asked, todo)
        if start >= len(server.content) and asked:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(start, todo, whole=not start)

    def _start(self, asked: str, todo: str) -> int:
        """Where the answer begins."""
        span = re.fullmatch(r"bytes=(\d+)-", asked)
        same = self.headers.get("If-Range") in (None, self.server_.tag)
        if span is None or todo == "deaf" or not same:
            return 0
        return int(span[1]) + (todo == "lie")

    def _send(self, start: int, todo: str, whole: bool) -> None:
        content = self.server_.content[start:]
        last = len(self.server_.content) - 1
        span = {} if whole else {"Content-Range": f"bytes {start}-{last}/{last + 1}"}
        sent = content[: len(content) // 2] if todo in ("cut", "stall") else content
        self._answer(200 if whole else 206, sent, length=len(content), more=span)
        if todo == "stall":
            self.wfile.flush()
            self.server_.over.wait(20)

    def _answer(
        self, status: int, content: bytes, *, kind: str = "application/gzip",
        length: int | None = None, more: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        if self.server_.tag:
            self.send_header("ETag", self.server_.tag)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class AccountServer(FileServer):
    """Cityscapes' site as far as fetching sees it: login, digests, packages by number."""

    def __init__(self, packages: dict[int, bytes], digests: dict[int, str]) -> None:
        super().__init__(b"")
        self.packages, self.digests = packages, digests
        self._server.RequestHandlerClass = type("Site", (_Site,), {"server_": self})


class _Site(_Handler):
    server_: AccountServer

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        welcome = "username=ada&password=l%C3%B8velace" in form
        self.send_response(302 if welcome else 200)
        if welcome:
            self.send_header("Set-Cookie", "session=ada; Path=/")
            self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        number = int(parts.query.partition("=")[2] or 0)
        if parts.path == "/login/":
            self._answer(200, b"a form", kind="text/html")
        elif "session=ada" not in self.headers.get("Cookie", ""):
            self._answer(200, b"<html>log in</html>", kind="text/html")
        elif parts.path == "/md5-sum/":
            self._answer(
                200, f"{self.server_.digests[number]}  x.zip\n".encode(), kind="text/plain"
            )
        else:
            self.server_.content = self.server_.packages[number]
            super().do_GET()
