"""From a rationale config to a workdir: methods tuned and evaluated on one dataset, and the report of it."""

import dataclasses
import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.checkpoints.tuned import Tuned, TunedModel, load_tuned, save_tuned
from ecor_jax.clip.prompts import VisualPrompts, prompt_layers
from ecor_jax.config import Config
from ecor_jax.data.augment import Augment
from ecor_jax.data.dataset import Dataset, open_dataset
from ecor_jax.data.encode import Encode, GoldLabels
from ecor_jax.data.joined import join_rationales
from ecor_jax.data.pipeline import eval_batches, train_batches
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.metrics.doubly_right import MODES, NAMES, Judged, judge, rates
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.base import compute_dtype
from ecor_jax.tasks.rationale.methods import PAIR, Method, find_methods, make_banks, over_context, with_templates
from ecor_jax.tasks.rationale.model import LossOptions, RationaleModel, RationaleTask
from ecor_jax.tasks.rationale.predict import Predictions, predict
from ecor_jax.tasks.rationale.report import write_rationale_report
from ecor_jax.training.loop import train
from ecor_jax.training.workdir import write_results


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one method did on the test images."""

    predictions: Predictions
    judged: Judged

    @property
    def rates(self) -> dict[str, float | int]:
        """As results.json has them."""
        return rates(self.judged.outcome)


def run(config: Config, workdir: Path) -> None:
    """Tunes and evaluates every method of `config.method`; writes model/, results.json and report/."""
    setting = Setting(config, training=True)
    tuned: dict[str, Tuned] = {}
    evaluations: dict[str, Evaluation] = {}
    seconds: dict[str, float] = {}
    for name, method in setting.methods.items():
        start = time.perf_counter()
        prompts = setting.tune(name, method, workdir) if method.tuned else None
        if prompts is not None:
            tuned[name] = Tuned(method, prompts)
        evaluations[name] = setting.evaluate(name, method, prompts)
        seconds[name] = time.perf_counter() - start
    if tuned and jax.process_index() == 0:
        together = config.data.rationales_per_prompt
        whole = TunedModel(setting.model, tuned, setting.dataset.vocabulary, together)
        save_tuned(workdir / "model", whole)
    print(table(evaluations))
    if jax.process_index() == 0:
        write_results(workdir / "results.json", config, _results(config, evaluations))
        metrics = workdir / "metrics.jsonl"
        write_rationale_report(
            workdir / "report",
            config,
            setting.vocabulary,
            setting.dataset,
            evaluations,
            metrics,
            seconds,
            commands=[f"python -m launch.explain --model={workdir / 'model'} --images PICTURE --output=page"]
            if tuned
            else [],
        )


def evaluate(config: Config, model: str) -> tuple[dict[str, Any], str]:
    """results.json and a table of every method of `config.method`, with the prompts that `model` holds.

    A plain CLIP is evaluated untuned.

    UserError if the model was tuned, but not for one of the methods.
    """
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.model = model
    setting = Setting(config, training=False)
    evaluations = {}
    for name, method in setting.methods.items():
        prompts = None
        if setting.tuned and method.tuned:
            if name not in setting.tuned:
                raise UserError(f"{model}: no prompts for {name!r}; it has those of {', '.join(setting.tuned)}")
            # In the words it was tuned with, where the config names no others.
            tuned, templates = setting.tuned[name], config.templates
            method, prompts = with_templates(tuned.method, templates.outer, templates.pair), tuned.prompts
        evaluations[name] = setting.evaluate(name, method, prompts)
    return _results(config, evaluations), table(evaluations)


def _results(config: Config, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Outcome rates by method."""
    methods = {name: evaluation.rates for name, evaluation in evaluations.items()}
    return {"dataset": config.data.name, "seed": config.seed, "methods": methods}


def table(evaluations: Mapping[str, Evaluation]) -> str:
    """The rates of all methods, in per cent, for a terminal."""
    names = (*NAMES, "accuracy")
    lines = [f"{'':22}" + "".join(f"{name:>10}" for name in names) + f"{'count':>8}"]
    for method, evaluation in evaluations.items():
        shares = evaluation.rates
        lines.append(f"{method:22}" + "".join(f"{100 * shares[name]:10.2f}" for name in names) + f"{shares['count']:8}")
    return "\n".join(lines)


