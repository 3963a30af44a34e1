"""Multi-process runs: joining the processes, broadcasts from the first one, barriers and consistency checks."""

import contextlib
import functools
import hashlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from tqdm import tqdm

from ecor_jax import stopping
from ecor_jax.errors import UserError
from ecor_jax.parallel import endings
from ecor_jax.parallel.endings import watchdog

HEARTBEAT_SECONDS = 60
"""Seconds without heartbeat (sent by background threads of JAX) from a process after which the others end."""

is_distributed = False
"""Whether this process has joined, or tries to join, a multi-process run."""


def join(coordinator: str, count: int, index: int, seconds: int) -> None:
    """Makes this process the `index`-th of `count`; the first one listens at `coordinator`, HOST:PORT.

    With an empty `coordinator` JAX asks the cluster: Cloud TPU, SLURM, Open MPI or Kubernetes. Call it before JAX is
    first used. Raises UserError if joining fails; if the processes have not met after `seconds`, this one ends with a
    message. From this call on, it also ends with a message wherever JAX would abort it, as JAX does when the first
    process is gone.
    """
    global is_distributed
    is_distributed = True
    logging.getLogger("jax._src.distributed").setLevel(logging.WARNING)
    endings.catch_aborts()
    if coordinator and index:
        _wait_for(coordinator, seconds)
    elif coordinator:
        _check_free(coordinator)
    where = {"coordinator_address": coordinator, "num_processes": count, "process_id": index} if coordinator else {}

    def named() -> str:
        if coordinator:
            return f"process {index} of {count} at {coordinator}"
        found = endings.coordinator()  # as JAX derived it from the cluster's settings
        return f"--distributed{f', at {found}' if found else ''}"

    def give_up() -> None:
        late = f"the processes of this run did not meet within {seconds} s; each has to be started, once"
        stopping.end(f"error: {named()}: {late}")

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        # JAX's own timeout is later, because it aborts the process with a C++ stack trace.
        jax.distributed.initialize(
            **where, initialization_timeout=seconds + 10, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(f"{named()}: the processes of this run did not meet ({reason})") from error
    finally:
        timer.cancel()
    endings.begin()
    if not is_first():
        # Only the first process shows progress bars.
        tqdm.__init__ = functools.partialmethod(tqdm.__init__, disable=True)  # pyright: ignore[reportAttributeAccessIssue]


def _check_free(coordinator: str) -> None:
    """Raises UserError if it cannot listen at the port: JAX would share another run's port and wait forever."""
    port, both = int(coordinator.rpartition(":")[2]), socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise UserError(f"--coordinator={coordinator}: this process cannot listen at that port ({reason})") from error


def _wait_for(coordinator: str, seconds: int) -> None:
    """Waits until the coordinator listens. JAX would wait, too, but abort with a C++ stack trace at the timeout."""
    host, _, port = coordinator.rpartition(":")
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise UserError(
                    f"--coordinator={coordinator}: nobody listened there for {seconds} s ({error}); "
                    "start the process of --process=0, and see that HOST is its name"
                ) from error
        time.sleep(0.2)


def is_first() -> bool:
    """Returns whether this is the process that writes results and makes decisions that depend on files."""
    return jax.process_index() == 0


def broadcast_from_first(make: Callable[[], Any]) -> Any:
    """Calls `make` in the first process; returns its JSON value, or raises its UserError, in all processes."""
    if jax.process_count() == 1:
        return make()
    told: dict[str, Any] = {}
    if is_first():
        try:
            told = {"value": make()}
        except UserError as error:
            told = {"error": str(error)}
    told = json.loads(_broadcast_bytes(json.dumps(told).encode()))
    if "error" in told:
        raise UserError(told["error"])
    return told["value"]


def barrier() -> None:
    """Waits for all processes (a barrier): afterwards all see the files that the first one has written."""
    broadcast_from_first(lambda: None)


def broadcast_array_from_first(make: Callable[[], np.ndarray | None]) -> np.ndarray | None:
    """Calls `make` in the first process and returns its array, or None, in all processes."""
    if jax.process_count() == 1:
        return make()
    array = make() if is_first() else None
    kind = None if array is None else [array.dtype.name, array.shape]
    kind = broadcast_from_first(lambda: kind)
    if kind is None:
        return None
    name, shape = kind
    with watchdog():
        return multihost_utils.broadcast_one_to_all(np.zeros(shape, name) if array is None else array)


@contextlib.contextmanager
def enter_on_first(context: contextlib.AbstractContextManager[Any]) -> Iterator[None]:
    """Enters `context` in the first process, before the others continue."""
    with contextlib.ExitStack() as stack:

        def enter() -> None:
            stack.enter_context(context)

        broadcast_from_first(enter)
        yield


def code_digest() -> str:
    """Returns a sha256 of the package's modules."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def assert_same(what: str, make: Callable[[], Any]) -> None:
    """Raises UserError, in all processes, unless `make` returns the same plain value in all of them."""
    if jax.process_count() == 1:
        return
    digest = np.frombuffer(hashlib.sha256(json.dumps(make(), sort_keys=True, default=str).encode()).digest(), np.uint8)
    with watchdog():
        digests = np.asarray(multihost_utils.process_allgather(digest)).reshape(jax.process_count(), -1)
    if others := np.flatnonzero((digests != digests[0]).any(axis=1)).tolist():
        named = ", ".join(map(str, others[:10]))
        raise UserError(f"{what} of process {named} is not that of process 0; all have to run the same")


def _broadcast_bytes(content: bytes) -> bytes:
    with watchdog():
        size = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
        padded = np.zeros(size, np.uint8)
        if is_first():
            padded[:] = np.frombuffer(content, np.uint8)
        return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()
