"""Converts SentencePiece models (spiece.model, SigLIP) to tokenizers of the tokenizers library."""

from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import import_protobuf

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_bytes

FILE = "spiece.model"
_MAX_BYTES = 64 << 20
"""Maximum file size; the largest known model has 256,000 pieces and 4.2 million bytes."""
_UNIGRAM, _CONTROL = 1, 3
_SPACE = "\u2581"
"""The character that SentencePiece writes for a space."""


def sentencepiece_tokenizer(file: Path, context_length: int) -> PreTrainedTokenizerFast:
    """Builds SigLIP's tokenizer from its SentencePiece model; it appends EOS to a text and pads with the same token.

    Raises UserError if the file is not a SentencePiece model of type Unigram with a space prepended to the text.
    """
    protobuf: Any = import_protobuf()
    model = protobuf.ModelProto()
    try:
        model.ParseFromString(read_bytes(file, _MAX_BYTES))
        unigram, spec = model.trainer_spec, model.normalizer_spec
        if not model.pieces or unigram.model_type != _UNIGRAM or not spec.add_dummy_prefix:
            raise UserError(f"{file}: is no SentencePiece model of SigLIP's kind (Unigram, with a space before a text)")
        pieces = [(piece.piece, piece.score) for piece in model.pieces]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unigram.unk_id, byte_fallback=unigram.byte_fallback))
        end, unknown = unigram.eos_piece, unigram.unk_piece
        controls = [piece.piece for piece in model.pieces if piece.type == _CONTROL]
        tokenizer.add_special_tokens([*controls, unknown])
        # Same steps as SentencePiece: its character map, then runs of spaces are collapsed and outer spaces stripped.
        charsmap = [normalizers.Precompiled(spec.precompiled_charsmap)] if spec.precompiled_charsmap else []
        spaces = [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(_SPACE, " "), *charsmap, *spaces])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme="always")
        tokenizer.decoder = decoders.Metaspace(_SPACE, prepend_scheme="always")
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {end}", special_tokens=[(end, tokenizer.token_to_id(end))]
        )
        special: Any = {"eos_token": end, "pad_token": end, "unk_token": unknown}
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=context_length, **special)
    except (UserError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # protobuf's DecodeError, and the tokenizers library's Exception or Rust panic
        reason = str(error).split("\n")[0]
        raise UserError(f"{file}: is no SentencePiece model, or damaged ({reason})") from error
