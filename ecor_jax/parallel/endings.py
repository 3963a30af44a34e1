"""Coordinated shutdown of a run's processes: none waits for a lost process, and all report the same reason."""

import atexit
import contextlib
import ctypes
import json
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jax._src import distributed  # the coordinator's key-value store has no public API

from ecor_jax import stopping

REASON, ACK = "ecor_jax/told/{}", "ecor_jax/heard/{}"
"""Keys in the coordinator's store: the reason for which a process shall end, and its acknowledgement."""
TELLING_SECONDS = 5

_ends = threading.Event()
"""Set when this process has a reason to end."""


def begin() -> None:
    """Starts the listener for ends of other processes, and the watchdog; call it after jax.distributed.initialize."""
    threading.Thread(target=_watch.run, daemon=True).start()
    client: Any = distributed.global_state.client
    own = distributed.global_state.process_id
    listener = threading.Thread(target=_listen, args=(client, own), daemon=True)
    listener.start()
    stopping.before_end = lambda number: broadcast_end({"signal": number})

    def stop_listening() -> None:
        # A thread that still waits in C++ when Python exits is aborted.
        with contextlib.suppress(RuntimeError):
            client.key_value_set(REASON.format(own), "{}")
        listener.join(TELLING_SECONDS)

    atexit.register(stop_listening)


def broadcast_end(told: Mapping[str, Any]) -> None:
    """Makes the other processes end for the reason of this one: {"signal": number} or {"error": message}.

    Returns when they have acknowledged it, or after TELLING_SECONDS.
    """
    _ends.set()
    client, own = distributed.global_state.client, distributed.global_state.process_id
    if client is None:  # not connected yet
        return
    others = [index for index in range(distributed.global_state.num_processes) if index != own]

    def tell() -> None:
        # A failure for one process (it has a reason already, or is gone) must not stop the loop.
        for index in others:
            with contextlib.suppress(RuntimeError):
                client.key_value_set(REASON.format(index), json.dumps(told))
        for index in others:
            with contextlib.suppress(RuntimeError):
                client.blocking_key_value_get(ACK.format(index), 1000 * TELLING_SECONDS)

    # In a thread, because the process that serves the keys may be stuck.
    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    thread.join(TELLING_SECONDS)


def coordinator() -> str:
    """Returns the HOST:PORT of the coordinator, or '' if JAX does not know it yet."""
    return distributed.global_state.coordinator_address or ""


def _listen(client: Any, own: int) -> None:
    try:
        told = json.loads(client.blocking_key_value_get(REASON.format(own), 10**10))
        if told:
            _ends.set()  # before the acknowledgement, after which the other process is gone
        client.key_value_set(ACK.format(own), "")
    except RuntimeError:
        return  # The coordinator is gone, which JAX reports.
    if "signal" in told:
        stopping.request_stop(told["signal"])
    elif "error" in told:
        stopping.end(told["error"])


def await_reason() -> None:
    """Waits for the listener to act on the reason to end that another process has given, if it has arrived.

    A collective operation may report that the other process is gone before that. The listener ends this process, or
    requests a stop.
    """
    limit = time.monotonic() + 6 * TELLING_SECONDS
    while _ends.is_set() and not stopping.requested() and time.monotonic() < limit:
        time.sleep(0.01)


def catch_aborts() -> None:
    """Makes the process end with a one-line message where JAX aborts it, as it does when the coordinator is gone.

    Filters what C++ writes to stderr, because it reports a lost coordinator with a stack trace.

    JAX aborts from a C++ thread that does not hold the GIL, wherever the main thread is. A handler of signal.signal
    would run too late: it runs once the main thread is back in Python, and abort() does not wait for it.
    """
    stopping.stderr = os.dup(2)
    sys.stderr = open(stopping.stderr, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    read, write = os.pipe()
    os.dup2(write, 2)
    os.close(write)
    threading.Thread(target=_filter_stderr, args=(read,), daemon=True).start()
    ctypes.CDLL(None).signal(signal.SIGABRT, _ABORTED)


COORDINATOR_GONE = re.compile(
    rb"[EF]\d{4} .*(Polled an error from coordination service|JAX distributed service detected)"
)
MARK = b"what was written before this has been looked through\n"
_marked, _gone = threading.Event(), threading.Event()


def _filter_stderr(read: int) -> None:
    """Copies lines from the pipe `read` to stderr until one reports that the coordinator is gone."""
    with open(read, "rb") as lines:
        for line in lines:
            if line.endswith(MARK):
                _marked.set()
                line = line.removesuffix(MARK)
            if COORDINATOR_GONE.match(line):
                _gone.set()
            if not _gone.is_set():
                with contextlib.suppress(OSError):
                    os.write(stopping.stderr, line)


def _aborted(number: int) -> None:
    if stopping.requested() or _ends.is_set():
        time.sleep(30)  # This process is already ending with its own message.
    os.write(2, MARK)
    _marked.wait(5)
    reason = "another process of this run is gone" if _gone.is_set() else "JAX failed as told above"
    stopping.end(f"error: {reason}; the same command goes on from what is saved")


_ABORTED = ctypes.CFUNCTYPE(None, ctypes.c_int)(_aborted)


class _Watch:
    """A watchdog that ends this process at the time `until`; each call of `beat` postpones that time.

    `endings.begin` runs the watchdog in a thread.
    """

    timeout, until = 600.0, math.inf

    def run(self) -> None:
        while True:
            time.sleep(min(self.timeout / 10, 1))
            if time.monotonic() > self.until:
                stopping.end(
                    f"error: nothing for {self.timeout:g} s (parallel.peer_timeout; at first for ten times as long): "
                    "another process of this run is stuck or gone; the same command goes on from what is saved"
                )

    def beat(self) -> None:
        self.until = time.monotonic() + self.timeout


_watch = _Watch()


def set_timeout(seconds: float) -> None:
    """Sets the seconds for which `watched` blocks wait for other processes; the default is 600."""
    _watch.timeout = seconds


@contextlib.contextmanager
def watchdog() -> Iterator[Callable[[], None]]:
    """Yields a function `beat`; ends this process with a message if `beat` is not called within the timeout.

    The first call may take ten times the timeout, because the first step may compile, or wait for work that only one
    process does. Use the block around work that waits for other processes in each step: nothing else detects that one
    of them is stuck. A run of a single process is not watched.
    """
    before, _watch.until = _watch.until, time.monotonic() + 10 * _watch.timeout
    try:
        yield _watch.beat
    finally:
        # An enclosing `watched` block stays watched.
        _watch.until = max(before, time.monotonic() + _watch.timeout)
