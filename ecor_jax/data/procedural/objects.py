"""The twelve classes of the built-in set: the possible bodies of each object, and the slots for its parts."""

from dataclasses import dataclass

from ecor_jax.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Slot:
    """A position on an object with the rationales that may fill it, one at a time, so that parts never overlap.

    `x` and `y` are in half extents of the body (0, 0 is its centre, y points down), `size` is in units of the object's
    frame, `angle` in degrees. A part `behind` the body is drawn before it, other parts on top of it. A rationale that
    is a surface pattern (a key of `surfaces.SURFACES`) covers the body and ignores the position.
    """

    rationales: tuple[str, ...]
    x: float = 0.0
    y: float = 0.0
    size: float = 1.0
    angle: float = 0.0
    behind: bool = False


@dataclass(frozen=True)
class ObjectClass:
    """A class: the silhouettes and the half extents of its body, and its slots from back to front."""

    name: str
    shapes: tuple[str, ...]
    across: float
    down: float
    slots: tuple[Slot, ...]

    @property
    def rationales(self) -> tuple[str, ...]:
        """Returns all rationales of the class."""
        return tuple(rationale for slot in self.slots for rationale in slot.rationales)


def _behind(rationale: str, x: float, y: float, size: float, angle: float = 0.0) -> Slot:
    return Slot((rationale,), x, y, size, angle, behind=True)


