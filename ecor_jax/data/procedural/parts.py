"""Every part that is fixed to a body, by the rationale that names it."""

from ecor_jax.data.procedural.features import FEATURES
from ecor_jax.data.procedural.fittings import FITTINGS
from ecor_jax.data.procedural.pen import Draw

PARTS: dict[str, Draw] = FITTINGS | FEATURES
