"""Converts CLIP weights to a model directory that this project and Hugging Face transformers, or OpenCLIP, can load.

    ecor-jax convert --source=PATH_OR_HUB_ID --output=DIR

The source is a Hugging Face directory or hub id, an OpenCLIP directory, or a file of weights with OpenAI's tensor
names. A file that is not OpenAI's own does not state its architecture completely: it needs --activation and, if the
width of a tower is none of 512, 768 and 1024, --heads.
"""

import argparse
from pathlib import Path

from absl import logging

from ecor_jax.commands import cli


def main(args: argparse.Namespace) -> None:
    from ecor_jax.atomic import new_file
    from ecor_jax.checkpoints.card import write_card
    from ecor_jax.checkpoints.hub import at_revision
    from ecor_jax.checkpoints.model_dir import RATIONALES, check_new, save_clip
    from ecor_jax.checkpoints.openclip_dir import save_openclip
    from ecor_jax.checkpoints.source import read_source
    from ecor_jax.checkpoints.weights import weights_digest
    from ecor_jax.data.vocabulary import Vocabulary
    from ecor_jax.parallel.processes import broadcast_from_first

    logging.set_verbosity(logging.INFO)  # shows notes on the files, such as weights in half precision

    def convert() -> None:
        check_new(args.output)
        options = {name: getattr(args, name) for name in ("activation", "heads", "tokenizer", "preprocess")}
        read = read_source(at_revision(args.source, args.revision), **options)
        save = {"huggingface": save_clip, "openclip": save_openclip}[args.to]
        save(args.output, read.clip, read.tokenizer, read.preprocess, origin=read.origin, dtype=args.dtype)
        if (rationales := read.path / RATIONALES).is_file():
            text = Vocabulary.from_file(rationales).to_json()
            with new_file(args.output / RATIONALES) as partial:
                partial.write_text(text)
        if args.to == "huggingface":
            write_card(args.output)
        print(f"{args.output}: {read.clip.config}")
        for guess in read.origin.guessed:
            print(f"taken for granted, for the file does not say it: {guess}")
        if read.origin.read:
            print(f"read: {read.origin.read}")
        print(f"digest of configuration and weights: {weights_digest(read.clip)}")
        if read.tokenizer is None:
            print("no tokenizer: the source has none, and no text can be encoded without; add one with --tokenizer")
        if read.preprocess is None:
            print("no preprocessor_config.json: the source has none; images cannot be prepared without: --preprocess")

    # Only the first process converts; any others wait for it.
    broadcast_from_first(convert)


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_processes(parser)
    add = parser.add_argument
    add("--source", required=True, metavar="PATH_OR_HUB_ID", help="the weights to convert")
    add("--output", required=True, type=cli.path_arg, metavar="DIR", help="must not exist, or be empty")
    commit = "branch, tag or commit of a hub id; the same as --source=USER/NAME@REVISION"
    add("--revision", default="", metavar="REVISION", help=commit)
    forms = "whose directory is written (default: huggingface, which this project reads, too)"
    add("--to", choices=["huggingface", "openclip"], default="huggingface", help=forms)
    dtypes = "the type of the stored weights: bfloat16 takes half of the space, and rounds (default: float32)"
    add("--dtype", choices=["float32", "bfloat16"], default="float32", help=dtypes)
    add("--activation", choices=["quick_gelu", "gelu"], help="activation of sources that do not state theirs")
    add("--heads", type=_heads, metavar="VISION,TEXT", help="attention heads of the towers in a file that does not say")
    ways = "how images are prepared, instead of what the source says or, if it says nothing, OpenAI's way"
    add("--preprocess", choices=["openai", "chexzero"], default="", help=ways)
    tokenizers = "directory of a tokenizer, or OpenAI's bpe_simple_vocab_16e6.txt.gz (default: the source's own)"
    add("--tokenizer", type=Path, metavar="PATH", help=tokenizers)
    return parser


def _heads(text: str) -> tuple[int, int]:
    counts = text.split(",")
    if len(counts) != 2 or not all(count.isascii() and count.isdigit() and int(count[:9]) for count in counts):
        raise argparse.ArgumentTypeError(f"{text!r}; expected two whole numbers, such as 16,16")
    return int(counts[0][:9]), int(counts[1][:9])
