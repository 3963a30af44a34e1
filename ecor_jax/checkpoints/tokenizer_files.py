"""A checkpoint's tokenizer: from its own files, or from OpenAI's list of merges."""

from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ecor_jax.clip.config import TextConfig
from ecor_jax.clip.tokenizer import END, START
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import decode_text, gunzip, read_bytes
from ecor_jax.untrusted.json_text import read_object

_OPENAI_VOCABULARY = 49408
_FILES = ("tokenizer.json", "vocab.json")
# What AutoTokenizer takes for the usual names; it imports PyTorch where that is installed, which takes 3 s and 200 MB.
_READERS = {
    "CLIPTokenizer": CLIPTokenizer,
    "CLIPTokenizerFast": CLIPTokenizer,
    "PreTrainedTokenizerFast": PreTrainedTokenizerFast,
    "TokenizersBackend": PreTrainedTokenizerFast,
}


def has_tokenizer(directory: Path) -> bool:
    """Whether the directory has a Hugging Face tokenizer's files."""
    return any((directory / name).is_file() for name in _FILES)


def read_tokenizer(path: Path, text: TextConfig) -> PreTrainedTokenizerBase:
    """The tokenizer in a directory, or from OpenAI's bpe_simple_vocab_16e6.txt.gz, checked to fit `text`.

    UserError if there is none, if it cannot be read, or if its ids are not the ones the tower embeds.
    """
    if path.is_file():
        tokenizer = openai_tokenizer(path, text.context_length)
    elif has_tokenizer(path):
        tokenizer = _pretrained(path)
    else:
        raise UserError(f"{path}: no tokenizer; expected {' or '.join(_FILES)}")
    _check_fit(tokenizer, text, path)
    return tokenizer


def openai_tokenizer(merges_file: Path, context_length: int) -> CLIPTokenizer:
    """CLIP's tokenizer from the merges OpenAI published, with OpenAI's ids.

    The vocabulary is built as openai/CLIP's simple_tokenizer.py does: 256 bytes, the same ending a word, one
    token a merge (the file's first line is a heading, and it goes on beyond the 48,894 merges that are used),
    then start and end of text.
    """
    where = f"{merges_file}: not OpenAI's gzipped list of merges"
    lines = decode_text(gunzip(read_bytes(merges_file), where), where).split("\n")
    characters = list(bytes_to_unicode().values())
    merges = [tuple(line.split()) for line in lines[1 : _OPENAI_VOCABULARY - 2 * len(characters) - 2 + 1]]
    tokens = [*characters, *(c + "</w>" for c in characters), *map("".join, merges), START, END]
    if len(set(tokens)) != _OPENAI_VOCABULARY or any(len(merge) != 2 for merge in merges):
        raise UserError(f"{merges_file}: does not make CLIP's {_OPENAI_VOCABULARY} tokens")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    try:
        return CLIPTokenizer(
            vocab=vocabulary,
            merges=merges,  # pyright: ignore[reportArgumentType] (the tokenizers library takes pairs)
            model_max_length=context_length,
        )
    except Exception as error:  # the tokenizers library raises bare Exception
        raise UserError(f"{merges_file}: its merges do not fit each other ({error})") from error


def _pretrained(directory: Path) -> PreTrainedTokenizerBase:
    reader: Any = CLIPTokenizer
    # Without tokenizer_config.json there is no class to go by; the files alone are CLIP's.
    if (directory / "tokenizer_config.json").is_file():
        fields = read_object(directory / "tokenizer_config.json")
        name = fields.get("tokenizer_class")
        reader = _READERS.get(name) if isinstance(name, str) and "auto_map" not in fields else None
        if reader is None:
            from transformers import AutoTokenizer as reader
    try:
        # Without the last word transformers asks whether to run the code that a directory brings along.
        return reader.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception on broken files
        reason = str(error).split("\n")[0]
        if "trust_remote_code" in str(error):
            reason = "it needs code that the directory brings along (auto_map), which is not run"
        raise UserError(f"{directory}: its tokenizer cannot be read ({reason})") from error


def _check_fit(tokenizer: PreTrainedTokenizerBase, text: TextConfig, source: Path) -> None:
    if len(tokenizer) > text.vocab_size:
        raise UserError(f"{source}: the tokenizer has {len(tokenizer)} tokens; the text tower embeds {text.vocab_size}")
    try:
        ids = tokenizer("a")["input_ids"]
    except Exception as error:  # as above
        raise UserError(f"{source}: its tokenizer cannot read a text ({error})") from error
    eot = max(ids) if text.eot_id is None else text.eot_id
    if eot not in ids or ids.index(eot) != len(ids) - 1:
        rule = "the largest id" if text.eot_id is None else f"token {eot}"
        raise UserError(
            f"{source}: the tokenizer makes {ids} of 'a'; the text tower takes {rule} for the end of a text"
        )
