"""Optax optimizers and learning rate schedules from the options of a run."""

from typing import Any

import jax
import optax

from ecor_jax.training.options import Optimizer


def make_schedule(options: Optimizer, steps: int) -> optax.Schedule:
    """Returns linear warm-up over `warmup_steps` to `learning_rate`, then cosine or linear decay to 0, or constant."""
    peak, warmup = options.learning_rate, min(options.warmup_steps, max(steps - 1, 0))
    rest = steps - warmup
    schedules = {
        "cosine": lambda: optax.cosine_decay_schedule(peak, rest),
        "linear": lambda: optax.linear_schedule(peak, 0.0, rest),
        "constant": lambda: optax.constant_schedule(peak),
    }
    # Starts above zero, so that the first update has an effect.
    rise = optax.linear_schedule(peak / (warmup + 1), peak, warmup)
    return optax.join_schedules([rise, schedules[options.schedule]()], [warmup])


MUON_RMS = 0.2
"""Root mean square of Muon's updates, in units of the learning rate: that of AdamW's (arXiv 2502.16982, eq. 4)."""


def make_optimizer(options: Optimizer, steps: int) -> optax.GradientTransformation:
    """Returns 'sgd' (with `momentum`), 'adamw' (with `b2`) or 'muon', after clipping to `clip_norm` (0: none).

    `weight_decay` excludes vectors and scalars (biases, norms, temperature), as is usual for CLIP; with 'muon' it
    excludes all that is left to AdamW.
    """
    schedule = make_schedule(options, steps)

    def matrices(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, leaf: not _is_vector(path, leaf), params)

    if options.name == "sgd":
        chain = [
            optax.add_decayed_weights(options.weight_decay, matrices),
            optax.sgd(schedule, momentum=options.momentum),
        ]
    elif options.name == "muon":
        chain = [
            optax.contrib.muon(
                schedule,
                consistent_rms=MUON_RMS,
                weight_decay=options.weight_decay,
                adam_b2=options.b2,
                muon_weight_dimension_numbers=_orthogonalised,
            )
        ]
    else:
        chain = [optax.adamw(schedule, b2=options.b2, weight_decay=options.weight_decay, mask=matrices)]
    clip = [optax.clip_by_global_norm(options.clip_norm)] if options.clip_norm else []
    return optax.chain(*clip, *chain)


def _is_vector(path: Any, leaf: jax.Array) -> bool:
    """Returns whether a parameter is a vector or a scalar, or a stack of those of several blocks."""
    return leaf.ndim < 2 or _name(path) in ("bias", "scale")


def _orthogonalised(params: Any) -> Any:
    """Returns the axes of the matrices that Muon updates, the kernels; each block of a stack has its own."""

    def axes(path: Any, leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        by_muon = _name(path) == "kernel" and leaf.ndim > 1 and "projection" not in jax.tree_util.keystr(path)
        return optax.contrib.MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1) if by_muon else None

    return jax.tree_util.tree_map_with_path(axes, params)


def _name(path: Any) -> str:
    """Returns the name of a parameter, without those of the modules it is in."""
    return str(next(key.key for key in reversed(path) if hasattr(key, "key")))
