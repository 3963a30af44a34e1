"""Loads a checkpoint's tokenizer from its own files or from OpenAI's list of BPE merges."""

import string
from pathlib import Path
from typing import Any, Literal

from tokenizers import Regex, normalizers
from transformers import CLIPTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ecor_jax.checkpoints import sentencepiece
from ecor_jax.clip.config import TextConfig
from ecor_jax.clip.tokenizer import END, OPENAI_VOCABULARY, START
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import decode_text, gunzip, read_bytes
from ecor_jax.untrusted.json_text import read_object

_FILES = ("tokenizer.json", "vocab.json", sentencepiece.FILE)
# The classes that AutoTokenizer would choose. It is not used, because it imports PyTorch, if installed: 3 s, 200 MB.
_READERS = {
    "CLIPTokenizer": CLIPTokenizer,
    "CLIPTokenizerFast": CLIPTokenizer,
    "PreTrainedTokenizerFast": PreTrainedTokenizerFast,
    "TokenizersBackend": PreTrainedTokenizerFast,
}

Cleaning = Literal["canonicalize", "lower"]
"""Text normalisation before tokenization: 'canonicalize' (OpenCLIP's name; SigLIP) lower-cases, removes punctuation
and collapses spaces; 'lower' (SigLIP 2) only lower-cases."""
# The cleaning for each tokenizer class of transformers. SigLIP 2 was trained on lower-case text, but Gemma's tokenizer
# does not lower-case texts.
_CLEANED: dict[str, Cleaning] = {
    "SiglipTokenizer": "canonicalize",
    "GemmaTokenizer": "lower",
    "GemmaTokenizerFast": "lower",
    "Siglip2Tokenizer": "lower",
}


def has_tokenizer(directory: Path) -> bool:
    """Returns whether the directory has the files of a Hugging Face tokenizer."""
    return any((directory / name).is_file() for name in _FILES)


def read_tokenizer(path: Path, text: TextConfig, cleaning: Cleaning | None = None) -> PreTrainedTokenizerBase:
    """Loads a tokenizer from a directory or from OpenAI's bpe_simple_vocab_16e6.txt.gz and checks that it fits `text`.

    cleaning: text normalisation that the checkpoint's configuration requests in addition to the tokenizer files.
    Raises UserError if there is no tokenizer, if it cannot be read, or if its ids do not match the text tower.
    """
    if path.is_file():
        tokenizer = openai_tokenizer(path, text.context_length)
    elif text.padded and has_tokenizer(path):
        tokenizer = _of_siglip(path, text.context_length, cleaning)
    elif has_tokenizer(path):
        tokenizer = _pretrained(path)
    else:
        raise UserError(f"{path}: no tokenizer; expected {' or '.join(_FILES)}")
    _check_fit(tokenizer, text, path)
    return tokenizer


def openai_tokenizer(merges_file: Path, context_length: int) -> CLIPTokenizer:
    """Builds CLIP's tokenizer, with OpenAI's ids, from the merges that OpenAI published.

    The vocabulary is built as in openai/CLIP's simple_tokenizer.py: 256 bytes, the same bytes at the end of a word, one
    token per merge, then start and end of text. The first line of the file is a header, and lines after the first
    48,894 merges are ignored.
    """
    where = f"{merges_file}: not OpenAI's gzipped list of merges"
    lines = decode_text(gunzip(read_bytes(merges_file), where), where).split("\n")
    characters = list(bytes_to_unicode().values())
    merges = [tuple(line.split()) for line in lines[1 : OPENAI_VOCABULARY - 2 * len(characters) - 2 + 1]]
    tokens = [*characters, *(c + "</w>" for c in characters), *map("".join, merges), START, END]
    if len(set(tokens)) != OPENAI_VOCABULARY or any(len(merge) != 2 for merge in merges):
        raise UserError(f"{merges_file}: does not make CLIP's {OPENAI_VOCABULARY} tokens")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    try:
        return CLIPTokenizer(
            vocab=vocabulary,
            merges=merges,  # pyright: ignore[reportArgumentType] (the tokenizers library takes pairs)
            model_max_length=context_length,
        )
    except Exception as error:  # the tokenizers library raises bare Exception
        raise UserError(f"{merges_file}: its merges do not fit each other ({error})") from error


