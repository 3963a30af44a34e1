"""Optax optimizers and schedules from a config."""

import jax
import optax

from ecor_jax.config import Config
from ecor_jax.errors import UserError
from ecor_jax.options import check_numbers


def make_schedule(config: Config, steps: int) -> optax.Schedule:
    """Linear warm-up over `warmup_steps` to `learning_rate`, then 'cosine' to zero, 'linear' to zero or 'constant'.

    UserError for an option that makes no sense, as for `make_optimizer`.
    """
    check_numbers(config, "optimizer.")
    peak, warmup = config.learning_rate, min(config.warmup_steps, max(steps - 1, 0))
    rest = steps - warmup
    schedules = {
        "cosine": lambda: optax.cosine_decay_schedule(peak, rest),
        "linear": lambda: optax.linear_schedule(peak, 0.0, rest),
        "constant": lambda: optax.constant_schedule(peak),
    }
    if config.schedule not in schedules:
        raise UserError(f"optimizer.schedule is {config.schedule!r}; expected one of {', '.join(schedules)}")
    # The first update is not wasted on a rate of zero.
    rise = optax.linear_schedule(peak / (warmup + 1), peak, warmup)
    return optax.join_schedules([rise, schedules[config.schedule]()], [warmup])


def make_optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """'sgd' (with `momentum`) or 'adamw' (with `b2`), after clipping to `clip_norm` (0: none).

    `weight_decay` spares vectors and scalars (biases, norms, temperature), as is usual for CLIP.
    """
    schedule = make_schedule(config, steps)

    def matrices(params):
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    if config.name == "sgd":
        chain = [
            optax.add_decayed_weights(config.weight_decay, matrices),
            optax.sgd(schedule, momentum=config.momentum),
        ]
    elif config.name == "adamw":
        chain = [optax.adamw(schedule, b2=config.b2, weight_decay=config.weight_decay, mask=matrices)]
    else:
        raise UserError(f"optimizer.name is {config.name!r}; expected 'sgd' or 'adamw'")
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), *chain) if config.clip_norm else optax.chain(*chain)