KINDS: tuple[ObjectClass, ...] = (
    ObjectClass("bus", ("box", "loaf"), 0.8, 0.46, (
        _behind("stacked luggage", -0.1, -0.92, 0.42),
        Slot(("a striped body", "painted flowers")),
        Slot(("square windows", "round windows"), 0.0, -0.38, 0.66),
        Slot(("round wheels",), 0.0, 1.0, 0.74),
    )),
    ObjectClass("train", ("box", "loaf", "block"), 0.72, 0.44, (
        _behind("puffs of smoke", -0.62, -1.1, 0.42),
        _behind("a ringing bell", 0.5, -1.5, 0.42),
        Slot(("a checked body",)),
        Slot(("square windows", "arched windows"), 0.0, -0.32, 0.62),
        Slot(("round wheels",), 0.0, 1.0, 0.72),
    )),
    ObjectClass("boat", ("hull", "bowl"), 0.82, 0.36, (
        _behind("a billowing sail", 0.1, -0.7, 0.78),
        _behind("a waving flag", -0.86, -1.0, 0.46),
        _behind("a ringing bell", 0.72, -1.42, 0.34),
        Slot(("a striped body",)),
        Slot(("round windows",), -0.1, 0.0, 0.46),
        Slot(("a heavy anchor",), 0.78, 0.35, 0.32),
        Slot(("splashing waves",), 0.0, 1.0, 1.0),
    )),
    ObjectClass("rocket", ("capsule", "taper", "oval"), 0.36, 0.58, (
        _behind("a burst of flames", 0.0, 1.0, 0.4),
        _behind("curved fins", 0.0, 0.55, 0.44),
        _behind("a pointed top", 0.0, -0.8, 0.38),
        _behind("a tall ladder", 2.4, 0.1, 0.66, -8.0),
        Slot(("a checked body",)),
        Slot(("round windows",), 0.0, 0.0, 0.5, 90.0),
    )),
    ObjectClass("house", ("block", "taper", "toadstool"), 0.56, 0.5, (
        _behind("a pointed top", 0.0, -0.9, 0.64),
        _behind("puffs of smoke", 0.6, -1.12, 0.4),
        Slot(("brick walls",)),
        Slot(("square windows",), 0.0, -0.42, 0.44),
        Slot(("an arched door",), 0.0, 0.64, 0.32),
        Slot(("climbing ivy",), -1.16, 0.1, 0.52),
        Slot(("a picket fence",), 1.2, 0.78, 0.36),
    )),
    ObjectClass("castle", ("block", "taper", "box"), 0.58, 0.56, (
        _behind("a waving flag", 0.45, -1.25, 0.52),
        _behind("a tall ladder", -1.4, 0.1, 0.6, 8.0),
        Slot(("brick walls",)),
        Slot(("stone battlements",), 0.0, -1.06, 0.7),
        Slot(("arched windows",), 0.0, -0.34, 0.5),
        Slot(("an arched door",), 0.0, 0.58, 0.36),
        Slot(("splashing waves",), 0.0, 1.12, 0.95),
    )),
    ObjectClass("robot", ("box", "capsule", "block"), 0.44, 0.5, (
        _behind("long antennae", 0.0, -1.1, 0.46),
        Slot(("pincer arms", "spread wings"), 0.0, 0.05, 0.6, behind=True),
        Slot(("round wheels", "a burst of flames"), 0.0, 1.04, 0.46, behind=True),
        Slot(("big round eyes",), 0.0, -0.42, 0.38),
        Slot(("a row of buttons",), 0.0, 0.42, 0.36),
    )),
    ObjectClass("bird", ("oval", "egg", "capsule"), 0.5, 0.44, (
        _behind("a fanned tail", -0.95, 0.25, 0.56, -8.0),
        _behind("spread wings", 0.0, -0.5, 0.62),
        _behind("long thin legs", 0.0, 0.95, 0.5),
        _behind("a sharp beak", 1.1, -0.05, 0.46),
        Slot(("a spotted body",)),
        Slot(("a tiny crown",), 0.1, -1.1, 0.32),
        Slot(("big round eyes",), 0.38, -0.3, 0.32),
    )),
    ObjectClass("fish", ("oval", "egg", "capsule"), 0.56, 0.42, (
        _behind("a fanned tail", -0.95, 0.0, 0.6),
        _behind("curved fins", 0.0, 0.0, 0.5, 90.0),
        Slot(("a striped body", "shiny scales")),
        Slot(("big round eyes", "sleepy eyes"), 0.46, -0.15, 0.36),
        _behind("rising bubbles", 1.5, -0.9, 0.4),
    )),
    ObjectClass("snail", ("dome", "oval"), 0.54, 0.48, (
        _behind("long antennae", 0.98, -0.4, 0.46, 18.0),
        _behind("a slimy foot", 0.0, 0.95, 0.76),
        _behind("a fresh leaf", -0.75, -1.05, 0.42, -30.0),
        Slot(("a spiral shell", "a spotted body")),
        Slot(("sleepy eyes",), 0.42, 0.1, 0.38),
        Slot(("tufts of grass",), -1.3, 1.0, 0.4),
    )),
    ObjectClass("mushroom", ("toadstool", "dome"), 0.66, 0.56, (
        _behind("a tall ladder", 1.3, 0.05, 0.6, -10.0),
        Slot(("a spotted body",)),
        Slot(("a tiny crown",), 0.0, -1.2, 0.36),
        Slot(("round windows",), 0.0, -0.35, 0.44),
        Slot(("an arched door",), 0.0, 0.66, 0.34),
        Slot(("tufts of grass",), 0.9, 0.9, 0.36),
        Slot(("a picket fence",), -0.95, 0.78, 0.38),
    )),
    ObjectClass("teapot", ("oval", "dome", "bowl"), 0.52, 0.46, (
        _behind("a curved spout", 1.0, 0.0, 0.48),
        _behind("a looped handle", -0.9, 0.0, 0.52),
        _behind("rising bubbles", 1.5, -1.35, 0.3),
        Slot(("painted flowers",)),
        Slot(("a round lid",), 0.0, -0.98, 0.46),
        Slot(("sleepy eyes",), 0.0, 0.0, 0.44),
        Slot(("a fresh leaf",), 0.0, -2.1, 0.32, 12.0),
    )),
)  # fmt: skip


def vocabulary() -> Vocabulary:
    """Returns the vocabulary: classes, rationales by first appearance, and the rationales that may explain a class."""
    return Vocabulary.from_lists({kind.name: kind.rationales for kind in KINDS})
