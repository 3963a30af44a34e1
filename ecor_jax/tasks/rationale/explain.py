"""`RationaleExplainer`: explains a user's pictures by categories and rationales."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jax.sharding import Mesh
from jaxtyping import Float
from tqdm import tqdm

from ecor_jax.atomic import cache_folder
from ecor_jax.config.options import comma_list
from ecor_jax.data.decode import picture_of
from ecor_jax.data.encode import Encode
from ecor_jax.data.joined import join_rationales
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.explainer import Explainer
from ecor_jax.tasks.explanation import mapped_view
from ecor_jax.tasks.rationale.counterfactual import Removal
from ecor_jax.tasks.rationale.data import fitting
from ecor_jax.tasks.rationale.details import Detail, depth, removals
from ecor_jax.tasks.rationale.doubly_right import majority_vote, pairs_that_vote
from ecor_jax.tasks.rationale.explanation import ExplainedPicture, explanation_of
from ecor_jax.tasks.rationale.methods import find_methods, make_banks, over_context, words_of
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.predict import Predictions, banks_of_named, predict, predict_without_bank
from ecor_jax.tasks.rationale.saliency import batch_size, pair_columns, saliency_maps
from ecor_jax.tasks.rationale.tuned import Tuned, TunedModel, load_tuned

MANY = 2**16
"""Number of pairs above which only those are encoded that the search for the top pairs reaches."""
Rationales = str | Path | Mapping[str, Sequence[str]] | None


class RationaleExplainer(Explainer[ExplainedPicture]):
    """An explainer by categories and rationales: of a tuned model with its vocabulary, or a CLIP with a given one."""

    option_names = frozenset({"rationales", "method", "top_k", "on_long", "saliency"})

    def __init__(self, model: str, rationales: Rationales = None):
        self.loaded, self.name, self.rationales = load_tuned(model), model, rationales
        self._left_out: list[str] = []

    def explain_records(
        self,
        records: Sequence[Record],
        rationales: Rationales = None,
        method: str = "",
        top_k: int | None = None,
        on_long: str = "error",
        saliency: bool = False,
    ) -> list[ExplainedPicture]:
        """Explains every picture with each method.

        rationales: {class: [rationale, ...]}, or a JSON file of it; by default the constructor's, else those of the
          tuned model. method: names with commas; by default the tuned ones, or ECOR. top_k: number of pairs; by default
          five, or all if there are fewer. on_long: 'skip' omits rationales that exceed the model's context. saliency:
          whether to compute a saliency map of the log-probability of each pair.
        """
        vocabulary = self._vocabulary(rationales or self.rationales)
        chosen = _methods(self.loaded, method)
        self._left_out = []
        too_long = over_context([tuned.method for tuned in chosen.values()], self.loaded.model, vocabulary)
        vocabulary = fitting(vocabulary, too_long, on_long, self._left_out)
        for line in self._left_out:
            logging.warning("left out: %s", line)
        most = pairs_that_vote(top_k, vocabulary, "--top_k")
        views = [self.loaded.model.preprocess(picture_of(record)) for record in records] if saliency else []
        answers = {name: self._answers(chosen, name, vocabulary, records, most, views) for name in chosen}
        voted = {name: majority_vote(predictions.categories) for name, (predictions, _) in answers.items()}
        explained = []
        for number, record in enumerate(records):
            said = [
                explanation_of(name, own, number, vocabulary, voted[name][number], detail=details[number])
                for name, (own, details) in answers.items()
            ]
            view = next(iter(answers.values()))[1][number].view
            explained.append(ExplainedPicture(record["name"], picture_of(record), said, view=view))
        return explained

    def _vocabulary(self, rationales: Rationales) -> Vocabulary:
        given = Vocabulary.read(rationales) if rationales else self.loaded.vocabulary
        if given is None:
            raise UserError(
                f"{self.name} is a plain CLIP: --rationales is needed, a JSON file {{class: [rationale, ...]}}"
            )
        together = self.loaded.rationales_per_prompt
        return given if together == 1 else join_rationales(given, together).vocabulary

    def _answers(
        self,
        chosen: Mapping[str, Tuned],
        name: str,
        vocabulary: Vocabulary,
        records: Sequence[Record],
        top_k: int,
        views: Sequence[np.ndarray],
    ) -> tuple[Predictions, list[Detail]]:
        """Returns a method's predictions, and their details; with saliency maps if there are `views`."""
        loaded, tuned, mesh = self.loaded, chosen[name], make_mesh()
        method = tuned.method
        batch = min(64, len(records))
        batch += -batch % mesh.size
        source, encode = InMemory(records, origin="the pictures to explain"), Encode(loaded.model.preprocess)
        batches = eval_batches(source, encode, batch_size=batch)
        how: Any = {"mesh": mesh, "total": len(records), "name": name}
        outer, inner = words_of(method, vocabulary).values()
        pairs = len(outer) * len(inner)
        if method.order != "pairs" and method.conditional and pairs > MANY:
            # More ranked pairs would need more candidates to be encoded, so the counterfactual has these alone.
            few = predict_without_bank(loaded.model, tuned.prompts, method, vocabulary, batches, top_k=top_k, **how)
            maps = self._maps_without_bank(tuned, vocabulary, few, views, mesh, name) if views else None
            return few, self._details(views, maps, removals(method, few, vocabulary, top_k))
        if method.order == "pairs" and pairs > MANY:
            size = pairs * loaded.model.clip.config.embed_dim * 4 / 2**30
            tqdm.write(
                f"{name}: one softmax over {pairs:,} pairs, which are all encoded: {size:.1f} GiB of memory and of "
                f"{cache_folder()}; other pictures and later commands use them too",
                file=sys.stderr,
            )
        banks = make_banks(method, loaded.model, vocabulary, mesh, [own.method for own in chosen.values()])
        model = RationaleModel(loaded.model, tuned.prompts, banks, mesh, len(inner))
        ranked = predict(model, method, batches, top_k=depth(method, vocabulary, top_k), **how)
        found, maps = ranked.first(top_k), None
        if views:
            columns = pair_columns(found.categories, found.rationales, method.order) | {"image": np.stack(views)}
            maps = saliency_maps(model, columns, mesh, name)
        return found, self._details(views, maps, removals(method, ranked, vocabulary, top_k))

    def _maps_without_bank(
        self,
        tuned: Tuned,
        vocabulary: Vocabulary,
        found: Predictions,
        views: Sequence[np.ndarray],
        mesh: Mesh,
        name: str,
    ) -> Float[np.ndarray, "N k rows columns"]:
        """Returns saliency maps with banks of the pairs that are named, for a few pictures at a time."""
        method, maps, size = tuned.method, [], batch_size(len(views), mesh)
        _, inner = words_of(method, vocabulary).values()
        for start in range(0, len(views), size):
            part = slice(start, start + size)
            columns = pair_columns(found.categories[part], found.rationales[part], method.order)
            banks, columns["row"] = banks_of_named(self.loaded.model, method, vocabulary, columns["outer"])
            model = RationaleModel(self.loaded.model, tuned.prompts, banks, mesh, len(inner))
            maps.append(saliency_maps(model, columns | {"image": np.stack(views[part])}, mesh, name))
        return np.concatenate(maps)

    def _details(
        self,
        views: Sequence[np.ndarray],
        maps: Float[np.ndarray, "N k rows columns"] | None,
        removed: Sequence[Removal | None],
    ) -> list[Detail]:
        if maps is None:
            return [Detail(removal=removal) for removal in removed]
        patch_size = self.loaded.model.clip.config.vision.patch_size
        shown = [mapped_view(view, patch_size) for view in views]
        return [Detail(*own) for own in zip(shown, maps, removed, strict=True)]

    def context(self, explained: Sequence[ExplainedPicture]) -> dict[str, Any]:
        said = explained[0].explanations
        return {
            "kind": f"Categories with reasons, by {', '.join(method.method for method in said)}",
            "intro": "What the model sees in each picture, and why. It knows its own categories alone: a picture of "
            "anything else gets one of them all the same.",
            "facts": {"Classes": str(said[0].classes), "Rationales": str(said[0].rationales)},
            "left_out": self._left_out,
        }


def _methods(loaded: TunedModel, names: str) -> dict[str, Tuned]:
    if not names:
        return dict(loaded.tuned) or {"ecor": Tuned(find_methods(("ecor",))["ecor"], None)}
    chosen = {}
    for name, method in find_methods(comma_list(names)).items():
        if loaded.tuned and method.tuned and name not in loaded.tuned:
            raise UserError(f"{loaded.model.path}: no prompts for {name!r}; it has those of {', '.join(loaded.tuned)}")
        chosen[name] = loaded.tuned.get(name, Tuned(method, None))
    return chosen
