"""Training options that all tasks share."""

import dataclasses
from typing import Annotated, Literal

from ecor_jax.config.options import Count, DataType, Positive, Seed, Weight, Within

Momentum = Annotated[float, Within(0, 0.999999)]


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """The optimizer and its schedule.

    name: of the optimizer. Muon (Jordan et al. 2024) orthogonalises the momentum of matrices, at the update size of
      AdamW (Liu et al. 2025, arXiv 2502.16982); vectors, embeddings and projections are left to AdamW. It learns about
      twice as fast in steps.
    learning_rate: the highest one. warmup_steps: number of steps in which it rises linearly. schedule: its decay
      after them.
    weight_decay: coefficient of the decoupled weight decay. momentum: of SGD and of Muon's matrices. b2: decay rate of
      AdamW's second moments. clip_norm: maximum global norm of the gradient; 0: any.
    """

    name: Literal["adamw", "sgd", "muon"] = "adamw"
    learning_rate: Weight = 1e-3
    warmup_steps: Count = 20
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: Weight = 0.0
    momentum: Momentum = 0.9
    b2: Momentum = 0.999
    clip_norm: Weight = 0.0


@dataclasses.dataclass(frozen=True)
class Parallel:
    """Parallelism over devices and processes, and options that save memory.

    model: number of devices that share one copy of the sharded arrays (`parallel.mesh`).
    remat: recompute the activations within each block for the gradient (`jax.checkpoint`) instead of keeping them.
    fsdp: shard the towers' large parameters and their optimizer moments over axis `data`; a block is gathered to run.
    grad_accumulation: number of micro-batches of a step, run sequentially; a contrastive loss compares only the images
      of a micro-batch.
    peer_timeout: seconds without progress after which a process of a multi-process run ends: another one is stuck.
    """

    model: Annotated[int, Within(1, 2**20)] = 1
    remat: bool = False
    fsdp: bool = False
    grad_accumulation: Annotated[int, Within(1, 2**20)] = 1
    peer_timeout: Annotated[float, Within(1, 10**6)] = 600.0


@dataclasses.dataclass(frozen=True)
class Training:
    """Options of the training loop, and the task's name.

    task: the kind of run, a name of TASKS in tasks/base.py or MODULE:CLASS of your own.
    model: the model directory or hub id that the task starts from; see the task's options for what is allowed.
    seed: of the initial parameters and of the order of the examples. steps: number of training steps.
    dtype: dtype that the towers compute in; bfloat16 is for accelerators.
    log_every, checkpoint_every: steps between lines of metrics.jsonl, and between checkpoints.
    eval_every: steps between evaluations on the validation split; 0 for none.
    best: a metric of these evaluations; the weights of its best value are kept. Empty keeps the last weights.
    profile: number of steps to trace with the profiler after a few warm-up steps, into the workdir; 0 for none.
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
