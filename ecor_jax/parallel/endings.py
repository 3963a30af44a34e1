"""How the processes of one run end together: none waits for another that is gone, and all tell the same reason."""

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

from jax._src import distributed  # the store of keys at the coordinator has no public name

from ecor_jax import stopping

TOLD, HEARD = "ecor_jax/told/{}", "ecor_jax/heard/{}"
"""Keys at the coordinator: why a process is to end, and that it has read it."""
TELLING_SECONDS = 5

_ends = threading.Event()
"""Whether this process knows why it ends."""


def begin() -> None:
    """From here on this process hears of the end of others, and others of its own; once all have met."""
    threading.Thread(target=_watch.run, daemon=True).start()
    client: Any = distributed.global_state.client
    own = distributed.global_state.process_id
    listener = threading.Thread(target=_listen, args=(client, own), daemon=True)
    listener.start()
    stopping.before_end = lambda number: tell_others({"signal": number})

    def stop_listening() -> None:
        # A thread that waits in C++ when Python ends is aborted.
        with contextlib.suppress(RuntimeError):
            client.key_value_set(TOLD.format(own), "{}")
        listener.join(TELLING_SECONDS)

    atexit.register(stop_listening)


def tell_others(told: Mapping[str, Any]) -> None:
    """Has the other processes end as this one is about to: {"signal": its number} or {"error": a line}.

    Returns when they have heard of it, or after TELLING_SECONDS.
    """
    _ends.set()
    client, own = distributed.global_state.client, distributed.global_state.process_id
    if client is None:  # they have not met
        return
    others = [index for index in range(distributed.global_state.num_processes) if index != own]

    def tell() -> None:
        # One that was told before, or is gone, is no reason not to tell the next one.
        for index in others:
            with contextlib.suppress(RuntimeError):
                client.key_value_set(TOLD.format(index), json.dumps(told))
        for index in others:
            with contextlib.suppress(RuntimeError):
                client.blocking_key_value_get(HEARD.format(index), 1000 * TELLING_SECONDS)

    # The process that keeps the keys may be stuck.
    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    thread.join(TELLING_SECONDS)


def coordinator() -> str:
    """HOST:PORT where the processes of this run meet, as far as JAX knows; '' before."""
    return distributed.global_state.coordinator_address or ""


def _listen(client: Any, own: int) -> None:
    try:
        told = json.loads(client.blocking_key_value_get(TOLD.format(own), 10**10))
        client.key_value_set(HEARD.format(own), "")
    except RuntimeError:
        return  # The coordinator is gone, of which JAX tells.
    if told:
        _ends.set()
    if "signal" in told:
        stopping.heed(told["signal"])
    elif "error" in told:
        stopping.end(told["error"])


def catch_aborts() -> None:
    """From here on the process ends with a line where JAX aborts it, as it does when the coordinator is gone.

    What C++ writes to stderr is looked through: of a coordinator that is gone it tells by a stack.

    JAX aborts from a thread of C++ that holds no lock of Python, wherever the main thread is. A handler of
    signal.signal would come too late: it runs in the main thread, when that is back in Python, and abort() waits for
    nobody.
    """
    stopping.stderr = os.dup(2)
    sys.stderr = open(stopping.stderr, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    read, write = os.pipe()
    os.dup2(write, 2)
    os.close(write)
    threading.Thread(target=_look_through, args=(read,), daemon=True).start()
    ctypes.CDLL(None).signal(signal.SIGABRT, _ABORTED)


COORDINATOR_GONE = re.compile(
    rb"[EF]\d{4} .*(Polled an error from coordination service|JAX distributed service detected)"
)
MARK = b"what was written before this has been looked through\n"
_marked, _gone = threading.Event(), threading.Event()


def _look_through(read: int) -> None:
    """Passes on what comes, line by line, until it tells that the coordinator is gone."""
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
        time.sleep(30)  # This one is about to end by itself, with its own line.
    os.write(2, MARK)
    _marked.wait(5)
    reason = "another process of this run is gone" if _gone.is_set() else "JAX failed as told above"
    stopping.end(f"error: {reason}; the same command goes on from what is saved")


_ABORTED = ctypes.CFUNCTYPE(None, ctypes.c_int)(_aborted)


class _Watch:
    """The clock of this process: when it ends, unless it hears of the others before. Its thread begins in `begin`."""

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
    """From here on whatever is `watched` waits so long for other processes; until then, 600 s."""
    _watch.timeout = seconds


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], None]]:
    """Ends this process with a line if what it gives is not called for so long; at first, for ten times as long.

    For work that waits for other processes in each of its steps: one of them may be stuck, which nothing else tells.
    The first step may compile, or wait for what only one process does. One process alone is not watched.
    """
    before, _watch.until = _watch.until, time.monotonic() + 10 * _watch.timeout
    try:
        yield _watch.beat
    finally:
        # What is watched around it goes on.
        _watch.until = max(before, time.monotonic() + _watch.timeout)
