"""Evaluates a model on a rationale dataset, on classes with descriptors, on pairs of faces, or on chest X-rays.

    ecor-jax evaluate --model=DIR --config=configs/folder.py --config.data.images=... \\
        --config.data.rationales=FILE.json --config.method=ecor --output=results.json

DIR is a tuned model (`WORKDIR/model`) or, except for chest X-rays, any converted CLIP.
"""

import argparse

import ecor_jax
from ecor_jax.commands import cli


def main(args: argparse.Namespace) -> None:
    config = cli.config_of(args)
    output, answers = (path and cli.output_file(path) for path in (args.output, args.answers))
    ecor_jax.evaluate(args.model, config, output=output, report=args.report, answers=answers)


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_config(parser)
    cli.add_processes(parser)
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="model directory, hub id, or drawings, which ships"
    )
    parser.add_argument("--output", required=True, metavar="FILE.json", type=cli.path_arg, help="where the results go")
    parser.add_argument("--report", metavar="DIR", type=cli.path_arg, help="folder of a page (default: none)")
    answers = "file of a line of JSON for each picture or pair (default: none is written)"
    parser.add_argument("--answers", metavar="FILE.jsonl", type=cli.path_arg, help=answers)
    return parser
