"""The model, the vocabulary and the compiled programs that the benchmark suites measure."""

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
"""Logit scale of all CLIPs that OpenAI released; it affects how many pairs the top-k search examines."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """The configuration of a benchmark.

    model: a preset, with random weights, or a model directory. tokenizer: OpenAI's merges for a preset; None: one
      learned from the vocabulary. rationales: a file of rationales; None: built-in ones. images: pictures to
      decode; None: generated ones. peers: whether to measure other implementations. quick: fewer pictures, and no peers
      that take a minute to compile. folder: for temporary files.
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
        """Builds or loads the model. Raises UserError if the model or a file does not exist."""
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
        """Returns the values that distinguish this setting from others in the same report."""
        words = [] if self.rationales is None else [self.rationales.stem]
        return [self.model, str(self.batch_size), self.dtype, *words]

    def told(self) -> str:
        """Returns the model and the dtype as text, for the description of a suite."""
        return f"{self.model}, {self.dtype}"


class Program(NamedTuple):
    """A compiled function. run: returns its result in NumPy. flops: of its matrix products. peak_bytes: its memory."""

    run: Callable[..., Any]
    flops: int
    peak_bytes: int


def compiled(function: Callable[..., Any], module: nnx.Module, *arguments: Any) -> Program:
    """Compiles `function(module, *arguments)` for arguments with these shapes."""
    graph, state = nnx.split(module)
    mesh = meshes.make_mesh(devices=jax.devices()[:1])
    state = meshes.unstack(meshes.place(state, mesh), mesh)

    def of_state(state: Any, *arguments: Any) -> Any:
        return function(nnx.merge(graph, meshes.gathered(state, mesh)), *arguments)

    with meshes.UNROLLED(True):
        traced = jax.jit(of_state).trace(state, *arguments)
    program = traced.lower().compile()

    def run(*arguments: Any) -> Any:
        return jax.tree.map(np.asarray, program(state, *arguments))

    return Program(run, matrix_flops(traced.jaxpr.jaxpr), peak_bytes(program))


def peak_bytes(program: Any) -> int:
    """Returns the memory of a compiled program, according to its compiler."""
    memory = program.memory_analysis()
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes


def pixels(setting: Setting, model: Model) -> np.ndarray:
    """Returns random uint8 images [batch, size, size, 3]."""
    size = model.preprocess.size
    return np.random.default_rng(0).integers(0, 256, (setting.batch_size, size, size, 3), np.uint8)
