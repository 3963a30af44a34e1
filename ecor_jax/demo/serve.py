"""Serves the page: binds the address first, then loads the model, and tells the address once it answers."""

import contextlib
import errno
import logging
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ecor_jax.demo.answers import MAX_BYTES
from ecor_jax.demo.examples import write_examples
from ecor_jax.demo.gate import Gate, is_loopback
from ecor_jax.demo.places import Places, places
from ecor_jax.demo.theme import theme
from ecor_jax.demo.words import vocabulary_of_model
from ecor_jax.errors import UserError, needs
from ecor_jax.tasks.explainer import Explainer

CONNECTIONS = 256
"""Maximum number of connections and requests at a time; others are answered with 503."""
STYLE = Path(__file__).parent / "style.css"


def demo(
    load: Callable[[], Explainer],
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    examples: Sequence[Path] = (),
) -> None:
    """Serves a page for the model that `load` returns until the process ends.

    port: 0 takes a free one. examples: pictures, folders or zips. Prints the page's address once it answers.
    Raises UserError if Gradio is missing, the address cannot be used, or there is no model or picture.
    """
    needs("gradio", "demo")
    with bound(host, port) as own, places() as kept:
        explainer = load()
        app = _app(explainer, examples, kept, host)
        if not is_loopback(own.getsockname()[0]):
            print(f"warning: whoever reaches {host} on the network can use this page", file=sys.stderr)
        _run(app, own)


@contextlib.contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Yields a socket bound to an address. Raises UserError if the address cannot be used."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"--host={host}: no such address ({error})") from error
    with socket.socket(family, kind, number) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind(address)
            own.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UserError(f"port {port} of {host} is in use; choose another with --port, 0 for any") from error
            raise UserError(f"--host={host} --port={port}: cannot be used ({error.strerror})") from error
        yield own


def _app(explainer: Explainer, examples: Sequence[Path], kept: Places, host: str) -> Any:
    import fastapi
    import gradio

    from ecor_jax.demo.layout import Page

    page = Page(explainer, kept, write_examples(examples, vocabulary_of_model(explainer), kept.examples))
    blocks: Any = page.blocks()
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=MAX_BYTES,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme(),
        css_paths=STYLE,
    )
    # Without these, which only `launch` sets, Gradio neither checks the paths of files nor sends SVGs as attachments.
    blocks.has_launched = blocks.is_running = True
    return Gate(app, kept.uploads, host=host)


def _run(app: Any, own: socket.socket) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """A server that leaves signals to `stopping`, and prints its address once it answers."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"open {_address(own)}", flush=True)

    logging.getLogger("httpx").setLevel(logging.WARNING)
    config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none", limit_concurrency=CONNECTIONS)
    Server(config).run(sockets=[own])


def _address(own: socket.socket) -> str:
    host, port = own.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"
