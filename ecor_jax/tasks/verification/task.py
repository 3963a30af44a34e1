"""From a verification config to a workdir: a bottleneck trained on faces, judged on pairs, and explained."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from ecor_jax.bottleneck import Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import SavedBottleneck, is_bottleneck, load_bottleneck, save_bottleneck
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.clip.split import SplitVision
from ecor_jax.config import Config, comma_list
from ecor_jax.data.descriptors import FACES, Descriptors
from ecor_jax.data.encode import Encode, IdentityLabels
from ecor_jax.data.images import open_images
from ecor_jax.data.pipeline import train_batches
from ecor_jax.errors import UserError
from ecor_jax.image_features import image_features
from ecor_jax.options import check_template
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.base import compute_dtype
from ecor_jax.tasks.common import adapter_of, check_batch_sizes, clip_of
from ecor_jax.tasks.verification.alignment import alignment_proxy
from ecor_jax.tasks.verification.data import open_faces, open_pair_sets
from ecor_jax.tasks.verification.model import FaceModel, Margin, Recogniser, VerificationTask, check_output, trainable
from ecor_jax.tasks.verification.pairs import check_faces, face_model, see
from ecor_jax.tasks.verification.report import Row, faithfulness, write_verification
from ecor_jax.tasks.verification.scores import FaceScores, score_pairs
from ecor_jax.text_bank import embed_texts
from ecor_jax.training.loop import checked_optimizer, train
from ecor_jax.training.workdir import write_results


def run(config: Config, workdir: Path) -> None:
    """Trains the bottleneck on `config.data`, judges it and the untuned baselines on all pairs.

    Writes model/, results.json and report/; where no model is named, clip/ with the one it pretrains first.
    """
    setting = Setting(config, training=True)
    trial = Trial(setting, clip_of(config, workdir))
    start = time.perf_counter()
    face = trial.face_model()
    if setting.tuned:
        face = trial.train(face, workdir)
    main = trial.row(face, trial.alignment(face), start)
    rows = {"tuned" if setting.tuned else "untuned": main} | trial.baselines()
    results = _results(config, rows) | faithfulness(main, setting.pair_sets, config.seed)
    if jax.process_index() == 0:
        trial.save(workdir / "model", face, main)
        write_results(workdir / "results.json", config, results)
        write_verification(workdir / "report", config, rows, setting.pair_sets, results, setting.descriptors, workdir)
    print(table(rows))


def evaluate(config: Config, model: str) -> tuple[dict[str, Any], str]:
    """results.json and a table of a trained bottleneck, or of a plain CLIP with the config's head untrained."""
    start = time.perf_counter()
    setting = Setting(config, training=False)
    loaded = load_clip(model, dtype=compute_dtype(config.dtype))
    trial = Trial(setting, loaded)
    if is_bottleneck(loaded.path):
        saved = load_bottleneck(loaded)
        check_faces(saved)
        face = face_model(saved)
        rows = {"tuned": trial.row(face, trial.alignment(face), start)}
    else:
        face = trial.face_model()
        rows = {"untuned": trial.row(face, trial.alignment(face), start)} | trial.baselines()
    return _results(config, rows), table(rows)


