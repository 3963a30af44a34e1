"""config.json: what is implemented is read, anything else is named."""

import json

import numpy as np
import pytest

from ecor_jax.causal.config import CausalConfig, Llama3Scaling, read_config, read_end_tokens
from ecor_jax.errors import UserError

# As Hugging Face publishes mistralai/Mistral-7B-Instruct-v0.3, by a version of transformers before 5.
MISTRAL = {
    "architectures": ["MistralForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "model_type": "mistral",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 32768,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.fixture
def read(tmp_path):
    """Reads MISTRAL with some fields changed, or removed where given as `...`."""

    def read(**fields) -> CausalConfig:
        changed = {name: value for name, value in (MISTRAL | fields).items() if value is not ...}
        (tmp_path / "config.json").write_text(json.dumps(changed))
        return read_config(tmp_path / "config.json")

    return read


def test_the_published_shape_of_mistral(read):
    assert read() == CausalConfig(
        vocab_size=32768,
        context_length=32768,
        width=4096,
        layers=32,
        heads=32,
        kv_heads=8,
        head_size=128,
        mlp_width=14336,
        norm_eps=1e-5,
        rope_theta=1e6,
        rope_scaling=None,
        qkv_bias=False,
        tied=False,
        window=None,
    )
    assert read(sliding_window=4096).window == 4096


def test_what_the_other_families_leave_out(read):
    llama = read(model_type="llama", sliding_window=..., num_key_value_heads=..., rope_theta=..., rope_scaling=None)
    assert (llama.kv_heads, llama.rope_theta, llama.window, llama.qkv_bias) == (32, 10000.0, None, False)
    # Published Qwen2 states a window that use_sliding_window turns off.
    qwen = read(model_type="qwen2", sliding_window=131072, use_sliding_window=False, tie_word_embeddings=True)
    assert (qwen.window, qwen.qkv_bias, qwen.tied) == (None, True, True)


def test_old_and_new_names_of_rotary_scaling_are_the_same(read):
    old = read(rope_scaling=LLAMA3, rope_theta=5e5)
    assert old == read(rope_parameters=LLAMA3 | {"rope_theta": 5e5}, rope_theta=...)
    assert old.rope_scaling == Llama3Scaling(8.0, 1.0, 4.0, 8192) and old.rope_theta == 5e5


def test_frequencies_by_hand(read):
    plain = read(rope_theta=10000.0, head_dim=4).frequencies()
    np.testing.assert_allclose(plain, [1.0, 0.01], rtol=1e-6)
    assert plain.dtype == np.float32
    # original 200 pi: 100 * frequency turns; 100 is far above `high`, 1 is `low` itself, 1e-2 below it.
    scaled = LLAMA3 | {"original_max_position_embeddings": 628, "factor": 4.0}
    found = read(rope_theta=10000.0, head_dim=4, rope_scaling=scaled).frequencies()
    np.testing.assert_allclose(found, [1.0, 0.01 / 4], rtol=1e-3)
    between = LLAMA3 | {"low_freq_factor": 0.5, "high_freq_factor": 1.5, "original_max_position_embeddings": 628}
    found = read(rope_theta=10000.0, head_dim=4, rope_scaling=between).frequencies()
    # Half way: the mean of 0.01 and 0.01 / 8.
    np.testing.assert_allclose(found, [1.0, 0.01 * 9 / 16], rtol=2e-3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "gemma"}, "model_type is 'gemma'; expected one of mistral, llama, qwen2"),
        ({"model_type": ...}, "model_type is None"),
        (
            {"rope_scaling": {"type": "yarn", "factor": 4.0}},
            "rotary scaling of type 'yarn'; implemented are default, l",
        ),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}, "rotary scaling of type 'dynamic'"),
        ({"rope_scaling": "linear"}, "rotary scaling is 'linear'; expected an object"),
        ({"rope_scaling": LLAMA3 | {"factor": None}}, "factor is None; expected a positive number"),
        ({"rope_scaling": LLAMA3 | {"low_freq_factor": 4}}, "low_freq_factor 4 is not below high_freq_factor 4"),
        ({"rope_theta": -1}, "rope_theta is -1"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5; only 1 is implemented"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; only 'silu' is implemented"),
        ({"attention_bias": True}, "attention_bias is True; only False"),
        ({"mlp_bias": True}, "mlp_bias is True"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config is .*gptq.*; only None"),
        ({"model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window is True"),
        ({"model_type": "qwen2", "layer_types": ["sliding_attention"]}, "layer_types is .*only full_attention"),
        ({"sliding_window": ...}, "sliding_window is missing"),
        ({"sliding_window": 0}, "sliding_window is 0; expected a whole number"),
        ({"num_key_value_heads": ...}, "num_key_value_heads is None"),
        ({"num_key_value_heads": 5}, "num_attention_heads 32 is not a multiple of num_key_value_heads 5"),
        ({"hidden_size": 4095}, "hidden_size 4095 is not a multiple of num_attention_heads 32"),
        ({"head_dim": 7}, "heads of 7 numbers cannot be rotated in pairs"),
        ({"vocab_size": "many"}, "vocab_size is 'many'"),
        ({"rms_norm_eps": ...}, "rms_norm_eps is None"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes'"),
    ],
)
def test_a_field_that_does_not_fit_is_named(fields, message, read):
    with pytest.raises(UserError, match=message) as caught:
        read(**fields)
    assert "config.json" in str(caught.value) and "\n" not in str(caught.value)


def test_the_end_tokens_of_generation_go_first(tmp_path):
    (tmp_path / "config.json").write_text('{"eos_token_id": 7}')
    assert read_end_tokens(tmp_path) == (7,)
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.7}')
    assert read_end_tokens(tmp_path) == (7,)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [9, 8]}')
    assert read_end_tokens(tmp_path) == (9, 8)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": "</s>"}')
    with pytest.raises(UserError, match=r"generation_config\.json: eos_token_id is '</s>'"):
        read_end_tokens(tmp_path)
    (tmp_path / "generation_config.json").unlink()
    (tmp_path / "config.json").write_text("{}")
    assert read_end_tokens(tmp_path) == ()
