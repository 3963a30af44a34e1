"""What the gate in front of Gradio passes on, and what it refuses."""

import asyncio
import json

import pytest

from ecor_jax.demo import gate
from ecor_jax.demo.gate import API, JOIN, MAX_UPLOADS, UPLOAD, Gate, is_loopback

OWN = "127.0.0.1:7860"


def asked(uploads, method: str, path: str, body: bytes = b"", *, name="127.0.0.1", **headers: str) -> tuple[int, bytes]:
    """The status and the body of the answer; what is passed on is answered with 200 and its own body."""
    answers, parts = [], [body[:10], body[10:]]
    given = {"host": OWN, "content-length": str(len(body))} | {k.replace("_", "-"): v for k, v in headers.items()}

    async def receive():
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        answers.append(message)

    async def app(scope, receive, send):
        read, more = b"", True
        while more:
            message = await receive()
            read, more = read + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": read})

    scope = {"type": "http", "method": method, "path": path}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in given.items()]
    asyncio.run(Gate(app, uploads, host=name)(scope, receive, send))
    assert b"content-security-policy" in dict(answers[0]["headers"])
    return answers[0]["status"], answers[1]["body"]


def join(path: object) -> bytes:
    return json.dumps({"data": ["text", [{"path": path, "meta": {"_type": "gradio.FileData"}}]]}).encode()


@pytest.mark.parametrize("path", ["/", "/config", "/assets/index.js", f"{API}/heartbeat/abc"])
def test_what_the_page_reads_is_passed_on(tmp_path, path):
    assert asked(tmp_path, "GET", path)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/login",
        "/monitoring",
        "/assets/http://example.com",
        *(f"{API}/{name}" for name in ("queue/status", "vibe-code", "openapi.json", "deep_link", "component_server")),
        f"{API}/proxy=https://a.hf.space/",
        f"{API}/file=https://example.com/a.png",
        f"{API}/file=/etc/passwd",
    ],
)
def test_other_pages_are_not_there(tmp_path, path):
    assert asked(tmp_path, "GET", path)[0] == 404
    assert asked(tmp_path, "POST", path)[0] == 404
    assert asked(tmp_path, "PUT", "/")[0] == 404


def test_an_uploaded_file_is_passed_on_with_the_whole_request(tmp_path):
    body = join(str(tmp_path / "folder" / "a.png"))
    assert asked(tmp_path, "POST", JOIN, body) == (200, body)


@pytest.mark.parametrize(
    "path",
    [
        *("https://example.com/a.png", "/etc/passwd", "a.png", "../a.png", "file:///etc/passwd", "/etc/\0", ""),
        *(None, 3, ["/etc/passwd"], "UPLOADS/../../secret.png", "UPLOADS/link.png", "UPLOADSother/a.png"),
    ],
)
def test_any_other_file_is_refused(tmp_path, path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "link.png").symlink_to("/etc/passwd")
    path = path.replace("UPLOADS", str(uploads)) if isinstance(path, str) else path
    status, line = asked(uploads, "POST", JOIN, join(path))
    assert status == 403 and json.loads(line)["detail"].startswith("a picture has to be uploaded")


def test_requests_are_bounded(tmp_path):
    assert asked(tmp_path, "POST", JOIN, b"{")[0] == 400
    assert asked(tmp_path, "POST", JOIN, b"[" * 1000 + b"]" * 1000)[0] == 400
    assert asked(tmp_path, "POST", JOIN, content_length=str((1 << 20) + 1))[0] == 413
    assert asked(tmp_path, "POST", UPLOAD, content_length=str(65 << 20))[0] == 413
    assert asked(tmp_path, "POST", UPLOAD, content_length="")[0] == 411
    assert asked(tmp_path, "POST", UPLOAD, b"endless", transfer_encoding="chunked")[0] == 411
    assert asked(tmp_path, "POST", JOIN, join(str(tmp_path / "a.png")), content_length="12")[0] == 400
    assert asked(tmp_path, "POST", UPLOAD, b"a picture") == (200, b"a picture")
    with (tmp_path / "many").open("wb") as file:
        file.truncate(MAX_UPLOADS)
    assert asked(tmp_path, "POST", UPLOAD, b"a picture")[0] == 507


def test_uploads_that_are_arriving_count(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "MAX_UPLOADS", 100)
    statuses: list[int] = []

    async def upload(app, size: int) -> None:
        async def send(message):
            statuses.append(message.get("status", 0))

        headers = [(b"host", OWN.encode()), (b"content-length", str(size).encode())]
        await app({"type": "http", "method": "POST", "path": UPLOAD, "headers": headers}, None, send)

    async def both():
        arriving = asyncio.Event()

        async def slow(scope, receive, send):
            await arriving.wait()

        app = Gate(slow, tmp_path, host="127.0.0.1")
        first = asyncio.create_task(upload(app, 60))
        while app.coming != 60:
            await asyncio.sleep(0)
        await upload(app, 60)
        assert statuses[0] == 507
        arriving.set()
        await first
        assert app.coming == 0

    asyncio.run(both())


def test_uploads_that_nobody_removed_are_removed_after_an_hour_but_not_the_thumbnails(tmp_path, monkeypatch):
    (tmp_path / "thumbnail.png").write_text("own")
    app = Gate(None, tmp_path, host="127.0.0.1")
    (tmp_path / "left").write_text("left")
    assert gate._removed_old(tmp_path, app.own) == 7
    monkeypatch.setattr(gate, "KEPT", -60)
    assert gate._removed_old(tmp_path, app.own) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["thumbnail.png"]


def test_pages_of_other_sites_are_refused(tmp_path):
    body = join(str(tmp_path / "a.png"))
    assert asked(tmp_path, "POST", JOIN, body, origin=f"http://{OWN}")[0] == 200
    for origin in ("http://example.com", "null", "http://127.0.0.1:8000"):
        assert asked(tmp_path, "POST", JOIN, body, origin=origin)[0] == 403
    assert asked(tmp_path, "GET", "/config", sec_fetch_site="cross-site", sec_fetch_mode="no-cors")[0] == 403
    assert asked(tmp_path, "GET", "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200
    for host in ("example.com:7860", "", "[", "127.0.0.1.example.com"):
        assert asked(tmp_path, "GET", "/", host=host)[0] == 403
    assert asked(tmp_path, "GET", "/", host="example.com:7860", name="example.com")[0] == 200
    assert (
        asked(tmp_path, "GET", "/", host="localhost:7860")[0] == asked(tmp_path, "GET", "/", host="[::1]:1")[0] == 200
    )


def test_any_address_of_the_machine_but_no_other_name_leads_to_all_interfaces(tmp_path):
    assert asked(tmp_path, "GET", "/", host="192.168.0.7:7860", name="0.0.0.0")[0] == 200
    assert asked(tmp_path, "GET", "/", host="example.com:7860", name="0.0.0.0")[0] == 403


def test_a_file_is_read_from_the_uploads_alone(tmp_path):
    assert asked(tmp_path, "GET", f"{API}/file={tmp_path}/a.png")[0] == 200
    assert asked(tmp_path / "uploads", "GET", f"{API}/file={tmp_path}/a.png")[0] == 404


def test_loopback_names():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("", "0.0.0.0", "::", "192.168.0.1", "localhost.example.com")))
