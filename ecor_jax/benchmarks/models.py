"""The model, the words and the programs that a suite measures."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.checkpoints.tokenizer_files import openai_tokenizer
from ecor_jax.clip.config import PRESETS, preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.tokenizer import learn_tokenizer
from ecor_jax.data import procedural
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.parallel import mesh as meshes
from ecor_jax.parallel.flops import matrix_flops
from ecor_jax.tasks.rationale.methods import METHODS

RELEASED_SCALE = 100.0
"""Of all CLIPs that OpenAI released: how many pairs have to be looked at depends on it."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a suite is measured on.

    model: a preset, whose weights are drawn, or a model directory. tokenizer: OpenAI's merges for a preset; None: one
    that is learned from the words. rationales: a file of them; None: the drawings'. images: pictures to decode; None:
    some that are made. peers: whether others do the work, too. quick: fewer pictures, and no peers that are compiled by
    themselves for a minute. folder: for what a suite writes, while it is measured.
    """

    model: str = "openai/ViT-B-32"
    batch_size: int = 32
    dtype: str = "float32"
    tokenizer: Path | None = None
    rationales: Path | None = None
    images: Path | None = None
    peers: bool = False
    quick: bool = False
    folder: Path = Path(".")

    def words(self) -> Vocabulary:
        return procedural.vocabulary() if self.rationales is None else Vocabulary.from_file(self.rationales)

    def open(self) -> Model:
        """UserError for a model, or a file, that there is not."""
        dtype = jnp.dtype(self.dtype)
        if self.model not in PRESETS:
            return load_clip(self.model, dtype=dtype)
        config, words = preset(self.model), self.words()
        if self.tokenizer is not None:
            tokenizer = openai_tokenizer(self.tokenizer, config.text.context_length)
        else:
            texts = [f"{METHODS['clip'].pair} {METHODS['ecor'].outer}", *words.classes, *words.rationales]
            tokenizer = learn_tokenizer(texts, config.text.vocab_size, config.text.context_length)
            text = dataclasses.replace(config.text, vocab_size=len(tokenizer))
            config = dataclasses.replace(config, text=text)
        clip = Clip(config, dtype=dtype, rngs=nnx.Rngs(0))
        clip.logit_scale[...] = np.float32(np.log(RELEASED_SCALE))
        return Model(clip, tokenizer, Preprocess(config.vision.image_size), Path(self.model))

    def named(self) -> list[str]:
        """What it differs by from others that are measured with it."""
        words = [] if self.rationales is None else [self.rationales.stem]
        return [self.model, str(self.batch_size), self.dtype, *words]

    def told(self) -> str:
        """Of the work's description."""
        return f"{self.model}, {self.dtype}"


class Program(NamedTuple):
    """A function of a module, compiled: `run(*arguments)`, in NumPy; operations of its matrix products; its memory."""

    run: Callable[..., Any]
    flops: int
    peak_bytes: int


def compiled(function: Callable[..., Any], module: nnx.Module, *arguments: Any) -> Program:
    """`function(module, *arguments)`, compiled for arguments like these, of which there are many."""
    graph, state = nnx.split(module)
    mesh = meshes.make_mesh(devices=jax.devices()[:1])
    state = meshes.apart(meshes.place(state, mesh), mesh)

    def of_state(state: Any, *arguments: Any) -> Any:
        return function(nnx.merge(graph, meshes.gathered(state, mesh)), *arguments)

    with meshes.UNROLLED(True):
        traced = jax.jit(of_state).trace(state, *arguments)
    program = traced.lower().compile()

    def run(*arguments: Any) -> Any:
        return jax.tree.map(np.asarray, program(state, *arguments))

    return Program(run, matrix_flops(traced.jaxpr.jaxpr), peak_bytes(program))


def peak_bytes(program: Any) -> int:
    """That a compiled program takes, as its compiler says."""
    memory = program.memory_analysis()
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes


def pixels(setting: Setting, model: Model) -> np.ndarray:
    """uint8 [batch, size, size, 3], drawn."""
    size = model.preprocess.size
    return np.random.default_rng(0).integers(0, 256, (setting.batch_size, size, size, 3), np.uint8)
