"""Opens a page in the browser to try a model on pictures.

    ecor-jax demo --model=DIR [--rationales=FILE.json] [--examples PATH ...] [--port=7860] [--host=127.0.0.1]

A model of rationales explains a picture by classes and rationales that can be edited on the page; a model that compares
faces takes two pictures; a model of X-rays or other classes has sliders for the descriptors that counted most. The page
is for this machine alone, unless --host names another address. It loads nothing from a network, and nothing that is
added to it is kept after the end (Ctrl-C). Needs Gradio: pip install "ecor-jax[demo]".
"""

import argparse

import ecor_jax
from ecor_jax.commands import cli
from ecor_jax.errors import needs


def main(args: argparse.Namespace) -> None:
    needs("gradio", "demo")
    from ecor_jax.demo.serve import demo

    demo(
        lambda: ecor_jax.load(args.model, args.rationales, task=args.task),
        host=args.host,
        port=args.port,
        examples=args.examples,
    )


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("--model", required=True, metavar="DIR", help="model directory, hub id, or drawings, which ships")
    words = "{class: [rationale, ...]} (default: those the model was tuned on)"
    add("--rationales", type=cli.path_arg, metavar="FILE.json", help=words)
    pictures = "pictures to choose from, or folders or zips of them (default: drawings, for a model of those)"
    add("--examples", nargs="+", default=[], type=cli.path_arg, metavar="PATH", help=pictures)
    add("--port", type=_port, default=7860, metavar="N", help="port to listen on; 0 takes a free one (default: 7860)")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    add(
        "--task",
        default="",
        metavar="MODULE:CLASS",
        help="a task of your own (default: what the model directory holds)",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"is {text!r}; expected a port, 0 to 65535")
    return int(text)
