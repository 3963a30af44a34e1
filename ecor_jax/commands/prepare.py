"""Converts images in a folder, a zip, a RecordIO file or TFDS to ArrayRecord files, which many machines can read fast.

    ecor-jax prepare --source=images.zip --output=DIR [--split=train] [--shard_size=256]

DIR can be used wherever a config takes `data.images`.
"""

import argparse

from ecor_jax.commands import cli
from ecor_jax.errors import printable


def main(args: argparse.Namespace) -> None:
    from ecor_jax.data.prepare import prepare

    size = args.shard_size << 20
    prepared = prepare(args.source, args.output, args.split, args.on_bad_image, shard_size=size)
    for line in prepared.tally.lines:
        print(f"left out: {printable(line)}")
    counts = ", ".join(f"{count} in {split}" for split, count in prepared.counts.items())
    print(f"{args.output}: images: {counts} ({prepared.tally})")


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    add = parser.add_argument
    kinds = "folder tree (class/image, class/rationale/image, or with a label.txt), zip, MXNet .rec, or tfds:NAME"
    add("--source", required=True, type=cli.path_arg, metavar="PATH", help=kinds)
    add("--output", required=True, type=cli.path_arg, metavar="DIR", help="must not exist, or be empty")
    add("--split", default="", metavar="NAME", help="only images below this top folder (default: every split)")
    size = "mebibytes of each file, at most (default: %(default)s)"
    add("--shard_size", default=256, type=_mebibytes, metavar="MIB", help=size)
    unreadable = "what to do about unreadable images (default: %(default)s)"
    add("--on_bad_image", default="error", choices=["error", "skip"], help=unreadable)
    return parser


def _mebibytes(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1 << 20):
        raise argparse.ArgumentTypeError(f"is {text!r}; expected a whole number of mebibytes, from 1")
    return int(text)
