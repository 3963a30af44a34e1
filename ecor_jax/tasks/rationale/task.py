"""The rationale task: tunes visual prompts for methods such as ECOR and DROR and evaluates them on a dataset."""

import functools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ecor_jax.bottleneck.directory import is_bottleneck
from ecor_jax.clip.prompts import VisualPrompts, prompt_layers
from ecor_jax.data.augment import Augment
from ecor_jax.data.decode import picture_of
from ecor_jax.data.encode import Encode, GoldLabels
from ecor_jax.data.joined import join_rationales
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.records import Source
from ecor_jax.data.tally import UNREADABLE
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.parallel.processes import assert_same
from ecor_jax.tasks.base import Log, MethodResult, Task, check_batch_sizes
from ecor_jax.tasks.batches import batches_of, own_share, padded_batches
from ecor_jax.tasks.outcomes import Outcomes
from ecor_jax.tasks.rationale.aot import aot_steps
from ecor_jax.tasks.rationale.causal import causal_lines, causal_test
from ecor_jax.tasks.rationale.data import Dataset, open_dataset, prepared_for
from ecor_jax.tasks.rationale.details import Detail, details_of
from ecor_jax.tasks.rationale.doubly_right import NAMES, evaluate, pairs_that_vote
from ecor_jax.tasks.rationale.evaluation import Evaluation
from ecor_jax.tasks.rationale.explain import RationaleExplainer
from ecor_jax.tasks.rationale.explanation import explanations_of
from ecor_jax.tasks.rationale.joint import Banks
from ecor_jax.tasks.rationale.methods import PAIR, find_methods, make_banks, over_context, with_templates, words_of
from ecor_jax.tasks.rationale.model import RationaleLearner, RationaleModel, fresh_prompts
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.parts import named_parts
from ecor_jax.tasks.rationale.pointing import pointing_lines, pointing_test
from ecor_jax.tasks.rationale.predict import Embedded, Predictions, embed_images, predict
from ecor_jax.tasks.rationale.report import shown_numbers, write_rationale_report
from ecor_jax.tasks.rationale.tuned import Tuned, TunedModel, load_tuned, save_tuned
from ecor_jax.tasks.splits import PROCEDURAL
from ecor_jax.training.loop import Validate


