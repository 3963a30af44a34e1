"""Writes the README.md of a model directory: its model card, with the metadata that the Hugging Face hub reads."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from ecor_jax.atomic import new_file
from ecor_jax.checkpoints.huggingface import read_config
from ecor_jax.checkpoints.origin import origin_of
from ecor_jax.checkpoints.preprocessor import read_preprocess
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.untrusted.files import read_head
from ecor_jax.untrusted.json_text import read_object

FILE = "README.md"
MARK = "<!-- Written by ecor-jax. Without this line the file is left alone. -->"
_HEAD = 1 << 20
"""Number of bytes of a card that are searched for the mark, which follows the metadata."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of model, as its card describes it. title, text: its purpose. limits: uses that are not intended."""

    title: str
    text: str
    limits: str
    tags: tuple[str, ...] = ()


_CLIP = Kind(
    "An image-text model",
    "Encodes pictures and texts into one space: the weights of the base, unchanged but for their names.",
    "What the base must not be used for, this must not be used for.",
)
_PRETRAINED = dataclasses.replace(
    _CLIP, text="Encodes pictures and texts into one space; it was trained on pictures and captions by ecor-jax."
)
_RATIONALES = Kind(
    "Pictures and why: visual prompts",
    "Says what a picture shows and which rationale for it is seen. The image-text model is frozen; what was trained "
    "are visual prompt tokens (ECOR, arXiv 2404.12839; DROR, arXiv 2212.06202).",
    "A rationale is what fits the picture best among those that were offered: similarity, not a cause. Not for "
    "decisions about people.",
    ("explainable",),
)
_FACES = Kind(
    "Faces through descriptors",
    "Tells whether two pictures show the same person, through descriptors of faces (arXiv 2411.04008).",
    "Not for identifying people without their consent, and never the only evidence. Descriptors are similarities of "
    "words and pictures, not measurements; error rates differ between groups of people and were not examined here.",
    ("explainable", "face-verification"),
)
_CONCEPTS = Kind(
    "Classes through descriptors",
    "Tells the classes of a picture through descriptors in words (arXiv 2411.04008).",
    "Descriptors are similarities of words and pictures, not measurements. Not for decisions about people.",
    ("explainable",),
)
_MEDICAL = Kind(
    "Chest X-rays through descriptors",
    "Tells findings of chest X-rays through radiological descriptors in words (arXiv 2411.04008).",
    "Research software, not a medical device: not for diagnosis.",
    ("explainable", "medical"),
)


def write_card(directory: Path, results: Mapping[str, Any] | None = None, *, pretrained: bool = False) -> None:
    """Writes the card of a model directory, unless the user wrote one. results: the contents of results.json."""
    path = directory / FILE
    if path.is_file() and MARK.encode() not in read_head(path, _HEAD):
        return
    with new_file(path) as partial:
        partial.write_text(card(directory, results or {}, pretrained=pretrained))


