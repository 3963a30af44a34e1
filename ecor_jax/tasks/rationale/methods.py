"""The methods of the rationale task: their factorisations of P(category, rationale | image), prompts and text banks."""

import dataclasses
import gc
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.tokenizer import TextTooLong, ids_of
from ecor_jax.config.options import check_template
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.features.text_bank import embed_pairs, embed_texts
from ecor_jax.parallel.shards import split_columns
from ecor_jax.tasks.rationale.joint import Banks, Condition, TopPairs

PAIR = "This is a photo of a {c} because there is {r}"

Order = Literal["rationale_first", "category_first", "pairs"]


@dataclasses.dataclass(frozen=True)
class Method:
    """A factorisation and its prompts, templates with the placeholders {c} (category) and {r} (rationale).

    order: 'rationale_first' is ECOR, P(r|I) P(c|r,I); 'category_first' the reversed order, P(c|I) P(r|c,I);
      'pairs' one softmax over all pairs (DROR, CLIP).
    outer: prompt of the first factor; empty for 'pairs'.
    pair: prompt of the second factor, or of pairs. If it lacks the placeholder of the first factor, the second factor
      does not depend on the first, unless by the `condition` (`joint.conditioned`).
    tuned: whether visual prompts are trained for it.
    """

    order: Order
    outer: str
    pair: str
    tuned: bool = True
    condition: Condition = "prompt"

    @property
    def conditional(self) -> bool:
        """Whether the prompt of the second factor contains the candidate of the first."""
        return {"rationale_first": "{r}", "category_first": "{c}", "pairs": ""}[self.order] in self.pair


METHODS: dict[str, Method] = {
    "clip": Method("pairs", "", PAIR, tuned=False),
    "dror": Method("pairs", "", PAIR),
    "ecor": Method("rationale_first", "There is {r}.", f"{PAIR}."),
    "ecor_reversed": Method("category_first", "This is a photo of a {c}", f"{PAIR}."),
    # P(c|I) P(r|I): the ablation of the condition, which is also the ablation that prompts with the category alone.
    "ecor_independent": Method("rationale_first", "There is {r}.", "This is a photo of a {c}"),
    "ecor_false_condition": Method("rationale_first", "There is {r}.", "There is {r} because this is a photo of a {c}"),
    # Shorter prompts for the same factors.
    "ecor_short": Method("rationale_first", "{r}", "{c} with {r}"),
    "ecor_untuned": Method("rationale_first", "There is {r}.", f"{PAIR}.", tuned=False),
    # ECOR's successor, without a prompt of both candidates: three readings of its abstract (`joint.conditioned`).
    # The paper trains nothing; cci_tuned has visual prompts as ECOR has.
    "cci": Method("rationale_first", "There is {r}.", "This is a photo of a {c}", tuned=False, condition="plane"),
    "cci_cone": Method("rationale_first", "There is {r}.", "This is a photo of a {c}", tuned=False, condition="cone"),
    "cci_tuned": Method("rationale_first", "There is {r}.", "This is a photo of a {c}", condition="plane"),
    "cci_mean": Method("rationale_first", "There is {r}.", "This is a photo of a {c}", tuned=False, condition="mean"),
}


def find_methods(names: Sequence[str]) -> dict[str, Method]:
    """Returns the methods of these names. Raises UserError, listing all methods, if a name is unknown or none given."""
    if not names or set(names) - set(METHODS):
        given = ",".join(names)
        raise UserError(f"method is {given!r}; expected one or several of {', '.join(METHODS)}, with commas")
    return {name: METHODS[name] for name in names}


def checked(method: Method) -> Method:
    """Validates a method that was read from a file. Raises UserError for an invalid order, condition or template."""
    for name, value, known in (("order", method.order, Order), ("condition", method.condition, Condition)):
        if value not in get_args(known):
            raise UserError(f"{name} is {value!r}; expected one of {', '.join(get_args(known))}")
    return with_templates(method, method.outer, method.pair)


def with_templates(method: Method, outer: str, pair: str) -> Method:
    """Returns the method with other prompts; empty ones keep its own. Raises UserError for an invalid template.

    A method with a condition in the space of embeddings has no prompt of both candidates.
    """
    for name, template in (("outer", outer), ("pair", pair)):
        check_template(template, "cr", f"templates.{name}")
    made = dataclasses.replace(method, outer=outer or method.outer, pair=pair or method.pair)
    if made.condition != "prompt" and (made.conditional or made.order == "pairs"):
        raise UserError(
            f"templates.pair is {made.pair!r} for a method that conditions by {made.condition!r} (cci); expected a "
            "prompt of the second candidate alone, such as 'This is a photo of a {c}'"
        )
    return made


