"""Softmax regression over concept scores with an elastic net: the sparse final layer of VLG-CBM.

Source: Srivastava, Yan and Weng, "VLG-CBM: Training Concept Bottleneck Models with Vision-Language Guidance" (2024),
section 3.3 (the layer) and section 5 (accuracy at a number of effective concepts, NEC).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

L1_SHARE = 0.99
"""Share of the L1 penalty in the elastic net; the rest is a squared L2 penalty."""
PATH, LAST = 50, 1 / 500
"""Number of penalties of a path, and the last one as a share of the first, with which all weights are zero."""
EFFECTIVE = (5, 10, 15, 20, 25, 30)
"""The numbers of effective concepts of ANEC-avg."""
TOLERANCE, ITERATIONS = 0.02, 2000
"""A fit ends when the gradient mapping is nowhere above this share of the penalty, or after so many iterations."""


class Layer(NamedTuple):
    """A linear layer on standardised scores: logits = (scores - mean) / deviation @ weight + bias."""

    mean: Float[np.ndarray, "concepts"]
    deviation: Float[np.ndarray, "concepts"]
    weight: Float[np.ndarray, "concepts classes"]
    bias: Float[np.ndarray, "classes"]

    def __call__(self, scores: Float[np.ndarray, "N concepts"]) -> Float[np.ndarray, "N classes"]:
        """Computes the logits of scores."""
        return (scores - self.mean) / self.deviation @ self.weight + self.bias

    @property
    def effective(self) -> float:
        """The number of weights that are not zero, per class (NEC)."""
        return np.count_nonzero(self.weight) / self.weight.shape[1]

    def pruned(self, effective: int) -> "Layer":
        """Returns the layer with the `effective` x classes largest weights alone; the largest of all, not of each."""
        left = np.zeros(self.weight.size, self.weight.dtype)
        largest = np.argsort(-np.abs(self.weight.ravel()), kind="stable")[: effective * self.weight.shape[1]]
        left[largest] = self.weight.ravel()[largest]
        return self._replace(weight=left.reshape(self.weight.shape))


def path(scores: Float[np.ndarray, "N concepts"], labels: Int[np.ndarray, "N"], classes: int) -> Iterator[Layer]:
    """Fits layers with falling penalties, from one that leaves only zeros to `LAST` times it, each from the one before.

    The loss is the mean cross-entropy plus penalty x (L1_SHARE |W|_1 + (1 - L1_SHARE) / 2 |W|_2^2). Scores that are
    equal in all examples have a deviation of 1.
    """
    mean, deviation = scores.mean(axis=0, dtype=np.float64), scores.std(axis=0, dtype=np.float64)
    # Rounding makes the deviation of equal scores a little more than 0.
    deviation = np.where(deviation > 1e-6 * np.abs(mean), deviation, 1)
    inputs = jnp.asarray((scores - mean) / deviation, jnp.float32)
    target = jax.nn.one_hot(labels, classes)
    prior = target.mean(axis=0)
    # With weights of zero, the best bias is the logarithm of the frequencies; absent classes have almost none.
    bias = jnp.log(jnp.maximum(prior, 1e-6))
    weight = jnp.zeros((inputs.shape[1], classes))
    # With the penalty of the largest gradient itself, rounding decides whether a weight is zero.
    highest = 1.0001 * float(jnp.abs(inputs.T @ (target - prior[None])).max()) / len(inputs) / L1_SHARE
    # The largest eigenvalue of the Hessian of the cross-entropy is at most half of that of the inputs' covariance.
    curvature = 0.5 * (1 + float(jnp.linalg.norm(inputs, ord=2)) ** 2 / len(inputs))
    for penalty in np.geomspace(highest, highest * LAST, PATH) if highest > 0 else [0.0]:
        weight, bias = _fit(inputs, target, (weight, bias), float(penalty), curvature)
        yield Layer(mean.astype(np.float32), deviation.astype(np.float32), np.asarray(weight), np.asarray(bias))


@jax.jit
def _fit(
    inputs: Float[Array, "N concepts"],
    target: Float[Array, "N classes"],
    start: tuple[Float[Array, "concepts classes"], Float[Array, "classes"]],
    penalty: float,
    curvature: float,
) -> tuple[Float[Array, "concepts classes"], Float[Array, "classes"]]:
    """Minimises by FISTA (Beck and Teboulle 2009) with restarts of the momentum (O'Donoghue and Candes 2015)."""
    size = 1 / (curvature + penalty * (1 - L1_SHARE))

    def more(state):
        step, residual = state[:2]
        return (step < ITERATIONS) & (residual > TOLERANCE * penalty)

    def look(state):
        step, _, (weight, bias), (ahead, ahead_bias), momentum = state
        off = (jax.nn.softmax(inputs @ ahead + ahead_bias[None]) - target) / len(inputs)
        moved = ahead - size * (inputs.T @ off + penalty * (1 - L1_SHARE) * ahead)
        new = jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - size * penalty * L1_SHARE, 0.0)
        new_bias = ahead_bias - size * off.sum(axis=0)
        residual = jnp.maximum(jnp.abs(ahead - new).max(), jnp.abs(ahead_bias - new_bias).max()) / size
        back = jnp.vdot(ahead - new, new - weight) + jnp.vdot(ahead_bias - new_bias, new_bias - bias) > 0
        momentum = jnp.where(back, 1.0, momentum)
        following = (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2
        push = (momentum - 1) / following
        ahead = new + push * (new - weight), new_bias + push * (new_bias - bias)
        return step + 1, residual, (new, new_bias), ahead, following

    found = jax.lax.while_loop(more, look, (jnp.int32(0), jnp.float32(jnp.inf), start, start, jnp.float32(1)))
    return found[2]


def layers_by_effective(
    scores: Float[np.ndarray, "N concepts"],
    labels: Int[np.ndarray, "N"],
    classes: int,
    counts: Sequence[int] = EFFECTIVE,
) -> Mapping[int, Layer]:
    """Returns layers with at most the given numbers of effective concepts.

    For each, it is the first layer of the path with more, pruned; the last one if no layer has as many.
    """
    found: dict[int, Layer] = {}
    for layer in path(scores, labels, classes):
        found |= {count: layer.pruned(count) for count in counts if count not in found and layer.effective >= count}
        if len(found) == len(counts):
            break
    return {count: found.get(count, layer) for count in counts}
