"""The Python interface: load, explain, evaluate, train, load_clip. The commands are built on it."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from ecor_jax.checkpoints.hub import at_revision
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.checkpoints.model_dir import load_clip as read_clip
from ecor_jax.config_files import load_config
from ecor_jax.data.encode import Encode
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.sources import InOrder
from ecor_jax.data.tally import Tally
from ecor_jax.errors import UserError
from ecor_jax.options import defaults
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.parallel.processes import is_first
from ecor_jax.tasks import base
from ecor_jax.tasks.explainer import Explainer, Picture, as_list, records_of
from ecor_jax.tasks.rationale.explain import RationaleExplainer, Rationales
from ecor_jax.tasks.rationale.model import PromptedTower
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.text_bank import embed_texts

Config = str | Path | ConfigDict | Mapping[str, Any]
"""A config file, such as "configs/folder.py" or "configs/faces_orl.py:table5/base", or what is in one."""


def load(model: str | Path, rationales: Rationales = None, *, task: str = "", revision: str = "") -> Explainer:
    """A model that explains pictures: `load(model).explain("cat.jpg")`.

    Args:
        model: a model directory (`WORKDIR/model`), any converted CLIP, or a hub id.
        rationales: {class: [rationale, ...]}, or a JSON file of it; a plain CLIP has none of its own.
        task: MODULE:CLASS of a task of your own.
        revision: branch, tag or commit of a hub id; the same as "USER/NAME@REVISION".

    UserError if the directory holds no model that explains.
    """
    explainer = base.load_explainer(at_revision(str(model), revision), task)
    if rationales is not None:
        if not isinstance(explainer, RationaleExplainer):
            raise UserError(f"{model} explains by its own descriptors; expected no rationales")
        explainer.rationales = rationales
    return explainer


def explain(model: str | Path, pictures: Picture | Sequence[Picture], **options: Any) -> Any:
    """`load(model).explain(pictures, **options)`: one explanation of one picture, a list of those of several."""
    return load(model).explain(pictures, **options)


def evaluate(
    model: str | Path | Explainer,
    config: Config | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    images: str | Path = "",
    rationales: Rationales = None,
    output: Path | None = None,
    report: Path | None = None,
    answers: Path | None = None,
) -> dict[str, Any]:
    """Judges a model on the data of a config, and returns what results.json holds; prints the table.

    Args:
        model: a model directory or hub id, or what `load` gave.
        config: as `train` has it; None: that of `images` and `rationales`.
        options: of the config, by their whole keys: {"evaluation.top_k": 3}.
        images: labelled pictures, a folder tree or zip. rationales: {class: [rationale, ...]}, or a JSON file of it;
            None: those that the model was tuned on, or was loaded with.
        output, report, answers: files of the results and of a line of JSON a picture, and the folder of a page.
    """
    loaded = model if isinstance(model, Explainer) else None
    name = loaded.name if loaded is not None else str(model)
    with _config_of(config, name, loaded, images, rationales) as chosen:
        results, table = base.evaluate(with_options(chosen, options), name, output, report, answers)
    if is_first():
        print(table)
    return results


def train(config: Config, workdir: str | Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Trains and judges what a config says, and returns what results.json holds; again, it goes on where it stopped.

    options: of the config, by their whole keys: {"optimizer.learning_rate": 0.01}.
    """
    return base.run(with_options(config, options), Path(workdir))


def _embedded(tower: PromptedTower, batch: dict[str, jax.Array]) -> jax.Array:
    return tower.embed(batch["image"])


class LoadedClip:
    """A CLIP with which to encode pictures and texts."""

    def __init__(self, model: Model):
        self.model = model

    def encode_image(self, pictures: Picture | Sequence[Picture], batch_size: int = 64) -> Float[np.ndarray, "N embed"]:
        """Unit embeddings of pictures, in their order, float32. UserError names those that cannot be read."""
        source = InOrder(records_of(as_list(pictures), Tally(), skip_bad=False), origin="the pictures to encode")
        mesh, batch = make_mesh(), min(batch_size, len(source))
        batches = eval_batches(
            source,
            Encode(self.model.preprocess),
            batch_size=batch + -batch % mesh.size,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        tower = PromptedTower(self.model, None)
        return map_batches(_embedded, tower, batches, mesh, total=len(source), name="encoding images")

    def encode_text(self, texts: str | Sequence[str]) -> Float[np.ndarray, "N embed"]:
        """Unit embeddings of texts, in their order, float32. UserError for one longer than the tower reads."""
        return embed_texts(self.model, [texts] if isinstance(texts, str) else texts, keep=False)

    @property
    def scale(self) -> float:
        """What cosines are multiplied with before a softmax."""
        return float(self.model.clip.scale())


def load_clip(source: str | Path, *, revision: str = "") -> LoadedClip:
    """A CLIP of a model directory (Hugging Face or OpenCLIP), or of a hub id. UserError for what is none.

    revision: branch, tag or commit of a hub id; the same as "USER/NAME@REVISION".
    """
    return LoadedClip(read_clip(at_revision(str(source), revision)))


def _copy(config: ConfigDict | Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(config.to_dict() if isinstance(config, ConfigDict) else dict(config))


def with_options(config: Config, options: Mapping[str, Any] | None = None) -> ConfigDict:
    """The config of a file, or the one given, with some of its options set. UserError for one that it lacks."""
    chosen = load_config(str(config), ()) if isinstance(config, str | Path) else _copy(config)
    with chosen.unlocked():
        for key, value in (options or {}).items():
            try:
                chosen.update_from_flattened_dict({key: value})
            except (KeyError, TypeError) as error:
                raise UserError(f"{key}={value!r}: {error}") from error
    return chosen


@contextlib.contextmanager
def _config_of(
    config: Config | None, name: str, loaded: Explainer | None, images: str | Path, rationales: Rationales
) -> Iterator[Config]:
    if config is not None:
        if images or rationales:
            raise UserError("both a config and images or rationales are given; expected one of them")
        yield config
        return
    explainer = loaded or load(name)
    if not isinstance(explainer, RationaleExplainer):
        raise UserError(f"{name} is no model of rationales; expected a config that names its data")
    chosen, tuned = defaults(RationaleOptions), explainer.loaded.tuned
    chosen.data.images = str(images)
    chosen.method = ",".join(tuned) or "clip,ecor"
    chosen.data.rationales_per_prompt = explainer.loaded.rationales_per_prompt
    with tempfile.TemporaryDirectory() as folder:
        given = rationales or explainer.rationales or explainer.loaded.vocabulary
        if given is None:
            raise UserError(f"{name} is a plain CLIP; expected rationales, {{class: [rationale, ...]}}")
        if isinstance(given, str | Path):
            chosen.data.rationales = str(given)
        else:
            text = json.dumps(dict(given)) if isinstance(given, Mapping) else given.to_json()
            (Path(folder) / "rationales.json").write_text(text)
            chosen.data.rationales = str(Path(folder) / "rationales.json")
        yield chosen
