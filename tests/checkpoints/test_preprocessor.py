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


@pytest.mark.parametrize(
    "fields",
    [
        {},
        CLIPS,
        {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32},
        {
            "image_processor_type": "CLIPImageProcessorFast",
            "size": 32,
            "crop_size": 32,
            "data_format": "channels_first",
        },
        {"size": {"height": 32, "width": 32}, "crop_size": 32, "use_square_size": False},
        {"size": 32, "crop_size": 32, "default_to_square": True},
        {"size": {"shortest_edge": 40}, "crop_size": 32},
        {"image_processor_type": "SiglipImageProcessor"},
        {"image_processor_type": "SiglipImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2},
    ],
)
def test_what_is_left_out_is_what_transformers_takes_for_it(fields, tmp_path):
    pytest.importorskip("torch")
    from transformers import CLIPImageProcessor, SiglipImageProcessor

    (tmp_path / "preprocessor_config.json").write_text(json.dumps(fields))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    kind = SiglipImageProcessor if "Siglip" in fields.get("image_processor_type", "") else CLIPImageProcessor
    theirs = kind.from_pretrained(tmp_path)(images=picture, return_tensors="np")["pixel_values"][0]
    found = read_preprocess(tmp_path)
    assert found is not None
    ours = (found(picture) / 255 - np.array(found.mean)) / np.array(found.std)
    np.testing.assert_allclose(ours.transpose(2, 0, 1), theirs, atol=0.02)  # theirs scales in another way


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
    assert read_preprocess(tmp_path) is None
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    assert read_preprocess(tmp_path) is None
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": openai_preprocessing}))
    assert read_preprocess(tmp_path) == Preprocess(224)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(openai_preprocessing | HALF))
    assert read_preprocess(tmp_path) == Preprocess(224, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(16),
        Preprocess(16, (0.5,) * 3, (0.5,) * 3, resize_to=20),
        Preprocess(16, resize="squash"),
        Preprocess(16, (0.5,) * 3, (0.5,) * 3, resize="squash", resample="bilinear"),
        Preprocess(12, **PUBLISHED["chexzero"]),
    ],
)
def test_transformers_prepares_images_alike(preprocess, tmp_path):
    transformers = pytest.importorskip("transformers.models.clip.image_processing_pil_clip")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor_fields(preprocess)))
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (32, 48, 3), np.uint8))
    processor = transformers.CLIPImageProcessorPil.from_pretrained(tmp_path)
    expected = np.asarray(processor(image, return_tensors="np")["pixel_values"][0]).transpose(1, 2, 0)
    found = (preprocess(image) / 255 - preprocess.mean) / preprocess.std
    np.testing.assert_allclose(found, expected, atol=1e-5)
