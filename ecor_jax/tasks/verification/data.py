"""Opens the data of a verification config: the people to train on, and the sets of pairs to evaluate on."""

import dataclasses

import numpy as np
from tqdm import tqdm

from ecor_jax.data.decode import picture_of
from ecor_jax.data.images import open_images
from ecor_jax.data.pair_sets import PairSet, open_pairs, pairs_within
from ecor_jax.data.records import BadImage, Source
from ecor_jax.data.sources import Subset
from ecor_jax.data.tally import Tally
from ecor_jax.errors import UserError, some_of
from ecor_jax.metrics.verification import FOLDS
from ecor_jax.tasks.verification.options import FaceData, VerificationOptions


@dataclasses.dataclass(frozen=True)
class Faces:
    """Splits with disjoint people; `validation` and `held_out` are None if no people are kept for them."""

    train: Source
    validation: Source | None
    held_out: Source | None


def open_faces(data: FaceData, tally: Tally, *, training: bool) -> Faces:
    """Opens `data.images` and draws people for the held-out (test) pairs and for the validation pairs.

    tally: counts the pictures found and skipped; unless `training`, all but the held-out people's are skipped.

    Raises UserError if there are too few people or pictures for the options, or pictures of unknown people.
    """
    if not data.images:
        raise UserError("--config.data.images is not set: expected a path")
    source = open_images(data.images, split=data.split)
    tally.add_source(source)
    people = source.classes
    if data.held_out + data.validation >= len(people) - 1:
        kept = f"data.held_out is {data.held_out}" + (f" and data.validation {data.validation}" * (data.validation > 0))
        raise UserError(f"{kept}; expected 0 to {len(people) - 2} of {len(people)} people")
    order = np.random.default_rng(data.seed).permutation(len(people))
    if unknown := sum(not name for name in source.categories):
        if data.on_bad_image == "error":
            raise UserError(f"{source.origin}: {unknown} of {len(source)} pictures are of no known person")
        tally.skip("of no known person", unknown, source.origin)
    part_of = dict.fromkeys(people, "train")
    part_of |= {people[number]: "held_out" for number in order[: data.held_out]}
    part_of |= {people[number]: "validation" for number in order[data.held_out :][: data.validation]}
    pictures = {
        split: [number for number, name in enumerate(source.categories) if part_of.get(name) == split]
        for split in ("train", "validation", "held_out")
    }
    train = pictures["train"]
    if data.subset > len(train):
        raise UserError(f"data.subset is {data.subset}; expected 0 to {len(train)}, the images to train on")
    if data.subset:
        drawn = np.random.default_rng(data.seed).choice(len(train), data.subset, replace=False)
        tally.skip("not drawn (data.subset)", len(train) - len(drawn), source.origin)
        train = [train[number] for number in np.sort(drawn)]
    if not training:
        tally.skip("kept for training", len(train) + len(pictures["validation"]), source.origin)
    validation, held_out = (
        Subset(source, pictures[split]) if pictures[split] else None for split in ("validation", "held_out")
    )
    return Faces(Subset(source, train), validation, held_out)


def open_pair_sets(options: VerificationOptions, faces: Faces | None, tally: Tally) -> dict[str, PairSet]:
    """Opens the pairs of the held-out people, then those of the config, by name. Raises UserError if there are none."""
    sets = {}
    if faces is not None and faces.held_out is not None:
        sets[options.data.name] = pairs_within(options.data.name, faces.held_out, options.data.seed)
    for name, entry in options.pairs.items():
        if name in sets:
            raise UserError(f"data.name is {name!r}, as pairs in the config are; expected another name")
        sets[name] = open_pairs(name, entry.path, entry.images)
        tally.add_source(sets[name].images)
    if not sets:
        raise UserError("there are no pairs to evaluate by: set data.held_out, or pairs in the config")
    for name, pairs in sets.items():
        _check(name, pairs)
    return sets


def _check(name: str, pairs: PairSet) -> None:
    """Raises UserError for too few pairs or unreadable pictures, which would otherwise end a run after its training."""
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
