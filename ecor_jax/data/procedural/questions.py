"""Questions about the built-in drawings, with answers and what supports them, both known from the drawing.

An answer is the category of a drawing, and its support is the rationale: the joint model and the doubly right
evaluation then apply to questions other than what a picture shows.
"""

import colorsys
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ecor_jax.data.procedural import Procedural
from ecor_jax.data.procedural.objects import KINDS, vocabulary
from ecor_jax.data.procedural.painting import hue_rotation
from ecor_jax.data.procedural.parts import PARTS
from ecor_jax.data.procedural.pen import Colour
from ecor_jax.data.procedural.scene import Part, Scene, sample_scene
from ecor_jax.data.records import Record, Source
from ecor_jax.data.vocabulary import Vocabulary


class Prompts(NamedTuple):
    """Templates of an answer {c}, of its support {r}, and of both."""

    answer: str
    support: str
    pair: str


PROMPTS: Mapping[str, Prompts] = {
    "colour": Prompts("it is {c}", "there is {r}", "it is {c} because there is {r}"),
    "count": Prompts("it has {c} parts", "there is {r}", "it has {c} parts because there is {r}"),
    "part": Prompts("it has {c} above all", "there is {r}", "it has {c} above all because there is {r}"),
    "where": Prompts("its largest part is {c}", "there is {r}", "its largest part is {c} because there is {r}"),
    "caption": Prompts("a drawing of {c}", "there is {r}", "a drawing of {c} with {r}"),
}
QUESTIONS = tuple(PROMPTS)
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
PLACES = ("in the middle", "on the left", "on the right", "above", "below")
HUES = {15: "red", 45: "orange", 70: "yellow", 165: "green", 255: "blue", 300: "purple", 345: "pink", 361: "red"}
"""Names of hues below an angle in degrees."""


class Answer(NamedTuple):
    """An answer and the texts that support it."""

    text: str
    support: tuple[str, ...]


def answer_of(scene: Scene, question: str) -> Answer:
    """Returns the answer to a question about a drawing, and what supports it.

    colour: that of the body's paint, of which line art shows a pale tint, supported by the object. count: the number of
    parts, supported by all of them. part: the largest part, supported by the object. where: the place of the largest
    part, supported by that part. caption: the object, supported by its parts.
    """
    return _ANSWERS[question](scene)


def colour_name(colour: Colour) -> str:
    """Returns one of nine names of an RGB colour, by its hue, saturation and value."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
    if saturation < 0.15 or value < 0.2:
        return "grey"
    name = next(name for below, name in HUES.items() if 360 * hue < below)
    return "brown" if name in ("red", "orange") and value < 0.75 else name


def question_of(name: str) -> str:
    """Returns the question of a record of `Questions` with this name."""
    return next(question for question in QUESTIONS if name.endswith(f" {question}"))


def question_vocabulary(question: str) -> Vocabulary:
    """Returns the answers of a question as classes; every answer has all rationales that may support it."""
    things, parts = tuple(_a(kind.name) for kind in KINDS), vocabulary().rationales
    placed = tuple(part for part in parts if part in PARTS)
    if question == "colour":
        return Vocabulary.from_lists(dict.fromkeys(sorted({*HUES.values(), "brown", "grey"}), things))
    if question == "count":
        return Vocabulary.from_lists(dict.fromkeys(NUMBERS[3:8], parts))
    if question == "where":
        return Vocabulary.from_lists(dict.fromkeys(PLACES, placed))
    if question == "caption":
        return Vocabulary.from_lists({_a(kind.name): kind.rationales for kind in KINDS})
    return Vocabulary.from_lists(
        {part: [_a(kind.name) for kind in KINDS if part in kind.rationales] for part in placed}
    )


class Questions(Source):
    """Drawings with the answers to a question as categories, and what supports them as rationales.

    question: one for all drawings, or None for all questions in turn, for captions; a record's name ends in its own.
    """

    def __init__(self, drawings: Procedural, question: str | None):
        self._drawings, self._question, self.origin = drawings, question, drawings.origin
        self.categories = tuple(self._answer(index).text for index in range(len(drawings)))

    def __getitem__(self, index: int) -> Record:
        record, answer = self._drawings[index], self._answer(index)
        name = f"{record['name']} {self._asked(index)}"
        return Record(image=record["image"], category=answer.text, rationales=answer.support, name=name)

    def _answer(self, index: int) -> Answer:
        scene = sample_scene(self._drawings.style, self._drawings.seed, index)
        return answer_of(scene, self._asked(index))

    def _asked(self, index: int) -> str:
        # Classes alternate, so each class has all questions in turn.
        return self._question or QUESTIONS[index // len(KINDS) % len(QUESTIONS)]


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _largest(scene: Scene) -> Part:
    # Surface patterns cover the body and have no place.
    return max((part for part in scene.parts if part.rationale in PARTS), key=lambda part: part.slot.size)


def _colour(scene: Scene) -> Answer:
    turned = np.asarray(scene.body) @ hue_rotation(scene.finish.hue).T
    red, green, blue = np.clip(255 - turned if scene.finish.negative else turned, 0, 255).astype(int).tolist()
    return Answer(colour_name((red, green, blue)), (_a(scene.kind.name),))


def _count(scene: Scene) -> Answer:
    return Answer(NUMBERS[len(scene.parts)], scene.rationales)


def _part(scene: Scene) -> Answer:
    return Answer(_largest(scene).rationale, (_a(scene.kind.name),))


def _where(scene: Scene) -> Answer:
    part = _largest(scene)
    x, y = part.slot.x * (-1 if scene.mirrored else 1), part.slot.y
    if max(abs(x), abs(y)) < 0.35:  # of the half extents of the body
        place = "in the middle"
    elif abs(y) >= abs(x):
        place = "below" if y > 0 else "above"
    else:
        place = "on the right" if x > 0 else "on the left"
    return Answer(place, (part.rationale,))


def _caption(scene: Scene) -> Answer:
    return Answer(_a(scene.kind.name), scene.rationales)


_ANSWERS: Mapping[str, Callable[[Scene], Answer]] = {
    "colour": _colour,
    "count": _count,
    "part": _part,
    "where": _where,
    "caption": _caption,
}
