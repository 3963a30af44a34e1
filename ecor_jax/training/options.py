"""The options that several tasks have in common."""

import dataclasses
from typing import Annotated, Literal

from ecor_jax.config.options import Count, DataType, Positive, Seed, Weight, Within

Momentum = Annotated[float, Within(0, 0.999999)]


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """SGD with `momentum` or AdamW with `b2`, after clipping the gradient's norm to `clip_norm` (0: no clipping).

    The learning rate rises for `warmup_steps`, then follows the schedule: cosine or linear to zero, or constant.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Weight = 1e-3
    warmup_steps: Count = 20
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: Weight = 0.0
    momentum: Momentum = 0.9
    b2: Momentum = 0.999
    clip_norm: Weight = 0.0


@dataclasses.dataclass(frozen=True)
class Parallel:
    """How a step is spread over devices and processes, and what it trades for memory.

    model: devices that share one copy of the sharded arrays (`parallel.mesh`).
    remat: recompute the activations within each block for the gradient (`jax.checkpoint`) instead of keeping them.
    fsdp: shard the towers' large parameters and their optimizer moments over `data`; a block is gathered when it runs.
    grad_accumulation: number of micro-batches of a step, run in sequence; a contrastive loss compares the images of a
      micro-batch alone.
    peer_timeout: seconds without a step, or an answer, after which a process of several ends: another one is stuck.
    """

    model: Annotated[int, Within(1, 2**20)] = 1
    remat: bool = False
    fsdp: bool = False
    grad_accumulation: Annotated[int, Within(1, 2**20)] = 1
    peer_timeout: Annotated[float, Within(1, 10**6)] = 600.0


@dataclasses.dataclass(frozen=True)
class Training:
    """What the loop reads, and what names the task.

    model: a model directory or hub id that the task starts from; what it may be, its own options say.
    dtype: what the towers compute in; bfloat16 on accelerators.
    eval_every: steps between evaluations on the validation split; 0: none.
    best: a number of these evaluations; the weights at its best are kept, not the last ones. Empty: the last.
    profile: steps of which a trace is written below the workdir, after a few that warm up; 0: none.
    """

    task: str = ""
    model: str = ""
    seed: Seed = 0
    dtype: DataType = "float32"
    steps: Positive = 300
    optimizer: Optimizer = Optimizer()
    parallel: Parallel = Parallel()
    log_every: Positive = 10
    checkpoint_every: Positive = 100
    eval_every: Count = 0
    best: str = ""
    profile: Count = 0
