"""Captions for contrastive pretraining: sentences about the class, some of the visible parts, or both."""

import numpy as np

from ecor_jax.data.records import Labels

CLASS_TEMPLATES = ("this is a photo of a {c}", "a drawing of a {c}", "a {c}", "here is a picture of a {c}")
PART_TEMPLATES = ("there is {r}", "a picture showing {r}", "something with {r}", "look, it has {r}")
PAIR_TEMPLATES = (
    "this is a photo of a {c} because there is {r}",
    "a drawing of a {c} with {r}",
    "a {c} that has {r}",
    "here is a {c}, you can see {r}",
)
_TEMPLATES, _SHARES = (CLASS_TEMPLATES, PART_TEMPLATES, PAIR_TEMPLATES), (0.2, 0.4, 0.4)


def caption(record: Labels, rng: np.random.Generator) -> str:
    """A caption of `record` drawn with `rng`: it names nothing but the record's class and its rationales.

    Two in ten name the class, four in ten one to three rationales in random order, joined by " and ", and
    four in ten both; half of them end in a full stop. A record without rationales gets its class alone.
    """
    shown = record["rationales"]
    templates = _TEMPLATES[int(rng.choice(3, p=_SHARES))] if shown else CLASS_TEMPLATES
    template = templates[int(rng.integers(len(templates)))] + str(rng.choice(["", "."]))
    chosen = rng.permutation(len(shown))[: int(rng.integers(1, 4))]
    return template.format(c=record["category"], r=" and ".join(shown[k] for k in chosen))
