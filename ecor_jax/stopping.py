"""Ctrl-C and SIGTERM: what is at work is saved first.

A signal never becomes an exception, which could land anywhere: in the middle of a write, or in a garbage collection,
where it is lost. All threads have both signals blocked, but for one that waits for them, so they are heard even while
the main thread compiles. While something worth saving is at work (`deferred`) that thread sets a flag, at which the
work looks between its steps; at any other moment it ends the process at once, without the unwinding that the threads
of JAX and TensorStore do not survive. Files appear whole or not at all (`atomic`), so nothing is lost by that.

This module imports nothing that takes time: the commands call `install` before everything else.
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
"""How a process ends after each signal, as shells have it."""
STOPPED = "stopped; the same command goes on from what is saved"

stderr = 2
"""Where this module writes: another file descriptor where what C++ writes to stderr is looked through first."""

_awaited: set[signal.Signals] = set()
before_end: Callable[[signal.Signals], Any] | None = None
"""Called before a signal ends this process: other processes of its run are told of it (`parallel.processes`)."""

_received: signal.Signals | None = None
_since = 0.0
_deferrals = 0
_installed = False


class Stopped(Exception):
    """A signal came, and all is saved; the message says what."""


def install() -> None:
    """From here on this process stops as described above; what it starts inherits that both signals are blocked.

    Worker processes of a data pipeline end when the process that started them does.
    """
    global _installed
    if _installed:
        return
    _installed = True
    if (parent := starter()) is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
        return
    # A shell's background jobs ignore Ctrl-C, and shall.
    _awaited.update(number for number in STATUSES if signal.getsignal(number) != signal.SIG_IGN)
    for number in _awaited:
        # Heard by the thread below, but where a library has let them through again.
        signal.signal(number, lambda number, frame: _hear(signal.Signals(number)))
    block()
    threading.Thread(target=_wait, daemon=True).start()


def block() -> None:
    """Has this thread, and what it starts, blocked again after a library has let the signals through."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _awaited)


def starter() -> Any:
    """The process that started this one as its worker, a `multiprocessing.Process`; None if there is none."""
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing and multiprocessing.parent_process()


def requested() -> bool:
    """Whether a signal has come: save, then raise Stopped."""
    return _received is not None


def heed(number: int = signal.SIGTERM) -> None:
    """As if the signal had come: another process of the run was told to stop, and all of them do."""
    global _received
    _received = _received or signal.Signals(number)
    if not _deferrals:
        end(STOPPED)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Work within looks at `requested` between its steps. Raises Stopped at the end if it came too late for that.

    Once more, a second later or after that, ends the process at once.
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
    """Says `message` and ends the process and its workers, without unwinding, with the status of the signal."""
    with contextlib.suppress(Exception):  # a list of theirs may be changing
        for worker in sys.modules["multiprocessing"].active_children():
            worker.kill()
    with contextlib.suppress(OSError):
        # Nothing that other threads write may come after it.
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
    # Who forwards a signal that the terminal sends to all alike sends it twice, and means it once.
    again = requested() and time.monotonic() - _since > 1
    if not requested():
        _received, _since = number, time.monotonic()
    if not _deferrals or again:
        if before_end is not None:
            before_end(number)
        end(STOPPED)
    with contextlib.suppress(OSError):
        os.write(stderr, b"\nstopping: what is at work is saved first; once more ends at once\n")
