"""`Gate`, in front of Gradio: passes on the few requests that the page makes, and refuses all others.

Gradio would fetch a URL that a client names as its picture, and keep any file of the machine for it whose path it
names. So a file of a request has to be one that was uploaded. Requests of other sites' pages are refused, bodies are
bounded, and the page may load nothing from elsewhere. Gradio removes the uploads that it knows of; those that are left,
as of a broken connection, are removed here.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from ecor_jax.demo.answers import MAX_BYTES
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import parse_json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API = "/gradio_api"
UPLOAD, JOIN, FILE = f"{API}/upload", f"{API}/queue/join", f"{API}/file="
READ = ("/", "/config", "/theme.css", "/favicon.ico", f"{API}/info", f"{API}/queue/data", f"{API}/upload_progress")
READ_BELOW = ("/assets/", "/static/", f"{API}/heartbeat/")
WRITTEN = {UPLOAD: MAX_BYTES + (1 << 16), JOIN: 1 << 20, f"{API}/cancel": 1 << 12, f"{API}/reset": 1 << 12}
"""Maximum size of the body by the path that it is sent to."""
MAX_UPLOADS = 1 << 30
"""Maximum size of all uploads that are kept at a time."""
KEPT = 3600
"""Seconds for which an upload is kept."""
SLOW = 60
"""Seconds in which the body of a request that is no upload has to arrive."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Gate:
    """An ASGI application in front of another.

    uploads: the folder of uploaded files. host: the name or address that the page is asked for by, besides those of
    loopback; a request under another name is refused, so that no other site's name can be made to lead here.
    """

    def __init__(self, app: App, uploads: Path, *, host: str):
        self.app, self.uploads, self.host = app, uploads.resolve(), host
        self.coming = 0  # bytes of the uploads that are arriving
        self.own = frozenset(self.uploads.rglob("*"))  # the thumbnails of the examples

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with a status and one line, in the form that the page shows."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path, problem = scope["path"], self._problem(scope["method"], scope["path"], headers)
        size = int(headers.get("content-length", 0)) if problem is None and path in WRITTEN else 0
        if problem is None and path == JOIN:
            body = await _whole(receive, size)
            receive, problem = _again(body or b"", receive), self._foreign_file(body)
        elif problem is None and path == UPLOAD:
            problem = await self._no_room(size)
        if problem is not None:
            await _answer(send, *problem)
            return
        self.coming += size if path == UPLOAD else 0
        try:
            await self.app(scope, receive, _with_headers(send))
        finally:
            self.coming -= size if path == UPLOAD else 0

    def _problem(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_own(_name_of(host)):
            return 403, "this page is for another address"
        of_other = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if of_other and headers.get("sec-fetch-mode") != "navigate":
            return 403, "a page of another site asked"
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "a page of another site asked"
        if method in ("GET", "HEAD"):
            if path.startswith(FILE):
                return None if self._is_upload(path.removeprefix(FILE)) else (404, "there is no such page")
            if path in READ or (path.startswith(READ_BELOW) and "://" not in path):
                return None
            return 404, "there is no such page"
        if method != "POST" or path not in WRITTEN:
            return 404, "there is no such page"
        size = headers.get("content-length", "")
        if not size.isdecimal() or "transfer-encoding" in headers:
            return 411, "the size of the request is missing"
        if int(size) > WRITTEN[path]:
            return 413, f"too large: at most {WRITTEN[path]:,} bytes are read"
        return None

    def _is_own(self, name: str) -> bool:
        if is_loopback(name) or name == self.host:
            return True
        # Another site's name may lead here, but is neither an address nor the name of this machine.
        return self.host in ("0.0.0.0", "::") and (_is_address(name) or name == socket.gethostname())

    def _is_upload(self, path: str) -> bool:
        return "\0" not in path and path.startswith("/") and Path(path).resolve().is_relative_to(self.uploads)

    async def _no_room(self, size: int) -> tuple[int, str] | None:
        """Returns why an upload of `size` bytes has no room; removes old ones first."""
        kept = await asyncio.to_thread(_removed_old, self.uploads, self.own)
        if size + self.coming + kept > MAX_UPLOADS:
            return 507, "too many pictures are kept at the moment; please try again in an hour"
        return None

    def _foreign_file(self, body: bytes | None) -> tuple[int, str] | None:
        if body is None:
            return 400, "the request is not as long as it says, or does not end"
        try:
            value = parse_json(body, "the request")
        except UserError as error:
            return 400, str(error)
        for path in _paths(value):
            if not isinstance(path, str) or not path.startswith("/"):
                return 403, "a picture has to be uploaded; no other address is read"
            if not self._is_upload(path):
                return (
                    403,
                    "a picture has to be uploaded, and is not kept for ever: please reload the page and add it again",
                )
        return None


def is_loopback(host: str) -> bool:
    """Returns whether a host name or address is that of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False


def _name_of(host: str) -> str:
    """Returns the host of `HOST:PORT`; '' if it is malformed."""
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _paths(value: Any) -> Iterator[Any]:
    """Yields what a request names as paths of files, at any depth."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from _paths(child)


def _removed_old(folder: Path, own: Collection[Path]) -> int:
    """Removes files that were written more than KEPT seconds ago and are not `own`; returns the size of the others."""
    size, oldest = 0, time.time() - KEPT
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # Gradio may remove it meanwhile
            if not file.is_file():
                continue
            if file not in own and file.stat().st_ctime < oldest:
                file.unlink()
            else:
                size += file.stat().st_size
    return size


async def _whole(receive: Receive, size: int) -> bytes | None:
    """Returns a body of at most `size` bytes; None if it is longer, breaks off, or takes longer than SLOW."""
    body, more = b"", True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SLOW):
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body, more = body + message.get("body", b""), message.get("more_body", False)
                if len(body) > size:
                    return None
            return body
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that gives the body that was read, and then what else comes."""
    left = [body]

    async def replayed() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return replayed


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_encoded(HEADERS)]
        await send(message)

    return sent


async def _answer(send: Send, status: int, line: str) -> None:
    headers = _encoded({"content-type": "application/json", "connection": "close", **HEADERS})
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": line}).encode()})


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
