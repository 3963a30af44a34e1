"""Runs the complete pipeline in 90 seconds on a laptop, on generated drawings: from no data to explanations.

    ecor-jax quickstart --workdir=DIR

Tunes DROR and ECOR on a style of drawings that the shipped CLIP has not seen, compares them with the untuned CLIP,
tests whether the reasons that they give are causes and where they are seen, and writes DIR/report/index.html, a page of
pictures with each model's predictions, rationales and saliency maps. With --from_scratch, a CLIP is pretrained first
(DIR/clip, three minutes more). The same command resumes a run that was stopped.
"""

import argparse
import time

import ecor_jax
from ecor_jax.commands import cli
from ecor_jax.config.files import read_config, shipped
from ecor_jax.config.options import Config
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object


def main(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    _check_kind(args)
    ecor_jax.train(_config(args), args.workdir)
    minutes, seconds = divmod(round(time.perf_counter() - start), 60)
    print(f"done in {minutes} min {seconds} s")


def _check_kind(args: argparse.Namespace) -> None:
    """Raises UserError if the working directory holds a quickstart of the other kind."""
    path = args.workdir / "config.json"
    if not path.is_file():
        return
    from_scratch = bool(read_object(path).get("pretrain"))
    if from_scratch != args.from_scratch:
        kind, hint = ("with a CLIP of its own", "add") if from_scratch else ("with the shipped CLIP", "leave out")
        raise UserError(
            f"{args.workdir}: holds a quickstart {kind}; {hint} --from_scratch, or choose another --workdir"
        )


def _config(args: argparse.Namespace) -> Config:
    config = read_config(shipped() / "quickstart.py", "from_scratch" if args.from_scratch else "shipped")
    seeds = ("seed", "pretrain.seed") if args.from_scratch else ("seed",)
    config.update_from_flattened_dict(dict.fromkeys(seeds, args.seed))
    return config


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_workdir(parser)
    seed = "of the weights, the prompts and the order of the pictures (default: 0)"
    parser.add_argument("--seed", type=int, default=0, help=seed)
    own = "pretrain a CLIP first, instead of using the one that ships"
    parser.add_argument("--from_scratch", action="store_true", help=own)
    return parser
