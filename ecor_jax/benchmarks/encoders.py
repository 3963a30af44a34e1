"""Benchmarks the image encoder, the text encoder and the text bank."""

import contextlib
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecor_jax.benchmarks.measure import Side, Suite
from ecor_jax.benchmarks.models import Setting, compiled, pixels
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.tokenizer import tokenize
from ecor_jax.features.pair_texts import PairTexts
from ecor_jax.features.text_bank import TextBank
from ecor_jax.tasks.rationale.methods import METHODS, outer_prompts, words_of
from ecor_jax.tasks.rationale.model import PromptedTower

SAMPLE, QUICK_SAMPLE = 512, 32
"""Number of texts that the other implementations (peers) encode, instead of all texts of the suite."""
TOGETHER = 64
"""Maximum number of texts in a batch of the peers."""


def encode_image(setting: Setting) -> Suite:
    """Returns a suite that computes unit embeddings of uint8 images."""
    model = setting.open()
    images, tower = pixels(setting, model), PromptedTower(model, None)
    program = compiled(PromptedTower.embed, tower, images)
    peers = {}
    if setting.peers:
        from ecor_jax.benchmarks import torch_clip

        peers = torch_clip.sides(torch_clip.image_embedder, model, [images], compiled=not setting.quick)
        peers |= torch_clip.open_clip_sides(model, [images], images=True, compiled=not setting.quick)
    return Suite(
        f"unit embeddings of {setting.batch_size} images at once; {setting.told()}",
        "image",
        Side(lambda: program.run(images), setting.batch_size),
        peers,
        flops=program.flops / setting.batch_size,
        dtype=setting.dtype,
        peak_bytes=program.peak_bytes,
    )


def encode_text(setting: Setting) -> Suite:
    """Returns a suite that embeds texts with few shared tokens: the prompts of single rationales."""
    texts = list(dict.fromkeys(outer_prompts(METHODS["ecor"], setting.words())))
    return _texts(setting, texts, f"unit embeddings of {len(texts):,} prompts of a rationale each")


def text_bank(setting: Setting) -> Suite:
    """Returns a suite that embeds the prompts of all pairs of a class and a rationale."""
    texts = PairTexts(METHODS["ecor"].pair, words_of(METHODS["ecor"], setting.words()))
    return _texts(setting, texts, f"unit embeddings of all {len(texts):,} pairs of a class and a rationale")


def _texts(setting: Setting, texts: Sequence[str], work: str) -> Suite:
    model = setting.open()
    sample, peers, cost = np.arange(len(texts)), {}, {}
    if setting.peers:
        sample, peers = _peers(model, texts, quick=setting.quick)
        work += f", of which others encode {len(sample)} in batches of at most {TOGETHER}"

    def ours() -> np.ndarray:
        with tempfile.TemporaryDirectory(dir=setting.folder) as folder, contextlib.redirect_stderr(io.StringIO()):
            bank = TextBank(model, texts, Path(folder))
            embeddings = bank.rows(0, len(texts))[sample]
        cost["tokens"] = bank.cost._asdict()
        return embeddings

    told = f"{work}, tokenized and written to disk; {setting.told()}"
    return Suite(told, "text", Side(ours, len(texts)), peers, dtype=setting.dtype, counted=lambda: cost)


def _peers(model: Model, texts: Sequence[str], *, quick: bool) -> tuple[np.ndarray, dict[str, Side]]:
    """Returns the rows of a sample of the texts, and sides that run PyTorch on the token ids of these texts.

    The ids are padded to the context length or, in other sides, to the longest text of each batch.
    """
    from ecor_jax.benchmarks import torch_clip

    context = model.clip.config.text.context_length
    ids = tokenize(model.tokenizer, list(texts), context)
    # The batches hold texts of similar lengths and are evenly spaced over the sorted texts, so that the cost per text
    # is that of all texts.
    lengths = np.where(ids != 0, np.arange(1, ids.shape[1] + 1), 0).max(axis=1)
    sample = QUICK_SAMPLE if quick else SAMPLE
    together = min(TOGETHER, sample // 4)
    batches = np.array_split(np.argsort(lengths, kind="stable"), max(1, round(len(ids) / together)))
    chosen = batches[:: max(1, len(batches) * together // sample)]
    padded = [np.pad(ids[rows], ((0, 0), (0, context - ids.shape[1]))).astype(np.int64) for rows in chosen]
    cut = [rows[:, : lengths[numbers].max()] for rows, numbers in zip(padded, chosen, strict=True)]
    make = torch_clip.text_embedder
    whole, trimmed = (torch_clip.sides(make, model, batches, compiled=not quick) for batches in (padded, cut))
    whole.pop(torch_clip.EAGER)
    whole |= torch_clip.open_clip_sides(model, padded, images=False, compiled=not quick)  # it pads only
    peers = {f"{name}, {context} tokens": side for name, side in whole.items()}
    return np.concatenate(chosen), peers | {f"{name}, cut to length": side for name, side in trimmed.items()}
