"""Orbax checkpoints of a run in progress. They omit the data position, which follows from the step."""

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from ecor_jax import stopping
from ecor_jax.errors import UserError

State = TypeVar("State")
_DISK_ERRORS = (OSError, ValueError)
"""Exceptions of Orbax and TensorStore for files that cannot be written or read."""
_OTHERS = ("is not compatible with the stored shape", "tree structures do not match")
"""Parts of Orbax's messages about an intact checkpoint of different arrays."""


class Store:
    """The newest `keep` checkpoints below `directory`; `restore` never sees an incomplete one.

    All processes write a checkpoint together. Stores in use at the same time need directories of different names.
    """

    def __init__(self, directory: Path, keep: int = 2):
        self.directory = directory
        options = ocp.CheckpointManagerOptions(
            save_decision_policy=checkpoint_managers.FixedIntervalPolicy(1),
            preservation_policy=checkpoint_managers.LatestN(keep),
            # Two stores may wait for other processes at the same time, so each has its own barriers.
            multiprocessing_options=ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=directory.name),
        )
        self._manager = self._written(lambda: ocp.CheckpointManager(directory.absolute(), options=options))

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if jax.process_count() > 1 and kind not in (None, UserError, stopping.Stopped):
            return  # A save in progress would wait for another process, which may be gone.
        try:
            if kind is None:
                self.wait()
        finally:
            # close() raises errors again that were raised before.
            with contextlib.suppress(*_DISK_ERRORS):
                self._manager.close()

    @property
    def newest(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any) -> None:
        """Saves in the background, after the previous save has finished; does nothing if the step is saved already."""
        if step == self.newest:
            return
        args = ocp.args.Composite(state=ocp.args.StandardSave(state))
        self._written(lambda: self._manager.save(step, args=args))

    def wait(self) -> None:
        """Waits until all saves are on disk."""
        self._written(self._manager.wait_until_finished)

    def restore(self, state: State) -> State:
        """Returns the newest checkpoint with the structure and shardings of `state`. Raises UserError if it fails."""
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        try:
            return self._manager.restore(self.newest, args=args)["state"]
        except (ValueError, KeyError, OSError) as error:
            if any(told in str(error) for told in _OTHERS):
                raise UserError(
                    f"{self.directory / str(self.newest)}: this checkpoint is of another model or optimizer than the "
                    f"config makes ({_reason(error).split('. ')[0].rstrip(':')}); choose another workdir, or what it "
                    "was made with"
                ) from error
            raise UserError(
                f"{self.directory / str(self.newest)}: this checkpoint cannot be restored ({_reason(error)}); "
                "remove its folder to continue from an older one"
            ) from error

    def _written(self, write: Callable[[], Any]) -> Any:
        try:
            return write()
        except _DISK_ERRORS as error:
            safe = self.newest if hasattr(self, "_manager") else None
            kept = "there is none yet" if safe is None else f"the newest whole one is of step {safe}"
            raise UserError(f"{self.directory}: cannot write a checkpoint ({_reason(error)}); {kept}") from error


def _reason(error: Exception) -> str:
    # Messages of TensorStore and jax.tree have many lines.
    text = str(error)
    full = os.strerror(errno.ENOSPC)
    return full if full in text else text.split("\n")[0]