def _of_siglip(directory: Path, context_length: int, cleaning: Cleaning | None) -> PreTrainedTokenizerBase:
    # tokenizer.json is loaded by the generic class, because transformers' specific ones build another tokenizer from
    # the same vocabulary. SiglipTokenizer reads the SentencePiece model, so a tokenizer.json beside it is ignored.
    config, name = directory / "tokenizer_config.json", None
    if config.is_file():
        name = read_object(config).get("tokenizer_class")
    cleaning = cleaning or (_CLEANED.get(name) if isinstance(name, str) else None)
    spiece = directory / sentencepiece.FILE
    if spiece.is_file() and (name == "SiglipTokenizer" or not (directory / "tokenizer.json").is_file()):
        tokenizer = sentencepiece.sentencepiece_tokenizer(spiece, context_length)
    else:
        tokenizer = _from_files(PreTrainedTokenizerFast, directory)
    if cleaning:
        _clean(tokenizer, cleaning)
    return tokenizer


def _clean(tokenizer: PreTrainedTokenizerBase, cleaning: Cleaning) -> None:
    """Prepends the cleaning to the tokenizer's own normaliser, so that it is also saved with the tokenizer."""
    backend: Any = tokenizer.backend_tokenizer  # type: ignore
    steps: list[Any] = [normalizers.Lowercase()]
    if cleaning == "canonicalize":
        punctuation = "".join(f"\\{mark}" for mark in string.punctuation)
        steps += [normalizers.Replace(Regex(f"[{punctuation}]"), ""), normalizers.Replace(Regex(r"\s+"), " ")]
        steps.append(normalizers.Strip())
    own = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([*steps, *own])


def _pretrained(directory: Path) -> PreTrainedTokenizerBase:
    reader: Any = CLIPTokenizer
    # Without tokenizer_config.json no class is stated; the files are taken as those of a CLIPTokenizer.
    if (directory / "tokenizer_config.json").is_file():
        fields = read_object(directory / "tokenizer_config.json")
        name = fields.get("tokenizer_class")
        reader = _READERS.get(name) if isinstance(name, str) and "auto_map" not in fields else None
        if reader is None:
            from transformers import AutoTokenizer as reader
    return _from_files(reader, directory)


def _from_files(reader: Any, directory: Path) -> PreTrainedTokenizerBase:
    try:
        # Without trust_remote_code=False transformers prompts whether to run code from the directory.
        return reader.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception on broken files
        reason = str(error).split("\n")[0]
        if "trust_remote_code" in str(error):
            reason = "it needs code that the directory brings along (auto_map), which is not run"
        raise UserError(f"{directory}: its tokenizer cannot be read ({reason})") from error


def _check_fit(tokenizer: PreTrainedTokenizerBase, text: TextConfig, source: Path) -> None:
    # An embedding table may be padded, but not to twice its vocabulary. For CLIP, the EOT id is checked below instead.
    if len(tokenizer) > text.vocab_size or (text.padded and 2 * len(tokenizer) < text.vocab_size):
        raise UserError(f"{source}: the tokenizer has {len(tokenizer)} tokens; the text tower embeds {text.vocab_size}")
    try:
        ids = tokenizer("a")["input_ids"]
    except Exception as error:  # as above
        raise UserError(f"{source}: its tokenizer cannot read a text ({error})") from error
    made = f"{source}: the tokenizer makes {ids} of 'a'; the text tower takes"
    if text.padded:
        if len(ids) < 2 or ids[-1] != tokenizer.eos_token_id:
            raise UserError(f"{made} one that ends with the end of text, token {tokenizer.eos_token_id}")
        if tokenizer.pad_token_id is None:
            raise UserError(f"{source}: the tokenizer has no token that pads texts, which the text tower takes")
        return
    eot = max(ids) if text.eot_id is None else text.eot_id
    if eot not in ids or ids.index(eot) != len(ids) - 1:
        rule = "the largest id" if text.eot_id is None else f"token {eot}"
        raise UserError(f"{made} {rule} for the end of a text")
