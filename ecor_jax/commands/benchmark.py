"""Measures how fast this machine does what a run is made of, and with --peers, how fast others do it on it.

    ecor-jax benchmark --suite=encode_image,train_step --peers --output=FILE.json [--page=FILE.md]

Suites: encode_image, encode_text, text_bank, train_step, train_step_deep, evaluate, choose_pairs, input, startup. All
sides take turns in one process, after a warm-up; what they make is compared. Times are in seconds a unit, a ratio above
1 means that ours is faster. Several models, batch sizes, types of numbers or vocabularies, with commas, are all
measured. Weights of presets are drawn: they take as long as any. Peers need PyTorch: pip install "ecor-jax[torch]".
"""

import argparse
import itertools
from pathlib import Path

from ecor_jax.commands import cli


def main(args: argparse.Namespace) -> None:
    from ecor_jax.benchmarks.models import Setting
    from ecor_jax.benchmarks.page import write_page
    from ecor_jax.benchmarks.run import benchmark
    from ecor_jax.errors import UserError, needs

    if args.peers:
        needs("torch", "torch")
    output = cli.output_file(args.output)
    page = args.page and cli.output_file(args.page)
    for path in (args.tokenizer, args.images, *args.rationales):
        if path is not None and not path.exists():
            raise UserError(f"{path}: no such file or directory")
    given = {"tokenizer": args.tokenizer, "images": args.images, "peers": args.peers}
    combined = itertools.product(args.model, args.batch_size, args.dtype, args.rationales)
    settings = [Setting(model, size, dtype, rationales=words, **given) for model, size, dtype, words in combined]
    report = benchmark(args.suite, settings, args.rounds, output, add=args.add)
    if page:
        write_page(page, report, output)


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    names = "encode_image"
    parser.add_argument("--suite", type=_list, required=True, metavar="A,B", help=f"what is measured, such as {names}")
    parser.add_argument("--peers", action="store_true", help="others do the same work, in turns with ours")
    parser.add_argument("--output", type=cli.a_path, required=True, metavar="FILE.json", help="where the figures go")
    parser.add_argument("--add", action="store_true", help="other suites that FILE.json has of this machine stay")
    parser.add_argument("--page", type=cli.a_path, metavar="FILE.md", help="tables of them to read")
    models = "presets or model directories (default: openai/ViT-B-32)"
    parser.add_argument("--model", type=_list, default=["openai/ViT-B-32"], metavar="A,B", help=models)
    sizes = "images at once (default: 32)"
    parser.add_argument("--batch_size", type=_sizes, default=[32], metavar="N,M", help=sizes)
    types = "float32, bfloat16, or both (default: float32)"
    parser.add_argument("--dtype", type=_types, default=["float32"], metavar="A,B", help=types)
    parser.add_argument("--rounds", type=_number, default=5, metavar="N", help="turns of each side (default: 5)")
    merges = "OpenAI's merges, for a preset (default: a tokenizer learned from the words)"
    parser.add_argument("--tokenizer", type=cli.a_path, metavar="FILE", help=merges)
    words = "files of classes and rationales (default: those of the drawings)"
    parser.add_argument("--rationales", type=_paths, default=[None], metavar="A.json,B.json", help=words)
    pictures = "a folder or zip to decode (default: some that are made)"
    parser.add_argument("--images", type=cli.a_path, metavar="PATH", help=pictures)
    return parser


def _list(text: str) -> list[str]:
    names = text.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError(f"is {text!r}; expected names, with commas")
    return names


def _paths(text: str) -> list[Path]:
    return [cli.a_path(path) for path in _list(text)]


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10**6:
        raise argparse.ArgumentTypeError(f"is {text!r}; expected a number from 1 to 1000000")
    return int(text)


def _sizes(text: str) -> list[int]:
    return [_number(size) for size in _list(text)]


def _types(text: str) -> list[str]:
    if unknown := set(_list(text)) - {"float32", "bfloat16"}:
        raise argparse.ArgumentTypeError(f"is {sorted(unknown)[0]!r}; expected float32, bfloat16, or both")
    return _list(text)
