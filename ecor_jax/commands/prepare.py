"""Images in a folder, a zip or a RecordIO file to ArrayRecord files, which are read fast by many machines at once.

    ecor-jax prepare --source=images.zip --output=DIR [--split=train]

DIR can then stand wherever a config takes `data.images`.
"""

import argparse

from ecor_jax.commands import cli
from ecor_jax.errors import printable


def main(args: argparse.Namespace) -> None:
    # Imported late: --help and a mistyped option answer at once.
    from ecor_jax.data.prepare import prepare

    prepared = prepare(args.source, args.output, args.split, args.on_bad_image)
    for message in prepared.bad:
        print(f"left out: {printable(message)}")
    counts = ", ".join(f"{count} in {split}" for split, count in prepared.counts.items())
    print(f"{args.output}: images: {counts}; unreadable and left out: {len(prepared.bad)}")


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--source",
        required=True,
        type=cli.a_path,
        metavar="PATH",
        help="folder tree (class/image, class/rationale/image, or with a label.txt), zip, or MXNet .rec",
    )
    parser.add_argument("--output", required=True, type=cli.a_path, metavar="DIR", help="must not exist, or be empty")
    parser.add_argument(
        "--split", default="", metavar="NAME", help="only images below this top folder (default: every split)"
    )
    parser.add_argument(
        "--on_bad_image",
        default="error",
        choices=["error", "skip"],
        help="what to do about unreadable images (default: %(default)s)",
    )
    return parser
