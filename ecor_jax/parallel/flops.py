"""FLOP counts of the matrix products of a jaxpr, and the measured peak rate of the devices."""

import functools
import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core


def matrix_flops(jaxpr: Any) -> int:
    """Counts the floating-point operations of all matrix products of a jaxpr, on all devices together.

    A product of [b, m, k] and [b, k, n] takes 2 b m k n operations (Golub and Van Loan, Matrix Computations, 1.1.11).
    A scan counts as its body times its length, and a condition as its most expensive branch. A while loop counts as one
    iteration, its minimum. Operations that remat runs again are counted again. Other operations are not counted,
    because matrix units do not run them.

    XLA's own count, `cost_analysis`, counts a loop's body once.
    """
    total = 0
    for equation in jaxpr.eqns:
        inner = [matrix_flops(part) for value in equation.params.values() for part in _jaxprs(value)]
        name, params = equation.primitive.name, equation.params
        if name == "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            left = equation.invars[0].aval
            total += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(left.shape[axis] for axis in contracted)
        elif name == "scan":
            total += params["length"] * sum(inner)
        elif name == "cond":
            total += max(inner)
        elif name == "shard_map":  # the body is the work of one device
            total += params["mesh"].size * sum(inner)
        else:
            total += sum(inner)
    return total


@functools.cache
def measured_peak(dtype: str) -> float:
    """Returns the peak rate of matrix products of all devices, in operations a second, measured on the local ones."""
    operations, product, matrices = matrix_product(dtype)
    devices = jax.local_devices()
    placed = [jax.device_put(matrices, device) for device in devices]

    def run() -> float:
        began = time.perf_counter()
        jax.block_until_ready([product(matrix) for matrix in placed])
        return time.perf_counter() - began

    run()
    return operations * len(devices) * jax.process_count() / min(run() for _ in range(3))


def matrix_product(dtype: str) -> tuple[int, Any, jax.Array]:
    """Returns the operations of squaring a matrix, the jitted function, and the matrix.

    The matrix is large enough to keep a device busy, so no part of a network runs at a higher rate.
    """
    size = 1024 if jax.default_backend() == "cpu" else 8192
    matrix = np.random.default_rng(0).standard_normal((size, size), np.float32)
    return 2 * size**3, jax.jit(lambda x: x @ x), jnp.asarray(matrix, dtype)


def _jaxprs(value: Any) -> list[Any]:
    if isinstance(value, core.ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    return [part for entry in value for part in _jaxprs(entry)] if isinstance(value, tuple | list) else []
