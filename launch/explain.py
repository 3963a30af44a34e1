"""Explains pictures: the most probable categories and rationales of each, as a page to open.

    python -m launch.explain --model=DIR --images PATH ... --output=DIR [--rationales=FILE.json]

PATH is a picture, or a folder or zip of pictures. A tuned model explains in the words it was tuned on, unless
--rationales gives others; a plain CLIP needs --rationales.
"""

import argparse
from pathlib import Path

from launch import cli


def main(args: argparse.Namespace) -> None:
    from ecor_jax.runs import explain

    page = explain.run(args.model, args.images, args.output, args.rationales, args.method, args.top_k)
    print(f"wrote {page}")


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", required=True, metavar="DIR", help="model directory or hub id")
    parser.add_argument("--images", required=True, nargs="+", type=Path, metavar="PATH", help="what to explain")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the page")
    parser.add_argument("--rationales", type=Path, metavar="FILE.json", help="{class: [rationale, ...]}")
    parser.add_argument("--method", default="", help="methods, with commas (default: those tuned, or ecor)")
    parser.add_argument("--top_k", type=int, default=5, help="pairs for each picture")
    return parser


if __name__ == "__main__":
    cli.run(main, parser())