class Setting:
    """What all methods of a run share: the frozen CLIP, the images and the vocabulary."""

    def __init__(self, config: Config, *, training: bool):
        self.config = config
        self.methods = {
            name: with_templates(method, config.templates.outer, config.templates.pair)
            for name, method in find_methods(config.method).items()
        }
        self.mesh = make_mesh(config.parallel.model)
        if not config.model:
            raise UserError("--config.model is not set: expected a CLIP, as a model directory or a hub id")
        loaded = load_tuned(config.model, dtype=compute_dtype(config.dtype))
        self.model: Model = loaded.model
        self.tuned = loaded.tuned
        together = config.data.rationales_per_prompt
        if loaded.tuned and not training and loaded.rationales_per_prompt != together:
            there = loaded.rationales_per_prompt
            raise UserError(f"data.rationales_per_prompt is {together}; {config.model} was tuned with {there}")
        self.dataset: Dataset = open_dataset(
            config.data,
            self.model.preprocess,
            training=training,
            too_long=functools.partial(over_context, self.methods.values(), self.model),
        )
        self.joined = None
        if together != 1:
            self.joined = join_rationales(self.dataset.vocabulary, together)
            if long := over_context(self.methods.values(), self.model, self.joined.vocabulary):
                raise UserError(
                    f"data.rationales_per_prompt={together} makes {len(long)} prompts of more tokens than the text "
                    f"tower reads, as with {long[0][:80]!r}; join fewer"
                )
        self._check_options()

    def _check_options(self) -> None:
        """What would else be found out after the training."""
        evaluation, devices = self.config.evaluation, self.mesh.shape["data"]
        pairs = len(self.vocabulary.classes) * len(self.vocabulary.rationales)
        if evaluation.mode not in MODES:
            raise UserError(f"evaluation.mode is {evaluation.mode!r}; expected one of {', '.join(MODES)}")
        if not 1 <= evaluation.top_k <= pairs:
            raise UserError(f"evaluation.top_k is {evaluation.top_k}; expected 1 to {pairs}, the number of pairs")
        for group in ("data", "evaluation") if self.dataset.train is not None else ("evaluation",):
            size = self.config[group].batch_size
            if size < 1 or size % devices:
                raise UserError(f"{group}.batch_size is {size}; expected a multiple of {devices}, the devices in use")

    @property
    def vocabulary(self) -> Vocabulary:
        """The candidates: the dataset's, or sets of its rationales joined."""
        return self.joined.vocabulary if self.joined else self.dataset.vocabulary

    def tune(self, name: str, method: Method, workdir: Path) -> VisualPrompts:
        """Prompts trained for a method."""
        assert self.dataset.train is not None
        config, prompts = self.config, self.config.prompts
        task = RationaleTask(
            self._model(
                method,
                VisualPrompts(
                    self.model.clip.config.vision,
                    prompts.count,
                    prompt_layers(prompts.layers, self.model.clip.config.vision.layers),
                    position=prompts.position,
                    initialisation=prompts.initialisation,
                    rngs=nnx.Rngs(config.seed),
                ),
            ),
            method,
            train_batches(
                self.dataset.train,
                self._encode(config.data.augment),
                batch_size=config.data.batch_size,
                seed=config.seed,
                **self._reading(),
            ),
            LossOptions(**config.loss),
        )
        trained = train(task, config, workdir, name)
        assert isinstance(trained, RationaleModel) and trained.prompts is not None
        return trained.prompts

    def evaluate(self, name: str, method: Method, prompts: VisualPrompts | None) -> Evaluation:
        """The method's answers for all test images, and how right they are."""
        config = self.config
        batches = eval_batches(
            self.dataset.test,
            self._encode("none"),
            batch_size=config.evaluation.batch_size,
            **self._reading(),
        )
        predictions = predict(
            self._model(method, prompts),
            method,
            batches,
            top_k=config.evaluation.top_k,
            mesh=self.mesh,
            total=len(self.dataset.test),
            name=f"evaluate {name}",
        )
        judged = judge(
            config.evaluation.mode,
            predictions.categories,
            predictions.rationales,
            predictions.gold_category,
            predictions.gold_rationales,
            self.vocabulary,
            # Without both in the prompt there would be nothing to match by.
            method.pair if "{c}" in method.pair and "{r}" in method.pair else PAIR,
        )
        return Evaluation(predictions, judged)

    def _model(self, method: Method, prompts: VisualPrompts | None) -> RationaleModel:
        return RationaleModel(self.model, prompts, make_banks(method, self.model, self.vocabulary))

    def _encode(self, augment: Augment) -> Encode:
        return Encode(self.model.preprocess, GoldLabels(self.dataset.vocabulary, self.joined), augment)

    def _reading(self) -> dict[str, Any]:
        return {
            "workers": self.config.data.workers,
            "process_index": jax.process_index(),
            "process_count": jax.process_count(),
            "on_bad_image": self.config.data.on_bad_image,
        }