def table(rows: Mapping[str, Row]) -> str:
    """Accuracies and areas under the curve of all rows, in per cent, for a terminal."""
    names = next(iter(rows.values())).scores
    lines = [f"{'':24}" + "".join(f"{name[:18]:>20}" for name in names) + f"{'alignment':>12}"]
    for row, found in rows.items():
        cells = (f"{100 * s.folds.accuracy:.2f} / {_percent(s.auc)}" for s in found.scores.values())
        lines.append(f"{row:24}" + "".join(f"{cell:>20}" for cell in cells) + f"{_percent(found.proxy):>12}")
    return "\n".join(
        [*lines, "accuracy / area under the ROC curve; alignment: zero-shot accuracy on everyday pictures"]
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _results(config: Config, rows: Mapping[str, Row]) -> dict[str, Any]:
    (_, main), *others = rows.items()

    def scores(found: Mapping[str, FaceScores]) -> dict[str, Any]:
        return {name: score.as_results() for name, score in found.items()}

    return {
        "seed": config.seed,
        "verification": scores(main.scores),
        "average": float(np.mean([score.folds.accuracy for score in main.scores.values()])),
        "alignment_proxy": main.proxy,
        "baselines": {name: {"verification": scores(row.scores), "alignment_proxy": row.proxy} for name, row in others},
    }


class Setting:
    """What a config says, checked before anything heavy begins: the head's options, the people, the pairs."""

    def __init__(self, config: Config, training: bool):
        self.config = config
        self.mesh = make_mesh(config.parallel.model)
        head = config.bottleneck
        self.tuned = comma_list(head.tuned)
        check_template(head.template, "d", "bottleneck.template", needed=True)
        check_template(config.alignment.template, "c", "alignment.template")
        self.descriptors = Descriptors.from_json(FACES if head.descriptors == "faces" else head.descriptors)
        if not 0 < head.wise <= 1:
            raise UserError(f"bottleneck.wise is {head.wise}; expected a share above 0, at most 1")
        check_output(head.output)
        untrained = self.bottleneck(np.zeros((len(self.descriptors.phrases), 1), np.float32), scale=1.0)
        if training:
            trainable(self.tuned, untrained, head.output)
            checked_optimizer(config)
        self.margin = Margin(**config.margin)
        check_batch_sizes(config, self.mesh)
        wanted = config.data.held_out or (training and self.tuned)
        self.faces = open_faces(config.data) if wanted else None
        self.pair_sets = open_pair_sets(config, self.faces)
        everyday = config.alignment
        self.everyday = open_images(everyday.images, split=everyday.split) if everyday.images else None

    def bottleneck(self, bank: np.ndarray, scale: float) -> Bottleneck:
        """An untrained head over a bank; `scale` where the config leaves it to the CLIP."""
        head, rngs = self.config.bottleneck, nnx.Rngs(self.config.seed)
        adapter = adapter_of(head.adapter, bank.shape[1], rngs)
        return Bottleneck(
            bank,
            self.descriptors.group_of,
            scale=head.scale or scale,
            size=head.size or len(bank),
            start=head.start,
            use_bias=head.use_bias,
            adapter=adapter,
            rngs=rngs,
        )


class Trial:
    """All rows of a run: what is made of one CLIP under a setting."""

    def __init__(self, setting: Setting, model: Model):
        self.setting, self.config, self.model = setting, setting.config, model

    def face_model(self, output: str = "", scrambled: bool | None = None) -> FaceModel:
        """The CLIP with an untrained bottleneck; arguments where the config is not meant."""
        head, descriptors = self.config.bottleneck, self.setting.descriptors
        if head.scrambled if scrambled is None else scrambled:
            descriptors = descriptors.scrambled(self.config.seed)
        bank = embed_texts(self.model, [head.template.replace("{d}", phrase) for phrase in descriptors.phrases])
        bottleneck = self.setting.bottleneck(bank, scale=float(self.model.clip.scale()))
        return FaceModel(SplitVision(self.model.clip.vision), bottleneck, self.model.preprocess, output or head.output)

    def train(self, face: FaceModel, workdir: Path) -> FaceModel:
        """The face model with its chosen parts trained, then drawn back to the start as `bottleneck.wise` says."""
        config, data = self.config, self.config.data
        assert self.setting.faces is not None
        faces = self.setting.faces.train
        people = faces.classes
        before = nnx.state(nnx.clone(face), nnx.Param)
        task = VerificationTask(
            face,
            len(people),
            self.setting.tuned,
            train_batches(
                faces,
                Encode(
                    self.model.preprocess,
                    IdentityLabels(people),
                    "adaface" if data.augment else "none",
                    data.image_size,
                ),
                batch_size=data.batch_size,
                seed=config.seed,
                workers=data.workers,
                process_index=jax.process_index(),
                process_count=jax.process_count(),
                on_bad_image=data.on_bad_image,
            ),
            self.setting.margin,
            batch_size=data.batch_size,
            shards=config.parallel.model,
            rngs=nnx.Rngs(config.seed),
        )
        trained = train(task, config, workdir, "verification")
        assert isinstance(trained, Recogniser)
        if config.bottleneck.wise < 1:
            nnx.update(trained.face, interpolated(before, nnx.state(trained.face, nnx.Param), config.bottleneck.wise))
        return trained.face

    def row(self, face: FaceModel, proxy: float | None, start: float) -> Row:
        """How a face model does on all sets of pairs, and what it sees in their pictures."""
        seen, scores = {}, {}
        for name, pairs in self.setting.pair_sets.items():
            features = image_features(
                face.vision, self.model.preprocess, pairs.images, mirrored=True, name=name, **self._reading()
            )
            seen[name] = see(face, features)
            scores[name] = score_pairs(seen[name].embeddings, pairs)
        return Row(face, scores, seen, proxy, time.perf_counter() - start)

    def alignment(self, face: FaceModel) -> float | None:
        """Zero-shot accuracy on everyday pictures; None where the config names none."""
        if self.setting.everyday is None:
            return None
        template = self.config.alignment.template
        return alignment_proxy(face, self.model, self.setting.everyday, template=template, **self._reading())

    def _reading(self) -> dict[str, Any]:
        evaluation = self.config.evaluation
        return {"batch_size": evaluation.batch_size, "mesh": self.setting.mesh, "workers": self.config.data.workers}

    def baselines(self) -> dict[str, Row]:
        """Without training: CLIP's features, Group SoftMax over descriptors, the same over meaningless ones."""
        faces = {
            "clip": self.face_model("features"),
            "group_softmax": self.face_model("activations", scrambled=False),
            "group_softmax_random": self.face_model("activations", scrambled=True),
        }
        for face in faces.values():
            face.bottleneck.adapter = None
        # They differ in what they make of the features, not in the features.
        proxy = self.alignment(faces["clip"])
        return {name: self.row(face, proxy, time.perf_counter()) for name, face in faces.items()}

    def save(self, directory: Path, face: FaceModel, row: Row) -> None:
        """The model directory of a trained face model."""
        clip = nnx.clone(self.model.clip)
        clip.vision = face.vision.whole()
        threshold = next(iter(row.scores.values())).threshold
        descriptors = self.setting.descriptors
        if self.config.bottleneck.scrambled:
            descriptors = descriptors.scrambled(self.config.seed)
        template = self.config.bottleneck.template
        saved = SavedBottleneck(self.model, face.bottleneck, descriptors, template, face.output, threshold)
        save_bottleneck(directory, saved, clip)


def interpolated(start: nnx.State, end: nnx.State, share: float) -> nnx.State:
    """WiSE-FT (Wortsman et al. 2022, eq. 1): `(1 - share) start + share end`, of every parameter."""
    return jax.tree.map(lambda a, b: (1 - share) * a + share * b, start, end)
