"""Converts between `Preprocess` and preprocessor_config.json of CLIPImageProcessor and SiglipImageProcessor."""

from pathlib import Path
from typing import Any

from ecor_jax.checkpoints.fields import colour, positive, shown, whole_number
from ecor_jax.clip.preprocessing import MAX_SIDE, OPENAI_MEAN, OPENAI_STD, Preprocess, Resample
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object

FILE = "preprocessor_config.json"
_RESAMPLE: dict[int, Resample] = {3: "bicubic", 2: "bilinear"}
"""PIL's filter constants."""
_NUMBERS = {name: number for number, name in _RESAMPLE.items()}
_CLIP = "CLIPImageProcessor"
_CLIPS = (_CLIP, "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor")
_SIGLIPS = ("SiglipImageProcessor", "SiglipImageProcessorFast", "SiglipImageProcessorPil")
_OF_CLIP = {
    "resample": _NUMBERS["bicubic"],
    "image_mean": list(OPENAI_MEAN),
    "image_std": list(OPENAI_STD),
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
}
_OF_SIGLIP = {
    "resample": _NUMBERS["bicubic"],
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "size": {"height": 224, "width": 224},
    "do_center_crop": False,
}
_DEFAULTS = {**dict.fromkeys(_CLIPS, _OF_CLIP), **dict.fromkeys(_SIGLIPS, _OF_SIGLIP)}
"""The defaults of transformers' image processors for missing fields; processors of other models have other defaults."""


def read_preprocess(directory: Path) -> Preprocess | None:
    """Reads the directory's preprocessor_config.json; returns None if there is no such file.

    Also reads processor_config.json, in which CLIPProcessor of transformers 5 stores the same fields. Raises UserError
    naming any field that requests more than a bicubic or bilinear resize to a square, a centre crop and normalisation.
    """
    if (directory / FILE).is_file():
        return preprocess_of(read_object(directory / FILE), str(directory / FILE))
    combined = directory / "processor_config.json"
    if combined.is_file() and "image_processor" in (fields := read_object(combined)):
        where, processor = f"{combined}: image_processor", fields["image_processor"]
        if not isinstance(processor, dict):
            raise UserError(f"{where} is {shown(processor)}; expected an object")
        return preprocess_of(processor, where)
    return None


def preprocess_of(fields: dict[str, Any], source: str) -> Preprocess:
    """Converts the `fields` of an image processor to a `Preprocess`; `source` names them in error messages.

    Missing fields take the defaults of the stated image processor, or of CLIPImageProcessor if none is stated.
    """
    kind = fields.get("image_processor_type") or fields.get("feature_extractor_type") or _CLIP
    fields = _DEFAULTS.get(str(kind), {}) | fields

    def expect(name: str, value: Any, default: Any = None) -> None:
        if fields.get(name, default) != value:
            raise UserError(f"{source}: {name} is {fields.get(name, default)!r}; expected {value!r}")

    for step in ("do_resize", "do_rescale", "do_normalize"):
        expect(step, True, default=True)
    number = fields.get("resample")
    resample = _RESAMPLE.get(number) if isinstance(number, int) else None
    if resample is None:
        raise UserError(f"{source}: resample is {shown(number)}; expected 3 (bicubic) or 2 (bilinear)")
    if abs(positive(fields.get("rescale_factor", 1 / 255), f"{source}: rescale_factor") - 1 / 255) > 1e-9:
        raise UserError(f"{source}: rescale_factor is {fields['rescale_factor']}; expected 1/255")
    mean = colour(fields.get("image_mean"), f"{source}: image_mean")
    std = colour(fields.get("image_std"), f"{source}: image_std", above_zero=True)
    size = fields.get("size")
    if isinstance(size, int) and fields.get("default_to_square"):
        size = {"height": size, "width": size}
    if isinstance(size, dict) and not {"shortest_edge", "longest_edge"} & set(size):
        side = _square(size, f"{source}: size")
        if fields.get("do_center_crop", True):
            crop = _square(fields.get("crop_size"), f"{source}: crop_size")
            if crop != side:
                raise UserError(f"{source}: crop_size is {crop}; expected {side}, the size")
        return Preprocess(side, mean, std, resize="squash", resample=resample)
    expect("do_center_crop", True, default=True)
    side = _square(fields.get("crop_size"), f"{source}: crop_size")
    if isinstance(size, dict) and "longest_edge" in size:
        expect("size", {"shortest_edge": side, "longest_edge": side})
        return Preprocess(side, mean, std, resize="longest", resample=resample)
    edge = whole_number(size["shortest_edge"] if isinstance(size, dict) else size, f"{source}: size", MAX_SIDE)
    if edge < side:
        raise UserError(f"{source}: size {edge} is smaller than crop_size {side}")
    return Preprocess(side, mean, std, resize_to=None if edge == side else edge, resample=resample)


def preprocessor_fields(preprocess: Preprocess) -> dict[str, Any]:
    """Returns the fields of preprocessor_config.json for `preprocess`."""
    side = preprocess.size
    square = {"height": side, "width": side}
    # 'longest' is a resize to fit followed by a centre crop, which pads with black.
    size = {
        "squash": square,
        "longest": {"shortest_edge": side, "longest_edge": side},
        "shortest": {"shortest_edge": preprocess.resize_to or side},
    }[preprocess.resize]
    return {
        "image_processor_type": _CLIP,
        "do_convert_rgb": True,
        "do_resize": True,
        "size": size,
        "resample": _NUMBERS[preprocess.resample],
        "do_center_crop": preprocess.resize != "squash",
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocess.mean),
        "image_std": list(preprocess.std),
    }


def _square(size: Any, name: str) -> int:
    if isinstance(size, dict) and size.keys() == {"height", "width"} and size["height"] == size["width"]:
        size = size["height"]
    return whole_number(size, name, MAX_SIDE)
