"""The whole package runs with its shapes checked, and with neither dtypes nor ranks promoted."""

import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from ecor_jax.bottleneck.head import group_softmax
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.losses import candidate_loss


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (normalise_pixels, (jnp.zeros((2, 4, 4, 3)), (0.0,) * 3, (1.0,) * 3)),  # floats
        (candidate_loss, (jnp.zeros((2, 3)), jnp.zeros(3, jnp.int32))),  # another batch
        (group_softmax, (jnp.zeros((2, 3)), jnp.zeros(4, jnp.int32), 2)),  # other columns
    ],
)
def test_a_wrong_shape_is_rejected(function, arguments):
    with pytest.raises(TypeCheckError):
        function(*arguments)


def test_no_promotion():
    with pytest.raises(ValueError, match="promotion"):
        jnp.zeros(3, jnp.float32) + jnp.zeros(3, jnp.bfloat16)
    with pytest.raises(ValueError, match="rank_promotion"):
        jnp.zeros((2, 3)) + jnp.zeros(3)
