"""From a verification config to a workdir: a bottleneck trained on faces, judged on pairs, and explained."""

import dataclasses
import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from ecor_jax.bottleneck import Adapter, Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import SavedBottleneck, is_bottleneck, load_bottleneck, save_bottleneck
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.clip.split import SplitVision
from ecor_jax.config import Config
from ecor_jax.data.descriptors import FACES, Descriptors
from ecor_jax.data.face_encode import FaceEncode
from ecor_jax.data.images import Subset, open_images
from ecor_jax.data.pair_sets import PairSet, open_pairs, pairs_within
from ecor_jax.data.pipeline import train_batches
from ecor_jax.data.records import Source
from ecor_jax.errors import UserError
from ecor_jax.evaluation.alignment import alignment_proxy
from ecor_jax.evaluation.face_features import face_features
from ecor_jax.evaluation.face_scores import FaceScores, score_pairs
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.runs import compute_dtype, pretrain
from ecor_jax.runs.face_pairs import face_model, see
from ecor_jax.runs.verification_report import Row, faithfulness, write_verification
from ecor_jax.tasks.verification import FaceModel, Margin, Recogniser, VerificationTask
from ecor_jax.text_bank import embed_texts
from ecor_jax.training.loop import train
from ecor_jax.training.workdir import write_json


def run(config: Config, workdir: Path) -> None:
    """Trains the bottleneck on `config.data`, judges it and the untuned baselines on all pairs.

    Writes model/, results.json and report/; where no model is named, clip/ with the one it pretrains first.
    """
    setting = Setting(config, _model(config, workdir))
    pair_sets = setting.pair_sets()
    start = time.perf_counter()
    face = setting.face_model()
    if setting.tuned:
        face = setting.train(face, workdir)
    main = setting.row(face, pair_sets, setting.alignment(face), start)
    rows = {"tuned" if setting.tuned else "untuned": main} | setting.baselines(pair_sets)
    results = _results(config, rows) | faithfulness(main, pair_sets, config.seed)
    if jax.process_index() == 0:
        setting.save(workdir / "model", face, main)
        write_json(workdir / "results.json", results)
        write_verification(workdir / "report", config, rows, pair_sets, results, setting.descriptors, workdir)
    print(table(rows))


