"""The task of face verification through descriptors: trains a bottleneck and compares it with untrained baselines."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ecor_jax.bottleneck.directory import SavedBottleneck, has_findings, is_bottleneck, load_bottleneck, save_bottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.data.encode import Encode, IdentityLabels
from ecor_jax.data.images import open_images
from ecor_jax.data.pair_sets import PairSet, pairs_within
from ecor_jax.errors import UserError
from ecor_jax.features.image_features import image_features
from ecor_jax.features.text_bank import embed_texts
from ecor_jax.parallel.processes import assert_same
from ecor_jax.tasks.base import Log, MethodResult, Task, check_batch_sizes
from ecor_jax.tasks.batches import batches_of
from ecor_jax.tasks.outcomes import Outcomes
from ecor_jax.tasks.verification.alignment import alignment_proxy
from ecor_jax.tasks.verification.aot import aot_steps
from ecor_jax.tasks.verification.data import open_faces, open_pair_sets
from ecor_jax.tasks.verification.explain import FaceExplainer
from ecor_jax.tasks.verification.model import (
    FaceModel,
    Recogniser,
    VerificationLearner,
    descriptors_of,
    trainable,
    untrained_head,
)
from ecor_jax.tasks.verification.options import VerificationOptions
from ecor_jax.tasks.verification.pairs import Seen, check_faces, face_model, head_of, see
from ecor_jax.tasks.verification.report import (
    Evaluation,
    faithfulness,
    threshold_source,
    typical_shares,
    write_verification,
)
from ecor_jax.tasks.verification.scores import FaceScores, score_pairs
from ecor_jax.training.loop import Validate

BASELINES = ("clip", "group_softmax", "group_softmax_random")
"""Untrained baselines: CLIP's features, Group SoftMax over the descriptors, and over scrambled descriptors."""


