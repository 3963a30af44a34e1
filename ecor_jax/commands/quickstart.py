"""Runs the complete pipeline in minutes on a laptop, on generated drawings: from no data to explanations.

    ecor-jax quickstart --workdir=DIR

Pretrains a small CLIP (DIR/clip), tunes DROR and ECOR on it, compares them with the untuned CLIP and writes
DIR/report/index.html, a page of pictures with each model's predictions and rationales. The same command resumes a run
that was stopped.
"""

import argparse
import time

import ecor_jax
from ecor_jax.commands import cli
from ecor_jax.config.files import read_config, shipped


def main(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    config = read_config(shipped() / "quickstart.py")
    config.update_from_flattened_dict({"seed": args.seed, "pretrain.seed": args.seed})
    ecor_jax.train(config, args.workdir)
    minutes, seconds = divmod(round(time.perf_counter() - start), 60)
    print(f"done in {minutes} min {seconds} s; open {args.workdir / 'report' / 'index.html'}")


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_workdir(parser)
    seed = "of the weights, the prompts and the order of the pictures (default: 0)"
    parser.add_argument("--seed", type=int, default=0, help=seed)
    return parser
