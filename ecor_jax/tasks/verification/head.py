"""The head that a verification run begins with."""

import numpy as np
from flax import nnx

from ecor_jax.bottleneck import Bottleneck, adapter_of
from ecor_jax.data.descriptors import FACES, Descriptors
from ecor_jax.tasks.verification.options import VerificationOptions


def descriptors_of(options: VerificationOptions) -> Descriptors:
    """Those that the options name."""
    name = options.bottleneck.descriptors
    return Descriptors.from_file(FACES if name == "faces" else name)


def untrained_head(
    options: VerificationOptions, descriptors: Descriptors, bank: np.ndarray, scale: float
) -> Bottleneck:
    """An untrained head over a bank of descriptors [N, embed]; `scale` where the config leaves it to the CLIP."""
    head, rngs = options.bottleneck, nnx.Rngs(options.seed)
    return Bottleneck(
        bank,
        descriptors.group_of,
        scale=head.scale or scale,
        size=head.size or len(bank),
        start=head.start,
        use_bias=head.use_bias,
        adapter=adapter_of(head.adapter, bank.shape[1], rngs),
        rngs=rngs,
    )
