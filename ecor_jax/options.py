"""Options of a run that are numbers, in their ranges: checked before anything heavy."""

import math
from collections.abc import Iterator
from typing import Any

from ecor_jax.config import Config
from ecor_jax.errors import UserError

RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "steps": (1, 10**9),
    "log_every": (1, 10**9),
    "checkpoint_every": (1, 10**9),
    "kept_patches": (0, 2**20),
    "loss.outer_weight": (0, 1e6),
    "loss.pair_weight": (0, 1e6),
    "loss.concept_weight": (0, 1e6),
    "prompts.count": (1, 4096),
    "parallel.model": (1, 2**20),
    # Data.
    "batch_size": (1, 2**20),
    "workers": (0, 1024),
    "text_length": (2, 2**20),
    "count": (0, 10**8),
    "train_count": (0, 10**8),
    "test_count": (0, 10**8),
    "holdout": (0, 1),
    "rationales_per_prompt": (0, 1000),
    "held_out": (0, 10**9),
    "subset": (0, 10**9),
    "image_size": (0, 2**16),
    "patients": (0, 10**9),
    "test": (0, 1),
    # Optimizer.
    "learning_rate": (0, 1e6),
    "warmup_steps": (0, 10**9),
    "weight_decay": (0, 1e6),
    "momentum": (0, 0.999999),
    "b2": (0, 0.999999),
    "clip_norm": (0, 1e6),
    # Heads and margins.
    "width": (0, 2**16),
    "black_box_width": (1, 2**16),
    "alpha": (0, 1),
    "wise": (0, 1),
    "bottleneck.scale": (0, 1e4),
    "bottleneck.size": (0, 2**16),
    "margin.margin": (0, math.pi),
    "margin.concentration": (0, 10),
    "margin.rate": (0, 1),
    "margin.scale": (0, 1e4),
    "margin.sampled": (0, 1),
    "concepts.least": (1, 10**9),
    "concepts.most": (1, 10**6),
    # Judging and showing. An evaluation's batch is padded to its full size, however few pictures there are.
    "evaluation.batch_size": (1, 2**14),
    "top_k": (1, 10**6),
    "resamples": (1, 10**6),
    "explained": (1, 10**6),
    "report.pictures": (0, 10**4),
    "report.pairs": (0, 10**4),
    "report.studies": (0, 10**4),
}
"""Least and most of an option, both allowed, by its name or the end of it; some are narrower where they are used."""


def check_numbers(config: Config, prefix: str = "") -> None:
    """UserError for the first number that is outside of its range; `prefix` stands before the names of options."""
    for name, value in numbers(config, prefix):
        least, most = range_of(name) or (-math.inf, math.inf)
        if not least <= value <= most:
            raise UserError(f"{name} is {value}; expected {least:,} to {most:,}")


def numbers(config: Config, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Names and values of all options that are numbers."""
    for key, value in config.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key, value
        elif hasattr(value, "items"):
            yield from numbers(value, f"{prefix}{key}.")


def range_of(name: str) -> tuple[float, float] | None:
    """The range of an option, by the longest end of its name that has one."""
    parts = name.split(".")
    ends = (".".join(parts[start:]) for start in range(len(parts)))
    return next((RANGES[end] for end in ends if end in RANGES), None)


def check_template(template: Any, letters: str, option: str, *, needed: bool = False) -> None:
    """UserError unless the only braces of a template are `{x}` for some (if `needed`, all) of the `letters`.

    Python's format strings do more: they reach into objects and fill gigabytes with spaces.
    """
    rest = str(template)
    for letter in letters:
        rest = rest.replace(f"{{{letter}}}", "")
    lacking = needed and not all(f"{{{letter}}}" in str(template) for letter in letters)
    if not isinstance(template, str) or "{" in rest or "}" in rest or lacking:
        expected = " and ".join(f"{{{letter}}}" for letter in letters)
        raise UserError(f"{option} is {str(template)[:100]!r}; expected {expected} as the only braces")
