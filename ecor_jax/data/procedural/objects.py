"""The forty classes of the built-in set and their vocabulary."""

from ecor_jax.data.procedural.classes import animals, buildings, household, plants_and_food, vehicles
from ecor_jax.data.procedural.slots import ObjectClass
from ecor_jax.data.vocabulary import Vocabulary

KINDS: tuple[ObjectClass, ...] = (
    *vehicles.KINDS,
    *buildings.KINDS,
    *animals.KINDS,
    *plants_and_food.KINDS,
    *household.KINDS,
)


def vocabulary() -> Vocabulary:
    """Returns the vocabulary: classes, rationales by first appearance, and the rationales that may explain a class."""
    return Vocabulary.from_lists({kind.name: kind.rationales for kind in KINDS})
