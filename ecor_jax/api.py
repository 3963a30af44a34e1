"""The public Python API: load, explain, evaluate, train, ClipEncoder. The commands are built on it."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecor_jax.checkpoints.hub import at_revision
from ecor_jax.config.files import AnyConfig, with_options
from ecor_jax.config.options import defaults
from ecor_jax.data.pictures import Picture
from ecor_jax.errors import UserError
from ecor_jax.features.encoders import ClipEncoder
from ecor_jax.parallel.processes import is_first
from ecor_jax.tasks import base
from ecor_jax.tasks.explainer import Explainer
from ecor_jax.tasks.rationale.explain import RationaleExplainer, Rationales
from ecor_jax.tasks.rationale.options import RationaleOptions


def load(model: str | Path, rationales: Rationales = None, *, task: str = "", revision: str = "") -> Explainer:
    """Loads a model that explains pictures: `load(model).explain("cat.jpg")`.

    Args:
        model: a model directory (`WORKDIR/model`), any converted CLIP, a hub id, or "drawings", a small CLIP that is
            part of this package and knows the built-in drawings (`data.procedural`).
        rationales: {class: [rationale, ...]}, or a JSON file of it; a plain CLIP has none of its own, unless its
            directory has a rationales.json.
        task: MODULE:CLASS of a user-defined task.
        revision: branch, tag or commit of a hub id; the same as "USER/NAME@REVISION".

    Raises UserError if the directory contains no model that can explain pictures.
    """
    explainer = base.load_explainer(at_revision(str(model), revision), task)
    if rationales is not None:
        if not isinstance(explainer, RationaleExplainer):
            raise UserError(f"{model} explains by its own descriptors; expected no rationales")
        explainer.rationales = rationales
    return explainer


def explain(model: str | Path, pictures: Picture | Sequence[Picture], **options: Any) -> Any:
    """Returns `load(model).explain(pictures, **options)`: the explanation of one picture, or the list for several."""
    return load(model).explain(pictures, **options)


def evaluate(
    model: str | Path | Explainer,
    config: AnyConfig | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    images: str | Path = "",
    rationales: Rationales = None,
    output: Path | None = None,
    report: Path | None = None,
    answers: Path | None = None,
) -> dict[str, Any]:
    """Evaluates a model on the data of a config, prints a table and returns the contents of results.json.

    Args:
        model: a model directory or hub id, or a model that `load` returned.
        config: as for `train`; None: a default config for `images` and `rationales`.
        options: config options by dotted key: {"evaluation.top_k": 3}.
        images: labelled pictures, a folder tree or zip. rationales: {class: [rationale, ...]}, or a JSON file of it;
            None: those that the model was tuned on or loaded with.
        output: path of the results file. report: folder for a page of the results. answers: path of a JSON Lines file
            with the answer for each picture.
    """
    loaded = model if isinstance(model, Explainer) else None
    name = loaded.name if loaded is not None else str(model)
    with _config_of(config, name, loaded, images, rationales) as chosen:
        results, table = base.evaluate(with_options(chosen, options), name, output, report, answers)
    if is_first():
        print(table)
    return results


def train(config: AnyConfig, workdir: str | Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Trains and evaluates the methods of a config and returns the contents of results.json; resumes a stopped run.

    options: config options by dotted key: {"optimizer.learning_rate": 0.01}.
    """
    return base.run(with_options(config, options), Path(workdir))


load_clip = ClipEncoder.from_pretrained


@contextlib.contextmanager
def _config_of(
    config: AnyConfig | None, name: str, loaded: Explainer | None, images: str | Path, rationales: Rationales
) -> Iterator[AnyConfig]:
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
