"""Drawing functions for the parts of objects; each part is centred at its origin and spans about [-1, 1], y down."""

from ecor_jax.data.procedural.parts.buildings import BUILDINGS
from ecor_jax.data.procedural.parts.common import COMMON
from ecor_jax.data.procedural.parts.details import DETAILS
from ecor_jax.data.procedural.parts.household import HOUSEHOLD
from ecor_jax.data.procedural.parts.mammals import MAMMALS
from ecor_jax.data.procedural.parts.plants_and_food import PLANTS_AND_FOOD
from ecor_jax.data.procedural.parts.scenery import SCENERY
from ecor_jax.data.procedural.parts.small_animals import SMALL_ANIMALS
from ecor_jax.data.procedural.parts.vehicles import VEHICLES
from ecor_jax.data.procedural.pen import Draw

__all__ = ["DETAILS", "PARTS"]

PARTS: dict[str, Draw] = COMMON | SCENERY | VEHICLES | BUILDINGS | MAMMALS | SMALL_ANIMALS | PLANTS_AND_FOOD | HOUSEHOLD
"""The drawing function of each part, keyed by its rationale."""
