"""`RationaleExplainer`: explains a user's pictures by categories and rationales."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

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
from ecor_jax.tasks.rationale.data import fitting
from ecor_jax.tasks.rationale.doubly_right import majority_vote, pairs_that_vote
from ecor_jax.tasks.rationale.explanation import ExplainedPicture, explanation_of
from ecor_jax.tasks.rationale.methods import find_methods, make_banks, over_context, words_of
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.predict import MANY, Predictions, predict, predict_without_bank
from ecor_jax.tasks.rationale.tuned import Tuned, TunedModel, load_tuned

Rationales = str | Path | Mapping[str, Sequence[str]] | None


class RationaleExplainer(Explainer[ExplainedPicture]):
    """An explainer by categories and rationales: of a tuned model with its vocabulary, or a CLIP with a given one."""

    option_names = frozenset({"rationales", "method", "top_k", "on_long"})

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
    ) -> list[ExplainedPicture]:
        """Explains every picture with each method.

        rationales: {class: [rationale, ...]}, or a JSON file of it; by default the constructor's, else those of the
          tuned model. method: names with commas; by default the tuned ones, or ECOR. top_k: number of pairs; by default
          five, or all if there are fewer. on_long: 'skip' omits rationales that exceed the model's context.
        """
        vocabulary = self._vocabulary(rationales or self.rationales)
        chosen = _methods(self.loaded, method)
        self._left_out = []
        too_long = over_context([tuned.method for tuned in chosen.values()], self.loaded.model, vocabulary)
        vocabulary = fitting(vocabulary, too_long, on_long, self._left_out)
        for line in self._left_out:
            logging.warning("left out: %s", line)
        most = pairs_that_vote(top_k, vocabulary, "--top_k")
        answers = {name: self._answers(chosen, name, vocabulary, records, most) for name in chosen}
        voted = {name: majority_vote(predictions.categories) for name, predictions in answers.items()}
        explained = []
        for number, record in enumerate(records):
            said = [explanation_of(name, own, number, vocabulary, voted[name][number]) for name, own in answers.items()]
            explained.append(ExplainedPicture(record["name"], picture_of(record), said))
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
        self, chosen: Mapping[str, Tuned], name: str, vocabulary: Vocabulary, records: Sequence[Record], top_k: int
    ) -> Predictions:
        loaded, tuned, mesh = self.loaded, chosen[name], make_mesh()
        method = tuned.method
        batch = min(64, len(records))
        batch += -batch % mesh.size
        source, encode = InMemory(records, origin="the pictures to explain"), Encode(loaded.model.preprocess)
        batches = eval_batches(source, encode, batch_size=batch)
        how: Any = {"top_k": top_k, "mesh": mesh, "total": len(records), "name": name}
        outer, inner = words_of(method, vocabulary).values()
        if method.order != "pairs" and method.conditional and len(outer) * len(inner) > MANY:
            few = predict_without_bank(loaded.model, tuned.prompts, method, vocabulary, batches, **how)
            if few is not None:
                return few
        banks = make_banks(method, loaded.model, vocabulary, mesh, [own.method for own in chosen.values()])
        model = RationaleModel(loaded.model, tuned.prompts, banks, mesh, len(inner))
        return predict(model, method, batches, **how)

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
