"""TPU topologies for ahead-of-time (AOT) compilation without the hardware, and the limits of each chip."""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from jax.experimental import topologies

from ecor_jax.errors import UserError, needs


class Chip(NamedTuple):
    """The memory and peak rates of a chip.

    memory: GiB that programs may use. flops: bfloat16 operations a second. hbm: bytes a second from its memory.
    ici: bytes a second that it sends over all its links to other chips: half of Google's bidirectional bandwidth.
    """

    memory: float
    flops: float
    hbm: float
    ici: float


# Google's specifications, https://docs.cloud.google.com/tpu/docs/v4 and so on for v5e, v5p, v6e, tpu7x. A link carries
# 50 GB/s each way in v4 and v5e and 100 GB/s in v5p and v6e, and v4 and v5p have six of them, v5e and v6e four.
# The memory is what libtpu lets a program use, from its out-of-memory messages: less than is advertised.
CHIPS: dict[str, Chip] = {
    "v4": Chip(30.75, 275e12, 1200e9, 300e9),
    "v5e": Chip(15.75, 197e12, 819e9, 200e9),
    "v5p": Chip(95.73, 459e12, 2765e9, 600e9),
    "v6e": Chip(31.24, 918e12, 1638e9, 400e9),
    "tpu7x": Chip(189.48, 2307e12, 7380e9, 600e9),
}


class Target(NamedTuple):
    """The chips to compile for. If a chip is two devices (tpu7x), each has half of its resources."""

    name: str
    chip: Chip
    chips: int
    devices: list[Any]

    @property
    def device(self) -> Chip:
        """The memory and peak rates of one device of the mesh."""
        share = self.chips / len(self.devices)
        return Chip(*(share * value for value in self.chip))


def target(topology: str, slices: int = 1) -> Target:
    """Returns the chips of a topology such as `v5e:4x4`, or of several slices. Raises UserError if it is invalid."""
    needs("libtpu", "aot")
    kind, _, shape = topology.partition(":")
    if kind not in CHIPS or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)+", shape):
        raise UserError(f"topology is {topology!r}; expected one of {', '.join(CHIPS)}, and a shape: v5e:4x4")
    # The two cores of a v4 chip form one device by default.
    more: dict[str, Any] = {"chip_config_name": "megacore"} if kind == "v4" else {}
    more |= {"num_slices": slices} if slices > 1 else {}
    with _quiet():
        try:
            devices = topologies.get_topology_desc(topology, platform="tpu", **more).devices
        except Exception as error:  # libtpu raises various errors for invalid shapes
            reason = str(error).split("\n")[0]
            raise UserError(f"--topology={topology} --slices={slices}: there are no such chips ({reason})") from error
    places = {(getattr(device, "slice_index", 0), tuple(device.coords)) for device in devices}
    return Target(topology, CHIPS[kind], len(places), list(devices))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses libtpu's messages on stderr, when it is first loaded, about the machine not being a TPU."""
    # AOT compilation does not acquire a TPU, so several processes may load libtpu.
    for name in ("TPU_SKIP_MDS_QUERY", "ALLOW_MULTIPLE_LIBTPU_LOAD"):
        os.environ.setdefault(name, "1")
    for name in ("TPU_MIN_LOG_LEVEL", "TPU_STDERR_LOG_LEVEL", "TF_CPP_MIN_LOG_LEVEL"):
        os.environ.setdefault(name, "3")
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
