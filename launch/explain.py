"""Explains pictures: the most probable categories and rationales of each; or whether two faces are the same person's.

    python -m launch.explain --model=DIR --images PATH ... --output=DIR [--rationales=FILE.json]
    python -m launch.explain --model=DIR --pair FIRST SECOND --output=DIR

Both write a page to open. PATH is a picture, or a folder or zip of pictures. A tuned model explains in the words it was
tuned on, unless --rationales gives others; a plain CLIP needs --rationales. A pair needs a model trained on faces
(configs/faces_orl.py); --pair may be given several times.
"""

import argparse
from pathlib import Path

from launch import cli


def main(args: argparse.Namespace) -> None:
    if args.pair:
        from ecor_jax.runs import explain_pairs

        print(f"wrote {explain_pairs.run(args.model, args.pair, args.output, args.threshold)}")
        return
    from ecor_jax.runs import explain

    page = explain.run(args.model, args.images, args.output, args.rationales, args.method, args.top_k)
    print(f"wrote {page}")


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", required=True, metavar="DIR", help="model directory or hub id")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", nargs="+", type=Path, metavar="PATH", help="what to explain")
    what.add_argument("--pair", nargs=2, action="append", type=Path, metavar=("FIRST", "SECOND"), help="two faces")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the page")
    parser.add_argument("--rationales", type=Path, metavar="FILE.json", help="{class: [rationale, ...]}")
    parser.add_argument("--method", default="", help="methods, with commas (default: those tuned, or ecor)")
    parser.add_argument("--threshold", type=float, help="cosine that makes a match (default: the model's own)")
    parser.add_argument("--top_k", type=int, default=5, help="pairs for each picture")
    return parser


if __name__ == "__main__":
    cli.run(main, parser())