def words_of(method: Method, vocabulary: Vocabulary) -> Mapping[str, Sequence[str]]:
    """Returns the outer candidates, then the inner ones, each under the letter of its placeholder."""
    words = {"r": vocabulary.rationales, "c": vocabulary.classes}
    return dict(reversed(words.items())) if method.order == "category_first" else words


def outer_prompts(method: Method, vocabulary: Vocabulary) -> list[str]:
    """Returns the prompts of the outer candidates alone."""
    (first, outer), (second, inner) = words_of(method, vocabulary).items()
    return [method.outer.format(**{first: word, second: inner[0]}) for word in outer]


def make_banks(
    method: Method, model: Model, vocabulary: Vocabulary, mesh: Mesh | None = None, methods: Iterable[Method] = ()
) -> Banks:
    """Encodes all prompts of a method; on a mesh, the bank of pairs is sharded by inner candidates.

    methods: the methods whose banks the run needs too; templates that begin alike share the encoding of that prefix.
    Raises UserError if the bank exceeds the free memory or, naming the classes, if prompts exceed the context of the
    text tower.
    """
    words = dict(words_of(method, vocabulary))
    if method.conditional or method.order == "pairs":
        check_memory(math.prod(map(len, words.values())), model, mesh)
    try:
        outer = None
        if method.order != "pairs":
            outer = embed_texts(model, outer_prompts(method, vocabulary))
        if not method.conditional:
            first = next(iter(words))
            words[first] = words[first][:1]
        pairs = embed_pairs(model, method.pair, words, needed=[other.pair for other in methods])
        pair = split_columns(pairs, mesh)
    except TextTooLong as error:
        raise UserError(f"{error} ({_owners(error.texts, vocabulary)})") from error
    return Banks(None if outer is None else jnp.asarray(outer), pair, method.condition)


def check_memory(pairs: int, model: Model, mesh: Mesh | None = None) -> None:
    """Raises UserError if the embeddings of so many pairs exceed the free memory, which is known on Linux alone.

    Several devices along the axis `model` share a bank, so that nothing is checked for them.
    """
    meminfo = Path("/proc/meminfo")
    if (mesh is not None and mesh.shape["model"] > 1) or not meminfo.is_file():
        return
    gc.collect()  # frees banks that are no longer used
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    if "MemAvailable" not in lines:
        return
    free = int(lines["MemAvailable"].split()[0]) * 1024
    needed = pairs * model.clip.config.embed_dim * jnp.dtype(model.clip.vision.dtype).itemsize
    if needed > free:
        raise UserError(
            f"the embeddings of {pairs:,} pairs take {needed / 2**30:.1f} GiB; {free / 2**30:.1f} GiB of memory are "
            "free. dtype=bfloat16 halves them, several devices share them, and the methods cci and ecor_independent "
            "have none"
        )


def over_context(methods: Iterable[Method], model: Model, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Returns the rationales whose prompt, with the longest class name, exceeds the context of the text tower.

    Prompts are tokenised per rationale and per class, not for all pairs, and nothing is encoded.
    """
    context, long = model.clip.config.text.context_length, set()

    def tokens(texts: list[str]) -> np.ndarray:
        return np.array([len(ids) for ids in ids_of(model.tokenizer, texts)])

    for method in methods:
        if "{r}" in method.outer:
            outer = [method.outer.format(c="", r=r) for r in vocabulary.rationales]
            long |= set(np.flatnonzero(tokens(outer) > context))
        if "{r}" in method.pair:
            longest = int(np.argmax(tokens([method.pair.format(c=c, r="") for c in vocabulary.classes])))
            pairs = [method.pair.format(c=vocabulary.classes[longest], r=r) for r in vocabulary.rationales]
            long |= set(np.flatnonzero(tokens(pairs) > context))
    return tuple(vocabulary.rationales[number] for number in sorted(long))


def _owners(texts: list[str], vocabulary: Vocabulary) -> str:
    """Describes the classes whose rationales occur in the texts that are too long."""
    owners = [
        name
        for name, gold in zip(vocabulary.classes, vocabulary.gold, strict=True)
        if any(vocabulary.rationales[r] in text for r in np.flatnonzero(gold) for text in texts[:100])
    ]
    more = f" and {len(owners) - 10} more" if len(owners) > 10 else ""
    return f"rationales of class {', '.join(owners[:10])}{more}"


def categories_and_rationales(method: Method, pairs: TopPairs) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of the category and of the rationale of each top pair, [batch, k] each."""
    outer, inner = np.asarray(pairs.outer), np.asarray(pairs.inner)
    return (outer, inner) if method.order == "category_first" else (inner, outer)
