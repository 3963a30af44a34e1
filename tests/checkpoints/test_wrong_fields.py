"""Configurations that do not fit the weights, or ask for what our towers do not have, are refused by the field."""

import pytest

from ecor_jax.checkpoints.source import read_source
from ecor_jax.errors import UserError

HUGGINGFACE = [
    ("model_type", "blip", "model_type is 'blip'; expected 'clip' or 'siglip'"),
    ("model_type", ..., "model_type is None"),
    ("text_config", [], r"text_config is \[\]; expected an object"),
    ("text_config.hidden_act", "relu", "text_config.hidden_act is 'relu'; expected one of quick_gelu, gelu"),
    ("vision_config.layer_norm_eps", 1e-6, "layer_norm_eps is 1e-05 in text_config and 1e-06 in vision_config"),
    ("vision_config.num_channels", 4, "num_channels is 4; expected 3"),
    ("vision_config.image_size", [24, 24], r"image_size is \[24, 24\]; expected a whole number from 1 to"),
    ("vision_config.num_attention_heads", 3, "vision width 128 is not a multiple of its 3 heads"),
    ("vision_config.patch_size", 7, r"patch_embedding.weight .* \(expected \[128, 3, 7, 7\]\)"),
    ("vision_config.patch_size", 25, "image_size 24 is less than patch_size 25"),
    ("vision_config.num_hidden_layers", 4, "missing: vision_model.encoder.layers.3"),
    ("vision_config.image_size", 32, r"position_embedding.weight \[10, 128\] \(expected \[17, 128\]\)"),
    ("text_config.vocab_size", ..., r"token_embedding.weight .*\(expected \[49408, 64\]\)"),
    ("text_config.eos_token_id", "2", "eos_token_id is '2'"),
    ("projection_dim", -1, "projection_dim is -1"),
]
OPENCLIP = [
    ("model_cfg", ..., "model_cfg is None; expected an object"),
    ("model_cfg.embed_dim", ..., "model_cfg.embed_dim is None"),
    ("model_cfg.custom_text", True, "model_cfg.custom_text is True: this kind of CLIP is not supported"),
    ("model_cfg.multimodal_cfg", {}, "model_cfg.multimodal_cfg is {}"),
    ("model_cfg.vision_cfg.timm_model_name", "vit", "vision_cfg.timm_model_name is 'vit'"),
    ("model_cfg.vision_cfg.layers", [3, 4], r"layers is \[3, 4\]: a ResNet; only vision transformers are read"),
    ("model_cfg.vision_cfg.pool_type", "avg", "vision_cfg.pool_type is 'avg'"),
    ("model_cfg.vision_cfg.head_width", 80, "head_width 80 does not divide 128"),
    ("model_cfg.vision_cfg.mlp_ratio", "4", "vision_cfg.mlp_ratio is '4'; expected a positive number"),
    ("model_cfg.vision_cfg.width", 256, r"conv1.weight \[128, 3, 8, 8\] \(expected \[256, 3, 8, 8\]\)"),
    ("model_cfg.text_cfg.hf_model_name", "roberta", "text_cfg.hf_model_name is 'roberta'"),
    ("model_cfg.text_cfg.pool_type", "eos", "text_cfg.pool_type is 'eos'"),
    ("model_cfg.text_cfg.no_causal_mask", True, "text_cfg.no_causal_mask is True"),
    ("preprocess_cfg.interpolation", "random", "interpolation is 'random'; expected 'bicubic' or 'bilinear'"),
    ("preprocess_cfg.resize_mode", "widest", "is 'widest'; expected 'shortest', 'squash' or 'longest'"),
    ("preprocess_cfg.size", 32, "preprocess_cfg.size is 32; the vision tower takes 24 pixels"),
    ("preprocess_cfg.mean", [0.5], r"preprocess_cfg.mean is \[0.5\]; expected three numbers"),
]
SIGLIP = [
    ("vision_config.vision_use_head", False, "without its head a vision tower has no embedding"),
    ("text_config.projection_size", 64, "embedded in 64 dimensions, but the vision tower has no projection and a wid"),
    ("vision_config.hidden_act", "gelu_new", "hidden_act is 'gelu_new'; expected one of quick_gelu, "),
    ("text_config.max_position_embeddings", 32, r"position_embedding.weight \[64, 64\] \(expected \[32, 64\]\)"),
]
TIMM = [
    ("model_cfg.vision_cfg.timm_pool", "avg", "vision_cfg.timm_pool is 'avg'"),
    ("model_cfg.vision_cfg.image_size", 24, "image_size is 24; vit_base_patch8_siglip_26 takes 26 pixels"),
    ("model_cfg.text_cfg.norm_kwargs", {"eps": 1e-5}, "norm_kwargs is {'eps': 1e-05}; expected"),
    ("model_cfg.text_cfg.act_kwargs", {"approximate": "none"}, "act_kwargs.approximate is 'none'"),
    ("model_cfg.text_cfg.pool_type", "argmax", "text_cfg.pool_type is 'argmax'"),
    ("model_cfg.text_cfg.tokenizer_kwargs", {"clean": "lower"}, "tokenizer_kwargs.clean is 'lower'; expected"),
    ("model_cfg.embed_dim", 48, "embedded in 48 dimensions, but the vision tower has no projection and a width of"),
]
KINDS = {"huggingface": HUGGINGFACE, "siglip": SIGLIP, "openclip": OPENCLIP, "timm": TIMM}


@pytest.mark.parametrize(
    ("kind", "key", "value", "message"), [(kind, *row) for kind, rows in KINDS.items() for row in rows]
)
def test_a_field_that_does_not_fit_is_named(kind, key, value, message, request, edit_json):
    directory = request.getfixturevalue(f"{kind}_dir")
    name = "config.json" if kind in ("huggingface", "siglip") else "open_clip_config.json"
    edit_json(directory / name, key, value)
    with pytest.raises(UserError, match=message) as caught:
        read_source(directory)
    assert str(directory) in str(caught.value)
