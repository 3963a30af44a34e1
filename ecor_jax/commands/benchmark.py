"""Measures the speed of this machine on the parts of a run and, with --peers, that of other implementations.

    ecor-jax benchmark --suite=encode_image,train_step --peers --output=FILE.json [--page=FILE.md]
    ecor-jax benchmark --quick --peers --output=FILE.json
    ecor-jax benchmark --device=gpu --peers --output=FILE.json

Suites: encode_image, encode_text, text_bank, train_step, train_step_deep, evaluate, choose_pairs, input, startup
(default: all). After a warm-up, all implementations run in turns in one process, and their results are compared. Times
are in seconds per unit; a ratio above 1 means that ecor_jax is faster. All combinations of comma-separated models,
batch sizes, dtypes and vocabularies are measured. Presets have random weights, which do not affect the speed. Peers
need PyTorch: pip install "ecor-jax[torch]".

--quick: batches of 8, two rounds, no peers that take a minute to compile: three minutes on two cores.
--device: settings for a single run on one device: bfloat16, B/32, B/16 and L/14, batches of 256. No measurement starts
after six minutes, and the tables are printed at the end. Other options override those of --quick and --device.
"""

import argparse
import itertools
import math
from collections.abc import Callable
from typing import Any

from ecor_jax.commands import cli

DEFAULTS = {"model": ["openai/ViT-B-32"], "batch_size": [32], "dtype": ["float32"], "rounds": 5, "minutes": math.inf}
QUICK = DEFAULTS | {"batch_size": [8], "rounds": 2, "minutes": 2.2}
DEVICE = DEFAULTS | {"batch_size": [256], "dtype": ["bfloat16"], "rounds": 3, "minutes": 6.0}
DEVICE |= {"model": ["openai/ViT-B-32", "openai/ViT-B-16", "openai/ViT-L-14"]}


def main(args: argparse.Namespace) -> None:
    from ecor_jax.benchmarks.models import Setting
    from ecor_jax.benchmarks.page import tables, write_page
    from ecor_jax.benchmarks.run import SUITES, benchmark, check_device
    from ecor_jax.errors import UserError, needs

    if args.peers:
        needs("torch", "torch")
    if args.device:
        check_device(args.device)
    # Options that were not given take the defaults of --device or --quick or, without these, DEFAULTS.
    defaults = DEVICE if args.device else QUICK if args.quick else DEFAULTS
    for name, value in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    output = cli.output_file(args.output)
    page = args.page and cli.output_file(args.page)
    for path in (args.tokenizer, args.images, *args.rationales):
        if path is not None and not path.exists():
            raise UserError(f"{path}: no such file or directory")
    given = {"tokenizer": args.tokenizer, "images": args.images, "peers": args.peers, "quick": args.quick}
    combined = itertools.product(args.model, args.batch_size, args.dtype, args.rationales)
    settings = [Setting(model, size, dtype, rationales=words, **given) for model, size, dtype, words in combined]
    report = benchmark(args.suite or list(SUITES), settings, args.rounds, output, add=args.add, minutes=args.minutes)
    if page:
        write_page(page, report, output)
    if args.device:
        print("\n".join(tables(report)))


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("--suite", type=_list, metavar="A,B", help="suites to measure (default: all)")
    add("--quick", action="store_true", help="small settings: three minutes on two cores")
    kinds = "settings for a single run on one such device; an error if JAX finds another kind"
    add("--device", choices=("gpu", "tpu", "cpu"), help=kinds)
    add("--peers", action="store_true", help="also time other implementations of the same work")
    add("--output", type=cli.path_arg, required=True, metavar="FILE.json", help="file of the results")
    add("--add", action="store_true", help="keep the other suites that FILE.json has of this machine")
    add("--page", type=cli.path_arg, metavar="FILE.md", help="page with tables of the results")
    add("--model", type=_list, metavar="A,B", help="presets or model directories (default: openai/ViT-B-32)")
    add("--batch_size", type=_each(_number), metavar="N,M", help="images per batch (default: 32)")
    add("--dtype", type=_types, metavar="A,B", help="float32, bfloat16, or both (default: float32)")
    add("--rounds", type=_number, metavar="N", help="repetitions of each implementation (default: 5)")
    add("--minutes", type=_minutes, metavar="N", help="start no suite after this many minutes (default: no limit)")
    merges = "OpenAI's merges, for a preset (default: a tokenizer learned from the vocabulary)"
    add("--tokenizer", type=cli.path_arg, metavar="FILE", help=merges)
    words = "files of classes and rationales (default: those of the drawings)"
    add("--rationales", type=_each(cli.path_arg), default=[None], metavar="A.json,B.json", help=words)
    add("--images", type=cli.path_arg, metavar="PATH", help="a folder or zip to decode (default: generated ones)")
    return parser


def _list(text: str) -> list[str]:
    names = text.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError(f"is {text!r}; expected names, with commas")
    return names


def _each(kind: Callable[[str], Any]) -> Callable[[str], list]:
    return lambda text: [kind(item) for item in _list(text)]


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10**6:
        raise argparse.ArgumentTypeError(f"is {text!r}; expected a number from 1 to 1000000")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not minutes >= 0:
        raise argparse.ArgumentTypeError(f"is {text!r}; expected a number of minutes")
    return minutes


def _types(text: str) -> list[str]:
    if unknown := set(_list(text)) - {"float32", "bfloat16"}:
        raise argparse.ArgumentTypeError(f"is {sorted(unknown)[0]!r}; expected float32, bfloat16, or both")
    return _list(text)
