"""Optax optimizers and learning rate schedules from the options of a run."""

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


def make_optimizer(options: Optimizer, steps: int) -> optax.GradientTransformation:
    """Returns 'sgd' (with `momentum`) or 'adamw' (with `b2`), after clipping to `clip_norm` (0: none).

    `weight_decay` excludes vectors and scalars (biases, norms, temperature), as is usual for CLIP.
    """
    schedule = make_schedule(options, steps)

    def matrices(params):
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    if options.name == "sgd":
        chain = [
            optax.add_decayed_weights(options.weight_decay, matrices),
            optax.sgd(schedule, momentum=options.momentum),
        ]
    else:
        chain = [optax.adamw(schedule, b2=options.b2, weight_decay=options.weight_decay, mask=matrices)]
    clip = [optax.clip_by_global_norm(options.clip_norm)] if options.clip_norm else []
    return optax.chain(*clip, *chain)
