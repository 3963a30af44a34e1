"""preprocessor_config.json, read and written."""

import json

import numpy as np
import pytest
from PIL import Image

from ecor_jax.checkpoints.preprocessor import preprocess_of, preprocessor_fields, read_preprocess
from ecor_jax.clip.preprocessing import PUBLISHED, Preprocess
from ecor_jax.errors import UserError

HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Preprocess(224)),
        ({"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}, Preprocess(224)),
        (HALF, Preprocess(224, (0.5,) * 3, (0.5,) * 3)),
        ({"size": {"shortest_edge": 256}}, Preprocess(224, resize_to=256)),
        ({"size": {"height": 378, "width": 378}, "do_center_crop": False}, Preprocess(378, resize="squash")),
        ({"size": {"shortest_edge": 224, "longest_edge": 224}}, Preprocess(224, resize="longest")),
        ({"resample": 2}, Preprocess(224, resample="bilinear")),
    ],
)
def test_published_kinds(change, expected, openai_preprocessing):
    assert preprocess_of(openai_preprocessing | change, "x") == expected
    assert preprocess_of(json.loads(json.dumps(preprocessor_fields(expected))), "x") == expected


CLIPS = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "image_std": [0.5, 0.4, 0.3]}
FAST = {"image_processor_type": "CLIPImageProcessorFast", "data_format": "channels_first"}
SQUARE = {"height": 32, "width": 32}


@pytest.mark.parametrize(
    "fields",
    [
        # What is left out is what transformers takes for it.
        {},
        CLIPS,
        {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32},
        FAST | {"size": 32, "crop_size": 32},
        {"size": SQUARE, "crop_size": 32, "use_square_size": False},
        {"size": 32, "crop_size": 32, "default_to_square": True},
        {"size": {"shortest_edge": 40}, "crop_size": 32},
        {"image_processor_type": "SiglipImageProcessor"},
        {"image_processor_type": "SiglipImageProcessor", "size": SQUARE, "resample": 2},
        # Ours.
        preprocessor_fields(Preprocess(16)),
        preprocessor_fields(Preprocess(16, (0.5,) * 3, (0.5,) * 3, resize_to=20)),
        preprocessor_fields(Preprocess(16, resize="squash")),
        preprocessor_fields(Preprocess(16, (0.5,) * 3, (0.5,) * 3, resize="squash", resample="bilinear")),
        preprocessor_fields(Preprocess(12, **PUBLISHED["chexzero"])),
    ],
)
def test_transformers_prepares_images_alike(fields, tmp_path):
    kind = "siglip" if "Siglip" in fields.get("image_processor_type", "") else "clip"
    module = pytest.importorskip(f"transformers.models.{kind}.image_processing_pil_{kind}")
    processor = module.SiglipImageProcessorPil if kind == "siglip" else module.CLIPImageProcessorPil
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(fields))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8))
    expected = np.asarray(processor.from_pretrained(tmp_path)(picture, return_tensors="np")["pixel_values"][0])
    preprocess = read_preprocess(tmp_path)
    assert preprocess is not None
    found = (preprocess(picture) / 255 - preprocess.mean) / preprocess.std
    np.testing.assert_allclose(found.transpose(2, 0, 1), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resample": 1}, r"resample is 1; expected 3 \(bicubic\) or 2 \(bilinear\)"),
        ({"resample": None}, "resample is None; expected 3"),
        ({"image_mean": None}, "image_mean is None; expected three numbers"),
        ({"crop_size": None}, "crop_size is None"),
        ({"do_normalize": False}, "do_normalize is False"),
        ({"do_center_crop": False}, "do_center_crop is False; expected True"),
        ({"rescale_factor": 1}, "rescale_factor is 1; expected 1/255"),
        ({"image_std": [0.5, 0, 0.5]}, r"image_std is \[0.5, 0, 0.5\]; expected three positive numbers"),
        ({"size": {"longest_edge": 224}}, "size is {'longest_edge': 224}"),
        ({"size": {"shortest_edge": 200, "longest_edge": 224}}, "size is {'shortest_edge': 200"),
        ({"size": {"height": 224, "width": 200}}, "size is {'height': 224, 'width': 200}"),
        ({"crop_size": 256}, "size 224 is smaller than crop_size 256"),
        ({"size": {"height": 378, "width": 378}}, "crop_size is 224; expected"),
    ],
)
def test_what_cannot_be_done_is_named(change, message, openai_preprocessing):
    with pytest.raises(UserError, match=f"x: {message}"):
        preprocess_of(openai_preprocessing | change, "x")


def test_the_file_of_newer_processors(tmp_path, openai_preprocessing):
    newer, older = {"image_processor": openai_preprocessing}, openai_preprocessing | HALF
    assert read_preprocess(tmp_path) is None
    for name, fields, expected in [
        ("processor_config.json", {"processor_class": "CLIPProcessor"}, None),
        ("processor_config.json", newer, Preprocess(224)),
        ("preprocessor_config.json", older, Preprocess(224, (0.5,) * 3, (0.5,) * 3)),
    ]:
        (tmp_path / name).write_text(json.dumps(fields))
        assert read_preprocess(tmp_path) == expected
