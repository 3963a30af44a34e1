"""Evaluates a model: RR, RW, WR, WW and accuracy of each method on a rationale dataset, or verification on pairs.

    python -m launch.evaluate --model=DIR --config=configs/folder.py --config.data.images=... \\
        --config.data.rationales=FILE.json --config.method=ecor --output=results.json

DIR is any converted CLIP, or a tuned model (`WORKDIR/model`).
"""

import argparse
from pathlib import Path

from launch import cli


def main(args: argparse.Namespace) -> None:
    config = cli.load_config(args)
    # Imported late: --help and a mistyped option answer at once.
    from ecor_jax import runs

    print(runs.evaluate(config, args.model, cli.output_file(args.output)))


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_config(parser)
    parser.add_argument("--model", required=True, metavar="DIR", help="model directory or hub id")
    parser.add_argument("--output", required=True, metavar="FILE.json", type=Path, help="where the results go")
    return parser


if __name__ == "__main__":
    cli.run(main, parser())
