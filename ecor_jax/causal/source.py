"""A causal language model by hub id or directory: its files, their digest, its tokenizer."""

import hashlib
from pathlib import Path

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ecor_jax.causal.config import CausalConfig, read_end_tokens
from ecor_jax.checkpoints.hub import local_copy
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import open_regular

_WEIGHTS = "model*.safetensors"
_OTHERS = ("*.json", "*.jinja")  # newer chat templates are files of their own


def local_directory(source: str) -> Path:
    """The directory `source`, or the downloaded snapshot of that hub id; of its weights only safetensors."""
    directory = local_copy(source, weights=(_WEIGHTS,), others=_OTHERS)
    if not (directory / "config.json").is_file():
        raise UserError(f"{directory}: not a language model; expected a directory with config.json")
    return directory


def files_digest(directory: Path) -> str:
    """sha256 of the names and contents of all files that an answer depends on: weights, configuration, tokenizer."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in (_WEIGHTS, *_OTHERS) for path in directory.glob(pattern)):
        try:
            with open_regular(path) as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def read_tokenizer(directory: Path, config: CausalConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of tokenizer.json, with its chat template if there is one; no class or code is looked up by name.

    UserError if it cannot be read or has more tokens than the model embeds.
    """
    if not (directory / "tokenizer.json").is_file():
        raise UserError(f"{directory}: no tokenizer; expected tokenizer.json")
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception on broken files
        reason = str(error).split("\n")[0]
        raise UserError(f"{directory}: its tokenizer cannot be read ({reason})") from error
    if len(tokenizer) > config.vocab_size:
        raise UserError(f"{directory}: the tokenizer has {len(tokenizer)} tokens; the model embeds {config.vocab_size}")
    return tokenizer


def end_ids(directory: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The tokens that end an answer, by the configuration and by the tokenizer; UserError if neither names one."""
    found = {*read_end_tokens(directory)}
    if isinstance(tokenizer.eos_token_id, int):
        found.add(tokenizer.eos_token_id)
    if not found:
        raise UserError(f"{directory}: no token ends an answer; expected eos_token_id in config.json")
    return tuple(sorted(found))