def evaluate(config: Config, model: str) -> tuple[dict[str, Any], str]:
    """results.json and a table of a trained bottleneck, or of a plain CLIP with the config's head untrained."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.model = model
    start = time.perf_counter()
    loaded = load_clip(model, dtype=compute_dtype(config.dtype))
    setting = Setting(config, loaded)
    pair_sets = setting.pair_sets()
    if is_bottleneck(loaded.path):
        saved = load_bottleneck(model, dtype=compute_dtype(config.dtype))
        face = face_model(saved)
        rows = {"tuned": setting.row(face, pair_sets, setting.alignment(face), start)}
    else:
        face = setting.face_model()
        rows = {"untuned": setting.row(face, pair_sets, setting.alignment(face), start)} | setting.baselines(pair_sets)
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


def _model(config: Config, workdir: Path) -> Model:
    """The CLIP of the config; pretrained below the workdir where none is named."""
    dtype = compute_dtype(config.dtype)
    if config.model:
        return load_clip(config.model, dtype=dtype)
    if not config.pretrain:
        raise UserError("--config.model is not set: expected a CLIP, as a model directory or a hub id")
    if not (workdir / "clip" / "model").is_dir():
        pretrain.run(config.pretrain, workdir / "clip")
    return load_clip(workdir / "clip" / "model", dtype=dtype)


class Setting:
    """What all rows of a run share: the CLIP, the descriptors, the mesh, the pictures."""

    def __init__(self, config: Config, model: Model):
        self.config, self.model = config, model
        self.mesh = make_mesh(config.parallel.model)
        head = config.bottleneck
        self.tuned = tuple(part.strip() for part in head.tuned.split(",") if part.strip())
        if "{d}" not in head.template:
            raise UserError(f"bottleneck.template is {head.template!r}; expected {{d}} in it, for the descriptor")
        self.descriptors = Descriptors.from_json(FACES if head.descriptors == "faces" else head.descriptors)
        if not 0 < head.wise <= 1:
            raise UserError(f"bottleneck.wise is {head.wise}; expected a share above 0, at most 1")
        self.margin = Margin(**config.margin)
        devices = self.mesh.shape["data"]
        for group in ("data", "evaluation"):
            if (size := config[group].batch_size) < 1 or size % devices:
                raise UserError(f"{group}.batch_size is {size}; expected a multiple of {devices}, the devices in use")

    @functools.cached_property
    def faces(self) -> "Faces":
        """People to train on, and those held out."""
        data = self.config.data
        if not data.images:
            raise UserError("--config.data.images is not set: expected a path")
        source = open_images(data.images, split=data.split)
        people = source.classes
        if not 0 <= data.held_out < len(people) - 1:
            raise UserError(
                f"data.held_out is {data.held_out}; expected 0 to {len(people) - 2} of {len(people)} people"
            )
        order = np.random.default_rng(data.seed).permutation(len(people))
        held_out = {people[row] for row in order[: data.held_out]}
        rows = {held: [n for n, name in enumerate(source.categories) if (name in held_out) == held] for held in (0, 1)}
        if not 0 <= data.subset <= len(rows[0]):
            raise UserError(f"data.subset is {data.subset}; expected 0 to {len(rows[0])}, the images to train on")
        if data.subset:
            drawn = np.random.default_rng(data.seed).choice(len(rows[0]), data.subset, replace=False)
            rows[0] = [rows[0][row] for row in np.sort(drawn)]
        return Faces(Subset(source, rows[0]), Subset(source, rows[1]) if held_out else None)

    def pair_sets(self) -> dict[str, PairSet]:
        """The held-out people's pairs, then those of the config, by name."""
        data, sets = self.config.data, {}
        if data.held_out:
            assert self.faces.held_out is not None
            sets[data.name] = pairs_within(data.name, self.faces.held_out, data.seed)
        for name, entry in self.config.pairs.items():
            sets[name] = open_pairs(name, entry.path, entry.images)
        if not sets:
            raise UserError("there are no pairs to judge by: set data.held_out, or pairs in the config")
        return sets

    def face_model(self, output: str = "", scrambled: bool | None = None) -> FaceModel:
        """The CLIP with an untrained bottleneck; arguments where the config is not meant."""
        head, config = self.config.bottleneck, self.config
        descriptors = self.descriptors
        if head.scrambled if scrambled is None else scrambled:
            descriptors = descriptors.scrambled(config.seed)
        bank = embed_texts(self.model, [head.template.replace("{d}", phrase) for phrase in descriptors.phrases])
        rngs = nnx.Rngs(config.seed)
        adapter = None
        if head.adapter.width:
            options = {"alpha": head.adapter.alpha, "last_relu": head.adapter.last_relu}
            adapter = Adapter(bank.shape[1], head.adapter.width, **options, rngs=rngs)
        bottleneck = Bottleneck(
            bank,
            descriptors.group_of,
            scale=head.scale or float(self.model.clip.scale()),
            size=head.size or len(bank),
            start=head.start,
            use_bias=head.use_bias,
            adapter=adapter,
            rngs=rngs,
        )
        return FaceModel(SplitVision(self.model.clip.vision), bottleneck, self.model.preprocess, output or head.output)

    def train(self, face: FaceModel, workdir: Path) -> FaceModel:
        """The face model with its chosen parts trained, then drawn back to the start as `bottleneck.wise` says."""
        config, data, faces = self.config, self.config.data, self.faces.train
        people = faces.classes
        before = nnx.state(nnx.clone(face), nnx.Param)
        task = VerificationTask(
            face,
            len(people),
            self.tuned,
            train_batches(
                faces,
                FaceEncode(self.model.preprocess, people, data.augment, data.image_size),
                batch_size=data.batch_size,
                seed=config.seed,
                workers=data.workers,
                process_index=jax.process_index(),
                process_count=jax.process_count(),
                on_bad_image=data.on_bad_image,
            ),
            self.margin,
            batch_size=data.batch_size,
            shards=config.parallel.model,
            rngs=nnx.Rngs(config.seed),
        )
        trained = train(task, config, workdir, "verification")
        assert isinstance(trained, Recogniser)
        if config.bottleneck.wise < 1:
            nnx.update(trained.face, interpolated(before, nnx.state(trained.face, nnx.Param), config.bottleneck.wise))
        return trained.face

    def row(self, face: FaceModel, pair_sets: Mapping[str, PairSet], proxy: float | None, start: float) -> Row:
        """How a face model does on all sets of pairs, and what it sees in their pictures."""
        seen, scores = {}, {}
        for name, pairs in pair_sets.items():
            features = face_features(face.vision, self.model.preprocess, pairs.images, name=name, **self._reading())
            seen[name] = see(face, features)
            scores[name] = score_pairs(seen[name].embeddings, pairs)
        return Row(face, scores, seen, proxy, time.perf_counter() - start)

    def alignment(self, face: FaceModel) -> float | None:
        """Zero-shot accuracy on everyday pictures; None where the config names none."""
        config = self.config.alignment
        if not config.images:
            return None
        source = open_images(config.images, split=config.split)
        return alignment_proxy(face, self.model, source, template=config.template, **self._reading())

    def _reading(self) -> dict[str, Any]:
        evaluation = self.config.evaluation
        return {"batch_size": evaluation.batch_size, "mesh": self.mesh, "workers": self.config.data.workers}

    def baselines(self, pair_sets: Mapping[str, PairSet]) -> dict[str, Row]:
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
        return {name: self.row(face, pair_sets, proxy, time.perf_counter()) for name, face in faces.items()}

    def save(self, directory: Path, face: FaceModel, row: Row) -> None:
        """The model directory of a trained face model."""
        clip = nnx.clone(self.model.clip)
        clip.vision = face.vision.whole()
        threshold = next(iter(row.scores.values())).threshold
        descriptors = self.descriptors
        if self.config.bottleneck.scrambled:
            descriptors = descriptors.scrambled(self.config.seed)
        template = self.config.bottleneck.template
        saved = SavedBottleneck(self.model, face.bottleneck, descriptors, template, face.output, threshold)
        save_bottleneck(directory, saved, clip)


@dataclasses.dataclass(frozen=True)
class Faces:
    """No person is in both; `held_out` is None where none was kept."""

    train: Source
    held_out: Source | None


def interpolated(start: nnx.State, end: nnx.State, share: float) -> nnx.State:
    """WiSE-FT (Wortsman et al. 2022, eq. 1): `(1 - share) start + share end`, of every parameter."""
    return jax.tree.map(lambda a, b: (1 - share) * a + share * b, start, end)