class Rationale(Task[RationaleOptions, Evaluation]):
    """ECOR, DROR, CLIP and the ablations: prompts tuned on one frozen CLIP, evaluated on one set of pictures.

    A method's model is only its prompts (None: untuned), because all methods share the tower and text banks are large.
    """

    Options = RationaleOptions
    aot_steps = staticmethod(aot_steps)

    def __init__(self, options: RationaleOptions, *, training: bool):
        super().__init__(options, training=training)
        self.recipes = {
            name: with_templates(method, options.templates.outer, options.templates.pair)
            for name, method in find_methods(options.method).items()
        }
        self.methods = tuple(self.recipes)
        for name, method in self.recipes.items():
            if training and method.tuned and method.condition != "prompt" and options.loss.candidates == "batch":
                raise UserError(f"loss.candidates is 'batch', which needs a prompt of each pair; {name} has none")
        self._banks: tuple[str, Banks] | None = None
        self._embedded: Embedded | None = None

    def open(self, model: str) -> None:
        options = self.options
        if not model:
            raise UserError("--config.model is not set: expected a CLIP, as a model directory or a hub id")
        loaded = load_tuned(model, dtype=jnp.dtype(options.dtype))
        self.clip, self.tuned = loaded.model, {} if self.training else loaded.tuned
        self.origin = self.clip.origin
        for name in self.methods:
            if self.tuned and self.recipes[name].tuned:
                if name not in self.tuned:
                    raise UserError(f"{model}: no prompts for {name!r}; it has those of {', '.join(self.tuned)}")
                # The templates of the tuning are used unless the config replaces them.
                templates = options.templates
                self.recipes[name] = with_templates(self.tuned[name].method, templates.outer, templates.pair)
        together = options.data.rationales_per_prompt
        if self.tuned and loaded.rationales_per_prompt != together:
            there = loaded.rationales_per_prompt
            raise UserError(f"data.rationales_per_prompt is {together}; {model} was tuned with {there}")
        self.dataset: Dataset = open_dataset(
            options.data,
            self.clip.preprocess,
            training=self.training,
            too_long=functools.partial(over_context, self.recipes.values(), self.clip),
            trained_on=loaded.trained_on,
        )
        self.tally = self.dataset.tally
        if self.tuned and self.tally.trained_on is None and self.dataset.drawings is None:
            self.tally.lines.append(f"{model}: whether it was trained on some of these pictures is not known")
        assert_same("the data", self.dataset.fingerprint)
        self.joined = None
        asked = {name: getattr(options.evaluation, name) for name in ("causal", "parts")}
        asked["pointing"] = options.evaluation.pointing != "none"
        for name in asked:
            if asked[name] and (self.dataset.drawings is None or together != 1):
                raise UserError(
                    f"evaluation.{name} is set; expected the built-in drawings, with one rationale per prompt and "
                    "without data.question"
                )
        for name in ("pointing", "parts"):
            if asked[name]:
                self._check_pixels(name)
        if together != 1:
            self.joined = join_rationales(self.dataset.vocabulary, together)
            if long := over_context(self.recipes.values(), self.clip, self.joined.vocabulary):
                raise UserError(
                    f"data.rationales_per_prompt={together} makes {len(long)} prompts of more tokens than the text "
                    f"tower reads, as with {long[0][:80]!r}; join fewer"
                )
        self.top_k = pairs_that_vote(options.evaluation.top_k or None, self.vocabulary, "evaluation.top_k")
        check_batch_sizes(options, self.mesh.size, training=self.training)
        if self.training and any(recipe.tuned for recipe in self.recipes.values()):
            # Raises UserError for wrong layers before any text is encoded.
            prompt_layers(options.prompts.layers, self.clip.clip.config.vision.layers)
        start = time.perf_counter()
        # Here, so that the time of the first method is without the prompts that others share with it.
        self._banks_of(next(iter(self.methods)))
        self.seconds = time.perf_counter() - start

    def _check_pixels(self, name: str) -> None:
        """Raises UserError if the pixels of a drawing are not those of the patches, which have to show its parts."""
        size, patch_size = self.clip.preprocess.size, self.clip.clip.config.vision.patch_size
        prepared = prepared_for(self.clip.preprocess, self.options.data.resize, training=False)
        if size % patch_size or (prepared.resize == "shortest" and prepared.resize_to not in (None, size)):
            raise UserError(f"evaluation.{name} is set; expected a CLIP whose patches are the whole drawing, unscaled")

    @property
    def vocabulary(self) -> Vocabulary:
        """The candidates: the dataset's vocabulary, or that of its joined rationales."""
        return self.joined.vocabulary if self.joined else self.dataset.vocabulary

    def learner(self, method: str) -> RationaleLearner | None:
        """Returns a learner with fresh prompts; None for an untuned method."""
        if not self.recipes[method].tuned:
            return None
        assert self.dataset.train is not None
        options = self.options
        fresh = fresh_prompts(options, self.clip.clip.config.vision)
        batches = batches_of(self.options, self.dataset.train, self._encode(options.data.augment, training=True))
        return RationaleLearner(self._with(method, fresh), self.recipes[method], batches, options.loss)

    def validate(self, method: str) -> Validate | None:
        if self.dataset.validation is None:
            return None

        def rates_of(model: nnx.Module) -> dict[str, float]:
            assert isinstance(model, RationaleModel) and self.dataset.validation is not None
            return self._evaluate(method, model, self.dataset.validation, "validate").rates

        return rates_of

    def model(self, method: str, trained: nnx.Module | None) -> VisualPrompts | None:
        if isinstance(trained, RationaleModel):
            return trained.prompts
        return self.tuned[method].prompts if method in self.tuned else None

    def evaluate(self, method: str, model: VisualPrompts | None) -> Evaluation:
        """Computes the method's predictions for all test images, and their outcomes."""
        return self._evaluate(method, self._with(method, model), self.dataset.test, "evaluate")

    def _evaluate(self, method: str, model: RationaleModel, source: Source, name: str) -> Evaluation:
        options, recipe = self.options, self.recipes[method]
        size, over = options.evaluation.batch_size, {"mesh": self.mesh, "total": len(source)}
        reading = {"workers": options.data.workers, "on_bad_image": options.data.on_bad_image, **own_share()}
        batches = eval_batches(source, self._encode("none", training=False), batch_size=size, **reading)
        plain = [
            name for name, own in self.recipes.items() if not (own.tuned and (self.training or name in self.tuned))
        ]
        if model.prompts is None and len(plain) > 1 and source is self.dataset.test:
            # Methods without prompts share the image embeddings, which are computed once.
            if self._embedded is None:
                self._embedded = embed_images(self.clip, batches, **over, name="embedding the test pictures")
            batches = padded_batches(self._embedded._asdict(), size)
        calibration, name = options.evaluation.calibration, f"{name} {method}"
        predictions = predict(model, recipe, batches, top_k=self.top_k, calibration=calibration, **over, name=name)
        # Matching by text needs a template with both placeholders.
        template = recipe.pair if "{c}" in recipe.pair and "{r}" in recipe.pair else PAIR
        pairs = predictions.categories, predictions.rationales, predictions.gold_category, predictions.gold_rationales
        outcomes = evaluate(options.evaluation.mode, *pairs, self.vocabulary, template)
        if source is not self.dataset.test:
            return Evaluation(predictions, outcomes)
        drawings, causal, pointing = self.dataset.drawings, None, None
        how: Any = {"mesh": self.mesh, "batch_size": size, "name": method}
        predicted = predictions.categories, predictions.rationales, predictions.gold_rationales
        if options.evaluation.causal:
            assert drawings is not None
            how_read = {"encode": self._encode("none", training=False), "workers": options.data.workers}
            causal = causal_test(model, recipe.order, drawings, predicted, self.vocabulary, **how_read, **how)
        if options.evaluation.pointing == "all" or (
            options.evaluation.pointing == "last" and method == tuple(self.methods)[-1]
        ):
            assert drawings is not None
            pointing = pointing_test(model, recipe.order, drawings, predicted, self.vocabulary, **how)
        parts = {}
        if options.evaluation.parts:
            assert drawings is not None
            parts = named_parts(model, recipe, drawings, predictions, self.vocabulary, **how)
        details, sizes = self._details(method, model, predictions), self._sizes(model)
        return Evaluation(predictions, outcomes, causal, pointing, details, sizes, parts)

    def _sizes(self, model: RationaleModel) -> dict[str, float]:
        outer, pair = None if model.outer_bank is None else model.outer_bank[...], model.pair_bank[...]
        # The columns of the bank of pairs are padded on a mesh.
        texts = len(pair) * model.candidates + (0 if outer is None else len(outer))
        pairs = len(self.vocabulary.classes) * len(self.vocabulary.rationales)
        return {"pairs": pairs, "texts": texts, "bank_mib": texts * pair.shape[-1] * pair.dtype.itemsize / 2**20}

    def _details(self, method: str, model: RationaleModel, predictions: Predictions) -> dict[int, Detail]:
        """Returns the details of the pictures of the report, by number; {} without `report.saliency`."""
        report, test = self.options.report, self.dataset.test
        if not report.saliency or len(predictions.categories) != len(test):
            return {}
        numbers = shown_numbers(report.pictures, len(test))
        if not numbers:
            return {}
        preprocess = prepared_for(self.clip.preprocess, self.options.data.resize, training=False)
        views = [preprocess(picture_of(test[number])) for number in numbers]
        pairs = {name: getattr(predictions, name)[numbers] for name in ("categories", "rationales")}
        shown = predictions._replace(**pairs)
        found = details_of(model, self.recipes[method], self.vocabulary, views, shown, self.mesh, method)
        if self.options.evaluation.mode == "dror":  # its vote is another, which knows the gold labels
            found = [own._replace(removal=None) for own in found]
        return dict(zip(numbers, found, strict=True))

    def save(self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]]) -> bool:
        tuned = {name: Tuned(self.recipes[name], own.model) for name, own in evaluated.items() if own.model is not None}
        if tuned:
            together = self.options.data.rationales_per_prompt
            words, seen = self.dataset.vocabulary, self.dataset.trained_on
            save_tuned(directory, TunedModel(self.clip, tuned, words, together, seen))
        return bool(tuned)

    def results(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> dict[str, Any]:
        """Returns the outcome rates by method."""
        first = next(iter(evaluated.values())).evaluation.predictions
        # Bad pictures of sets that exceed the memory are skipped during the evaluation.
        self.tally.skip(UNREADABLE, len(self.dataset.test) - len(first.gold_category))
        evaluations = {name: own.evaluation for name, own in evaluated.items()}
        methods: dict[str, dict[str, Any]] = {
            name: {**own.rates, "looked_at": own.rates.get("looked_at"), **own.sizes}
            for name, own in evaluations.items()
        }
        for name, own in evaluations.items():
            if own.parts:
                methods[name]["parts"] = {key: float(np.mean(values)) for key, values in own.parts.items()}
        results = {"dataset": self.options.data.name, "seed": self.options.seed, "methods": methods}
        causal = {name: own.causal.results for name, own in evaluations.items() if own.causal}
        pointing = {name: own.pointing.results for name, own in evaluations.items() if own.pointing}
        tests = {"causal": causal, "pointing": pointing}
        return results | {name: found for name, found in tests.items() if found}

    def table(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> str:
        """Returns the rates of all methods, in per cent."""
        names = (*NAMES, "accuracy", *(["top1"] if self.options.evaluation.calibration else []))
        lines = [f"{'':22}" + "".join(f"{name:>10}" for name in names) + f"{'count':>8}"]
        for name, own in evaluated.items():
            shares = own.evaluation.rates
            cells = "".join(f"{100 * shares[rate]:10.2f}" for rate in names)
            lines.append(f"{name:22}{cells}{shares['count']:8}")
        lines += causal_lines({name: own.evaluation.causal for name, own in evaluated.items()})
        lines += pointing_lines({name: own.evaluation.pointing for name, own in evaluated.items()})
        return "\n".join(lines)

    def page(
        self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]], results: Mapping[str, Any], log: Log
    ) -> Path:
        return write_rationale_report(
            directory,
            self.options,
            self.vocabulary,
            self.dataset,
            {name: own.evaluation for name, own in evaluated.items()},
            self.top_k,
            log,
            {name: own.seconds for name, own in evaluated.items()},
            self.seconds,
        )

    def answers(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> Iterator[dict[str, Any]]:
        """Yields the gold labels of each picture, and the voted class, outcome and top pairs of every method."""
        classes, rationales, test = self.vocabulary.classes, self.vocabulary.rationales, self.dataset.test
        evaluations = {name: own.evaluation for name, own in evaluated.items()}
        first = next(iter(evaluations.values())).predictions
        if len(first.gold_category) != len(test):
            raise UserError("pictures were left out while they were read; there are no answers a picture")
        for number, name in enumerate(test.names):
            yield {
                "name": name,
                "category": classes[first.gold_category[number]],
                "rationales": [rationales[column] for column in np.flatnonzero(first.gold_rationales[number])],
                "methods": {
                    said.method: {
                        "category": said.category,
                        "outcome": said.outcome,
                        "pairs": [pair.to_dict() for pair in said.pairs],
                    }
                    for said in explanations_of(evaluations, number, self.vocabulary)
                },
            }

    def outcomes(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> dict[str, Outcomes]:
        test = self.dataset.test
        # Drawings of another seed have the same names.
        drawn = f"{self.options.data.seed} " if self.options.data.images == PROCEDURAL else ""
        examples = tuple(drawn + name for name in test.names)
        found = {}
        for name, own in evaluated.items():
            if len(own.evaluation.outcomes.outcome) == len(test):  # pictures may be left out while they are read
                found[f"methods.{name}"] = Outcomes.of(examples, own.evaluation.each)
            if parts := own.evaluation.parts:
                count = len(next(iter(parts.values())))
                found[f"methods.{name}.parts"] = Outcomes.of(examples[:count], parts)
        return found

    @classmethod
    def holds(cls, directory: Path) -> bool:
        return not is_bottleneck(directory)  # any CLIP explains by rationales

    @classmethod
    def explainer(cls, model: str) -> RationaleExplainer:
        return RationaleExplainer(model)

    def _banks_of(self, method: str) -> Banks:
        if self._banks is None or self._banks[0] != method:  # only one is kept, because banks are large
            self._banks = None
            recipes = self.recipes.values()
            self._banks = method, make_banks(self.recipes[method], self.clip, self.vocabulary, self.mesh, recipes)
        return self._banks[1]

    def _with(self, method: str, prompts: VisualPrompts | None) -> RationaleModel:
        _, inner = words_of(self.recipes[method], self.vocabulary).values()
        return RationaleModel(self.clip, prompts, self._banks_of(method), self.mesh, len(inner))

    def _encode(self, augment: Augment, *, training: bool) -> Encode:
        preprocess = prepared_for(self.clip.preprocess, self.options.data.resize, training=training)
        return Encode(preprocess, GoldLabels(self.dataset.vocabulary, self.joined), augment)
