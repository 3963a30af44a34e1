"""The description of a class of the built-in set: the possible bodies of an object, and the slots for its parts."""

import dataclasses
from dataclasses import dataclass

from ecor_jax.data.procedural.pen import Colour


@dataclass(frozen=True)
class Slot:
    """A position on an object with the rationales that may fill it, one at a time, so that parts never overlap.

    `x` and `y` are in half extents of the body (0, 0 is its centre, y points down), `size` is in units of the object's
    frame, `angle` in degrees. A part `behind` the body is drawn before it, other parts on top of it. A `limb` has the
    colour of the body. An `essential` slot is filled in most drawings, because few people recognise the object without
    it. A rationale that is a surface pattern (a key of `surfaces.SURFACES`) covers the body and ignores the position.
    """

    rationales: tuple[str, ...]
    x: float = 0.0
    y: float = 0.0
    size: float = 1.0
    angle: float = 0.0
    behind: bool = False
    limb: bool = False
    essential: bool = False


@dataclass(frozen=True)
class ObjectClass:
    """A class: the silhouettes and the half extents of its body, and its slots from back to front.

    Every drawing of the class has the `details`: slots with one key of `parts.DETAILS`, which is no rationale. The body
    has the colour `natural` in most drawings, or any colour of the palette.
    """

    name: str
    shapes: tuple[str, ...]
    across: float
    down: float
    slots: tuple[Slot, ...]
    details: tuple[Slot, ...] = ()
    natural: Colour | None = None

    @property
    def rationales(self) -> tuple[str, ...]:
        """Returns all rationales of the class."""
        return tuple(rationale for slot in self.slots for rationale in slot.rationales)


def behind(rationales: str | tuple[str, ...], x: float, y: float, size: float, angle: float = 0.0) -> Slot:
    """Returns a slot behind the body."""
    return Slot(_tuple(rationales), x, y, size, angle, behind=True)


def front(rationales: str | tuple[str, ...], x: float, y: float, size: float, angle: float = 0.0) -> Slot:
    """Returns a slot in front of the body."""
    return Slot(_tuple(rationales), x, y, size, angle)


def surface(*rationales: str) -> Slot:
    """Returns the slot of the surface patterns of a body."""
    return Slot(rationales)


def limb(slot: Slot) -> Slot:
    """Returns `slot` with parts that have the colour of the body."""
    return dataclasses.replace(slot, limb=True)


def essential(slot: Slot) -> Slot:
    """Returns `slot` as one that most drawings fill."""
    return dataclasses.replace(slot, essential=True)


def _tuple(rationales: str | tuple[str, ...]) -> tuple[str, ...]:
    return (rationales,) if isinstance(rationales, str) else rationales