class Verification(Task[VerificationOptions, Evaluation]):
    """Evaluates a trained or untrained head and BASELINES on the same CLIP, or only the head of a model directory."""

    Options = VerificationOptions
    # The identity centres are padded and sampled per shard, so results depend on the number of shards.
    may_change = Task.may_change - {"parallel.model"}
    aot_steps = staticmethod(aot_steps)

    def __init__(self, options: VerificationOptions, *, training: bool):
        super().__init__(options, training=training)
        head, self.descriptors = options.bottleneck, descriptors_of(options)
        if training:
            bank = np.zeros((len(self.descriptors.phrases), 1), np.float32)
            untrained = untrained_head(options, self.descriptors, bank, scale=1.0)
            trainable(head.tuned, untrained, head.output)
        check_batch_sizes(options, self.mesh.size, training=training)
        wanted = options.data.held_out or (training and head.tuned)
        self.faces = open_faces(options.data, self.tally, training=training) if wanted else None
        self.pair_sets = open_pair_sets(options, self.faces, self.tally)
        self.validation = None
        if training and self.faces is not None and self.faces.validation is not None:
            self.validation = pairs_within("validation", self.faces.validation, options.data.seed)
        everyday = options.alignment
        self.everyday = open_images(everyday.images, split=everyday.split) if everyday.images else None
        if self.everyday is not None:
            self.tally.add_source(self.everyday)
        assert_same("the data", self._fingerprint)
        self.methods = ("tuned" if training and head.tuned else "untuned", *BASELINES)

    def _fingerprint(self) -> list[object]:
        """Returns plain values that identify the data."""
        sources = [self.everyday, *(vars(self.faces).values() if self.faces else ())]
        pairs = [
            [pairs.images.fingerprint(), *(column.tolist() for column in (pairs.first, pairs.second, pairs.same))]
            for pairs in self.pair_sets.values()
        ]
        return [*(source.fingerprint() for source in sources if source is not None), *pairs]

    def open(self, model: str) -> None:
        if not model:
            raise UserError("--config.model is not set: expected a CLIP, as a model directory or a hub id")
        self.clip, self.saved = load_clip(model, dtype=jnp.dtype(self.options.dtype)), None
        self.origin = self.clip.origin
        self._proxy: float | None = None  # shared by the baselines, which have the same features
        if not self.training and is_bottleneck(self.clip.path):
            self.saved = load_bottleneck(self.clip)
            check_faces(self.saved)
            self.methods = ("tuned",)

    def learner(self, method: str) -> VerificationLearner | None:
        """Returns the learner of the method "tuned"; None for others."""
        if method != "tuned":
            return None
        options, data = self.options, self.options.data
        assert self.faces is not None
        people = self.faces.train.classes
        augment = "adaface" if data.augment else "none"
        encode = Encode(self.clip.preprocess, IdentityLabels(people), augment, data.image_size)
        batches = batches_of(self.options, self.faces.train, encode)
        return VerificationLearner(
            self._face(options.bottleneck.output, scrambled=options.bottleneck.scrambled),
            len(people),
            options.bottleneck.tuned,
            batches,
            options.margin,
            batch_size=data.batch_size,
            shards=options.parallel.model,
            mesh=self.mesh,
            rngs=nnx.Rngs(options.seed),
        )

    def validate(self, method: str) -> Validate | None:
        """Returns a function that scores pairs of the validation people; None for other methods or without people."""
        pairs = self.validation
        if pairs is None or method != "tuned":
            return None

        def scores(model: nnx.Module) -> dict[str, float]:
            assert isinstance(model, Recogniser)
            with tempfile.TemporaryDirectory() as folder:  # the features of intermediate weights are not reused
                scores = self._scores(model.face, "validation", pairs, Path(folder))[0]
            return {"accuracy": scores.fine.accuracy, "auc": scores.auc if scores.auc is not None else math.nan}

        return scores

    def model(self, method: str, trained: nnx.Module | None) -> FaceModel:
        head = self.options.bottleneck
        if isinstance(trained, Recogniser):
            if head.wise_ft < 1:
                start = nnx.state(self._face(head.output, scrambled=head.scrambled), nnx.Param)
                nnx.update(trained.face, interpolated(start, nnx.state(trained.face, nnx.Param), head.wise_ft))
            return trained.face
        if self.saved is not None:
            return face_model(self.saved)
        if method == "untuned":
            return self._face(head.output, scrambled=head.scrambled)
        output = "features" if method == "clip" else "activations"
        face = self._face(output, scrambled=method == "group_softmax_random")
        face.bottleneck.adapter = None
        return face

    def evaluate(self, method: str, model: FaceModel) -> Evaluation:
        """Computes scores, embeddings and activations of a face model for all sets of pairs."""
        proxy = self._proxy if method in BASELINES and self._proxy is not None else self._alignment(model)
        if method in BASELINES:
            self._proxy = proxy
        seen, scores = {}, {}
        for name, pairs in self.pair_sets.items():
            scores[name], seen[name] = self._scores(model, name, pairs)
        return Evaluation(scores, seen, proxy)

    @classmethod
    def holds(cls, directory: Path) -> bool:
        return is_bottleneck(directory) and not has_findings(directory)

    @classmethod
    def explainer(cls, model: str) -> FaceExplainer:
        return FaceExplainer(load_bottleneck(load_clip(model)))

    def _scores(
        self, model: FaceModel, name: str, pairs: PairSet, folder: Path | None = None
    ) -> tuple[FaceScores, Seen]:
        features = image_features(
            model.vision, self.clip.preprocess, pairs.images, mirrored=True, name=name, folder=folder, **self._reading()
        )
        seen = see(model, features)
        return score_pairs(seen.embeddings, pairs), seen

    def save(self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]]) -> bool:
        """Saves the model of the first method, trained or not."""
        main, head = next(iter(evaluated.values())), self.options.bottleneck
        clip = nnx.clone(self.clip.clip)
        clip.vision = main.model.vision
        name, pairs = next(iter(self.pair_sets.items()))
        evaluation, decides = main.evaluation, head_of(main.model)
        descriptors = self.descriptors.scrambled(self.options.seed) if head.scrambled else self.descriptors
        threshold, source = evaluation.scores[name].threshold, threshold_source(name, pairs)
        typical = typical_shares(evaluation.seen[name], pairs, decides, descriptors) if decides else {}
        bottleneck, output = main.model.bottleneck, main.model.output
        saved = SavedBottleneck(
            self.clip, bottleneck, descriptors, head.template, output, threshold, None, source, typical
        )
        save_bottleneck(directory, saved, clip)
        return True

    def results(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> dict[str, Any]:
        """Returns the scores of the first method and the baselines, and after training the faithfulness tests."""
        (_, main), *others = evaluated.items()
        results = {
            "seed": self.options.seed,
            "verification": _scores(main.evaluation),
            "average": float(np.mean([score.folds.accuracy for score in main.evaluation.scores.values()])),
            "alignment_proxy": main.evaluation.proxy,
            "baselines": {
                name: {"verification": _scores(own.evaluation), "alignment_proxy": own.evaluation.proxy}
                for name, own in others
            },
        }
        if self.training:
            results |= faithfulness(main.model, main.evaluation, self.pair_sets, self.options.seed)
        return results

    def outcomes(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> dict[str, Outcomes]:
        found = {}
        for number, (method, own) in enumerate(evaluated.items()):
            for name, score in own.evaluation.scores.items():
                path = f"baselines.{method}.verification.{name}" if number else f"verification.{name}"
                # The pairs of held-out people are drawn by the seed of the data.
                pairs = tuple(f"{name} {self.options.data.seed} {pair}" for pair in range(score.pairs))
                found[path] = Outcomes.of(pairs, {"accuracy": score.folds.each})
        return found

    def table(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> str:
        """Returns the accuracies and areas under the ROC curve of all methods, in per cent."""
        lines = [f"{'':24}" + "".join(f"{name[:18]:>20}" for name in self.pair_sets) + f"{'alignment':>12}"]
        for name, (_, evaluation, _) in evaluated.items():
            scores = evaluation.scores.values()
            cells = (f"{100 * score.folds.accuracy:.2f} / {_percent(score.auc)}" for score in scores)
            lines.append(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells) + f"{_percent(evaluation.proxy):>12}")
        told = "accuracy / area under the ROC curve; alignment: zero-shot accuracy on everyday pictures"
        return "\n".join([*lines, told])

    def page(
        self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]], results: Mapping[str, Any], log: Log
    ) -> Path:
        return write_verification(
            directory,
            self.options,
            evaluated,
            self.pair_sets,
            results,
            self.descriptors,
            log,
            self.tally,
            self.clip.preprocess,
        )

    def _face(self, output: str, *, scrambled: bool) -> FaceModel:
        """Returns the CLIP with an untrained bottleneck."""
        descriptors = self.descriptors.scrambled(self.options.seed) if scrambled else self.descriptors
        template = self.options.bottleneck.template
        bank = embed_texts(self.clip, [template.replace("{d}", phrase) for phrase in descriptors.phrases])
        bottleneck = untrained_head(self.options, self.descriptors, bank, scale=float(self.clip.clip.scale()))
        return FaceModel(self.clip.clip.vision, bottleneck, self.clip.preprocess, output)

    def _alignment(self, face: FaceModel) -> float | None:
        if self.everyday is None:
            return None
        template = self.options.alignment.template
        return alignment_proxy(face, self.clip, self.everyday, template=template, **self._reading())

    def _reading(self) -> dict[str, Any]:
        batch_size, workers = self.options.evaluation.batch_size, self.options.data.workers
        return {"batch_size": batch_size, "mesh": self.mesh, "workers": workers}


def interpolated(start: nnx.State, end: nnx.State, share: float) -> nnx.State:
    """Interpolates every parameter: `(1 - share) start + share end` (WiSE-FT, Wortsman et al. 2022, eq. 1)."""
    return jax.tree.map(lambda a, b: (1 - share) * a + share * b, start, end)


def _scores(evaluation: Evaluation) -> dict[str, Any]:
    return {name: score.as_results() for name, score in evaluation.scores.items()}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
