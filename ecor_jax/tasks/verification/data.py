"""The people a verification config trains on, and the pairs it judges by."""

import dataclasses

import numpy as np
from tqdm import tqdm

from ecor_jax.config import Config
from ecor_jax.data.decode import picture_of
from ecor_jax.data.files import some_of
from ecor_jax.data.images import open_images
from ecor_jax.data.pair_sets import PairSet, open_pairs, pairs_within
from ecor_jax.data.records import BadImage, Source
from ecor_jax.data.sources import Subset
from ecor_jax.errors import UserError
from ecor_jax.metrics.verification import FOLDS


@dataclasses.dataclass(frozen=True)
class Faces:
    """No person is in both; `held_out` is None where none was kept."""

    train: Source
    held_out: Source | None


def open_faces(data: Config) -> Faces:
    """The people of `data.images`, `data.held_out` of them drawn for the pairs. UserError for options out of range."""
    if not data.images:
        raise UserError("--config.data.images is not set: expected a path")
    source = open_images(data.images, split=data.split)
    people = source.classes
    if not 0 <= data.held_out < len(people) - 1:
        raise UserError(f"data.held_out is {data.held_out}; expected 0 to {len(people) - 2} of {len(people)} people")
    order = np.random.default_rng(data.seed).permutation(len(people))
    held_out = {people[row] for row in order[: data.held_out]}
    rows = {held: [n for n, name in enumerate(source.categories) if (name in held_out) == held] for held in (0, 1)}
    if not 0 <= data.subset <= len(rows[0]):
        raise UserError(f"data.subset is {data.subset}; expected 0 to {len(rows[0])}, the images to train on")
    if data.subset:
        drawn = np.random.default_rng(data.seed).choice(len(rows[0]), data.subset, replace=False)
        rows[0] = [rows[0][row] for row in np.sort(drawn)]
    return Faces(Subset(source, rows[0]), Subset(source, rows[1]) if held_out else None)


def open_pair_sets(config: Config, faces: Faces | None) -> dict[str, PairSet]:
    """The held-out people's pairs, then those of the config, by name."""
    sets = {}
    if faces is not None and faces.held_out is not None:
        sets[config.data.name] = pairs_within(config.data.name, faces.held_out, config.data.seed)
    for name, entry in config.pairs.items():
        if name in sets:
            raise UserError(f"data.name is {name!r}, as pairs in the config are; expected another name")
        sets[name] = open_pairs(name, entry.path, entry.images)
    if not sets:
        raise UserError("there are no pairs to judge by: set data.held_out, or pairs in the config")
    for name, pairs in sets.items():
        _check(name, pairs)
    return sets


def _check(name: str, pairs: PairSet) -> None:
    """UserError for what would else end a run after its training: too few pairs, pictures that cannot be read."""
    if len(pairs.same) < FOLDS:
        raise UserError(
            f"{pairs.images.origin}: {len(pairs.same)} pairs in {name}; expected at least {FOLDS}, one a fold"
        )
    bad = []
    for row in tqdm(range(len(pairs.images)), f"looking at {name}", unit="image", mininterval=1):
        try:
            picture_of(pairs.images[row])
        except BadImage as error:
            bad.append(str(error))
    if bad:
        raise UserError(f"{pairs.images.origin}: {len(bad)} pictures of pairs cannot be read: {some_of(bad)}")
