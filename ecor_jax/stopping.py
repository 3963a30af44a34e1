"""Graceful shutdown on Ctrl-C and SIGTERM: work in progress is saved before the process ends.

A signal never becomes an exception, which could be raised anywhere: during a write, or in a garbage collection, where
it is lost. Both signals are blocked in all threads but one, which waits for them, so they are received even while the
main thread compiles. Within `deferred` that thread sets a flag, which the work polls between its steps. Outside of
`deferred` it ends the process at once, without unwinding, because the threads of JAX and TensorStore do not survive
unwinding. Nothing is lost, because files are written atomically (`atomic`).

This module imports nothing slow, because the commands call `install` first.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit status after each signal, by the convention of shells."""
STOPPED = "stopped; the same command goes on from what is saved"

stderr = 2
"""File descriptor that messages go to; not 2 while C++'s stderr is filtered (`parallel.endings.catch_aborts`)."""

_awaited: set[signal.Signals] = set()
before_end: Callable[[signal.Signals], Any] | None = None
"""Called before a signal ends this process; `parallel.endings` sets it to notify the run's other processes."""

_received: signal.Signals | None = None
_since = 0.0
_deferrals = 0
_installed = False


class Stopped(Exception):
    """Raised after a signal, once the work is saved; the message says what was saved."""


def install() -> None:
    """Installs this module's signal handling; child processes inherit the blocked signals.

    In a worker process of a data pipeline, only starts a thread that ends the worker when its parent process has ended.
    """
    global _installed
    if _installed:
        return
    _installed = True
    if (parent := starter()) is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
        return
    # A shell starts background jobs with Ctrl-C ignored; keep that.
    _awaited.update(number for number in STATUSES if signal.getsignal(number) != signal.SIG_IGN)
    for number in _awaited:
        # The thread below receives them, unless a library has unblocked them.
        signal.signal(number, lambda number, frame: _hear(signal.Signals(number)))
    block()
    threading.Thread(target=_wait, daemon=True).start()


def block() -> None:
    """Blocks the signals again in this thread, and in those that it starts, after a library has unblocked them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _awaited)


def starter() -> Any:
    """Returns the `multiprocessing` parent process if this process is a worker, otherwise None."""
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing and multiprocessing.parent_process()


def requested() -> bool:
    """Returns whether a signal was received; the caller then saves its work and raises Stopped."""
    return _received is not None


def request_stop(number: int = signal.SIGTERM) -> None:
    """Acts as if the signal had been received, because another process of the run received it."""
    global _received
    _received = _received or signal.Signals(number)
    if not _deferrals:
        end(STOPPED)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Defers signals: the block polls `requested` between its steps. Raises Stopped at its end after a signal.

    Another signal more than one second after the first ends the process at once.
    """
    global _deferrals
    _deferrals += 1
    try:
        yield
    finally:
        _deferrals -= 1
    if requested() and not _deferrals:
        if before_end is not None and _received is not None:
            before_end(_received)
        raise Stopped(STOPPED)


def end(message: str) -> NoReturn:
    """Prints `message` and ends the process and its workers without unwinding; status 1 if there was no signal."""
    with contextlib.suppress(Exception):  # the list of children may change meanwhile
        for worker in sys.modules["multiprocessing"].active_children():
            worker.kill()
    with contextlib.suppress(OSError):
        # Keeps other threads from writing after the message.
        own = os.dup(stderr)
        for number in {2, stderr}:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        os.write(own, f"\n{message}\n".encode(errors="backslashreplace"))
    os._exit(1 if _received is None else STATUSES[_received])


def _wait() -> None:
    while True:
        _hear(signal.Signals(signal.sigwait(_awaited)))


def _hear(number: signal.Signals) -> None:
    global _received, _since
    # A launcher may forward a signal that the terminal also sends to this process: a repetition within 1 s is no
    # second signal.
    again = requested() and time.monotonic() - _since > 1
    if not requested():
        _received, _since = number, time.monotonic()
    if not _deferrals or again:
        if before_end is not None:
            before_end(number)
        end(STOPPED)
    with contextlib.suppress(OSError):
        os.write(stderr, b"\nstopping: what is at work is saved first; once more ends at once\n")
