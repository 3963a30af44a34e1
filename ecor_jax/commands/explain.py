"""Explains predictions: the class and rationales of a picture, findings of a chest X-ray, or whether two faces match.

    ecor-jax explain --model=DIR --images PATH ... --output=DIR [--rationales=FILE.json]
    ecor-jax explain --model=DIR --pair FIRST SECOND --output=DIR

Both write a page. PATH is a picture, or a folder or zip of pictures. A tuned model uses the vocabulary it was tuned on,
unless --rationales gives another; a plain CLIP needs --rationales. Chest X-rays need a model trained on them
(configs/xray_nih.py), pairs need a model trained on faces (configs/faces_orl.py). --pair may be repeated. For both
kinds of model, --what_if sets a descriptor to another value and may be repeated: for faces, its softmax weight within
its group, in the second picture; for X-rays, its cosine with the picture. --saliency adds maps of where in the picture
each rationale or descriptor is seen; their values are in explanations.json.
"""

import argparse

import ecor_jax
from ecor_jax.commands import cli
from ecor_jax.errors import UserError


def main(args: argparse.Namespace) -> None:
    names = ("rationales", "method", "top_k", "on_long", "threshold", "what_if", "saliency")
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    explainer = ecor_jax.load(args.model, task=args.task or ("verification" if args.pair else ""))
    if explainer.pairs and not args.pair:
        raise UserError(f"{args.model} compares faces; expected --pair FIRST SECOND, not --images")
    pictures = args.images or [picture for pair in args.pair for picture in pair]
    print(f"wrote {explainer.write(args.output, explainer.explain(pictures, **options))}")


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("--model", required=True, metavar="DIR", help="model directory, hub id, or drawings, which ships")
    what = parser.add_mutually_exclusive_group(required=True)
    pictures = "pictures, or folders or zips of them"
    what.add_argument("--images", nargs="+", type=cli.path_arg, metavar="PATH", help=pictures)
    faces = "two pictures of faces"
    what.add_argument("--pair", nargs=2, action="append", type=cli.path_arg, metavar=("FIRST", "SECOND"), help=faces)
    add("--output", required=True, type=cli.path_arg, metavar="DIR", help="folder of the page")
    add("--task", metavar="MODULE:CLASS", help="a task of your own (default: what the model directory holds)")
    words = "{class: [rationale, ...]} (default: those the model was tuned on)"
    add("--rationales", type=cli.path_arg, metavar="FILE.json", help=words)
    add("--method", help="methods, with commas (default: those tuned, or ecor)")
    add("--threshold", type=float, help="cosine that makes a match (default: the model's own)")
    asked = "sets a descriptor and shows what would become of the answer"
    add("--what_if", action="append", metavar="DESCRIPTOR=VALUE", help=asked)
    add("--saliency", action="store_true", default=None, help="maps of where in the picture each reason is seen")
    add("--top_k", type=int, help="pairs for each picture (default: 5)")
    long = "rationales of more tokens than the model reads (default: error)"
    add("--on_long", choices=["error", "skip"], help=long)
    return parser