def card(directory: Path, results: Mapping[str, Any], *, pretrained: bool = False) -> str:
    """Returns the text of a model directory's card."""
    origin, config = origin_of("", directory), read_config(directory / "config.json")
    kind = _kind(directory, pretrained=pretrained)
    is_plain = not (directory / "ecor.json").is_file()
    metadata = ModelCardData(
        base_model=origin.base_model or None,
        license=origin.license or None,
        library_name="transformers" if is_plain else "ecor-jax",
        pipeline_tag="zero-shot-image-classification",
        tags=["ecor-jax", "siglip" if config.text.padded else "clip", *kind.tags],
        model_name=kind.title,
        eval_results=list(_figures(results)) or None,
    )
    lines = ["---", metadata.to_yaml().strip(), "---", MARK, f"# {kind.title}", kind.text, "", "## Base"]
    if origin.base_model:
        lines.append(f"[{origin.base_model}](https://huggingface.co/{origin.base_model}), commit `{origin.revision}`.")
    else:
        lines.append("Not known here: it was read from files, or trained from scratch.")
    lines.append(f"Licence: {origin.license or 'not known here; look it up before you share this'}.")
    lines += [f"Taken for granted, for its files do not say it: {guess}." for guess in origin.guessed]
    lines += ["", "## Pictures", _words(read_preprocess(directory))]
    if tables := list(_tables(results)):
        lines += ["", "## Results", *tables]
    here = 'model = ecor_jax.load("USER/NAME")', 'model.explain("picture.jpg")'
    if is_plain:
        here = 'model = ecor_jax.load_clip("USER/NAME")', 'model.encode_image("picture.jpg")'
    lines += ["", "## Use", "```python", "import ecor_jax", "", *here, "```", ""]
    if is_plain:
        names = "AutoModel, AutoProcessor"
        calls = [f'{name}.from_pretrained("USER/NAME")' for name in names.split(", ")]
        lines += ["or, by transformers,", "", "```python", f"from transformers import {names}", ""]
        lines += [f"model, processor = {', '.join(calls)}", "```", ""]
    return "\n".join([*lines, "## Limits", kind.limits, ""])


def _kind(directory: Path, *, pretrained: bool) -> Kind:
    if not (directory / "ecor.json").is_file():
        return _PRETRAINED if pretrained else _CLIP
    description = read_object(directory / "ecor.json")
    if description.get("method") != "bottleneck":
        return _RATIONALES
    findings = description.get("findings")
    if not isinstance(findings, dict):
        return _FACES
    return _MEDICAL if findings.get("medical") else _CONCEPTS


def _words(preprocess: Preprocess | None) -> str:
    if preprocess is None:
        return "How they are prepared is not known here."
    size = preprocess.size
    how = {
        "shortest": f"the shorter side scaled to {preprocess.resize_to or size} pixels, the middle {size} cut out",
        "squash": f"scaled to {size} by {size} pixels whatever their shape",
        "longest": f"the longer side scaled to {size} pixels, made square with black on both sides",
    }[preprocess.resize]
    mean, std = (", ".join(f"{value:.6g}" for value in values) for values in (preprocess.mean, preprocess.std))
    return (
        "Turned upright by their EXIF orientation, as RGB (of transparency and palettes what PIL makes of them), "
        f"{how} (PIL's {preprocess.resample} filter); of values in [0, 1] the mean {mean} is subtracted, and they are "
        f"divided by {std}."
    )


def _groups(results: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Mapping[str, Any]]]]:
    for group in ("methods", "verification"):
        if isinstance(rows := results.get(group), Mapping):
            yield group, {name: row for name, row in rows.items() if isinstance(row, Mapping)}


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: value for name, value in row.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _figures(results: Mapping[str, Any]) -> Iterator[EvalResult]:
    dataset = str(results.get("dataset", "not named"))
    for _, rows in _groups(results):
        for name, row in rows.items():
            if "accuracy" in (numbers := _numbers(row)):
                value, task = numbers["accuracy"], "image-classification"
                yield EvalResult(task, dataset, dataset, "accuracy", value, metric_name=f"accuracy of {name}")


def _tables(results: Mapping[str, Any]) -> Iterator[str]:
    if "dataset" in results:
        yield f"On {results['dataset']}, seed {results.get('seed', 0)}."
    if isinstance(data := results.get("data"), Mapping):
        yield f"Pictures: {data['found']:,} found, {data['used']:,} used."
    for group, rows in _groups(results):
        columns = list(dict.fromkeys(column for row in rows.values() for column in _numbers(row)))
        yield ""
        yield f"| {group} | {' | '.join(columns)} |"
        yield "|---|" + "---|" * len(columns)
        for name, row in rows.items():
            cells = [f"{row[column]:.6g}" if column in _numbers(row) else "" for column in columns]
            yield f"| {name} | {' | '.join(cells)} |"
