"""Uploads a model directory to the Hugging Face hub, as USER/NAME.

    ecor-jax push DIR USER/NAME

Only the files of the model and its card (README.md) are uploaded. Authentication is by `hf auth login` or HF_TOKEN in
the environment. `ecor_jax.load("USER/NAME")`, and --model=USER/NAME of every command, load the model again.
"""

import argparse

from ecor_jax.commands import cli


def main(args: argparse.Namespace) -> None:
    from ecor_jax.checkpoints.push import push

    print(push(args.directory, args.name, private=args.private))


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    parser.add_argument("directory", type=cli.path_arg, metavar="DIR", help="a model directory, such as WORKDIR/model")
    parser.add_argument("name", metavar="USER/NAME", help="a repository; it is made where there is none")
    parser.add_argument("--private", action="store_true", help="a repository that is made is not public")
    return parser
