"""Tiny random models of each family, written by transformers as it writes the published ones."""

import json
from pathlib import Path
from typing import Any

import pytest

BASE = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "attn_implementation": "eager",
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "mistral": ("mistral", {"sliding_window": None, "head_dim": 12}),
    "mistral, window": ("mistral", {"sliding_window": 5}),
    "llama": ("llama", {"num_key_value_heads": 4}),
    "llama, scaled": ("llama", {"rope_parameters": LLAMA3, "num_key_value_heads": 1}),
    "qwen2": ("qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "qwen2, tied": ("qwen2", {"tie_word_embeddings": True}),
}


def reference_model(variant: str) -> Any:
    """transformers' model in float32, every parameter random: none is left at zero or one."""
    torch = pytest.importorskip("torch")
    from transformers import AutoConfig, AutoModelForCausalLM

    family, options = VARIANTS[variant]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **BASE | options)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.3)
            elif parameter.ndim == 1:
                parameter.normal_(1, 0.2)
            else:
                # Wide enough that attention is not uniform and that greedy answers are no single repeated token.
                parameter.normal_(0, 1.0 if "embed" in name else 1.3 * parameter.shape[1] ** -0.5)
    return model


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """By variant: transformers' model, and the directory that it wrote of itself."""
    made: dict[str, tuple[Any, Path]] = {}

    def make(variant: str) -> tuple[Any, Path]:
        if variant not in made:
            model, directory = reference_model(variant), tmp_path_factory.mktemp("causal")
            model.save_pretrained(directory)
            made[variant] = model, directory
        return made[variant]

    return make


@pytest.fixture
def edit_config():
    """Sets fields of a JSON file, or removes those given as `...`."""

    def edit(path: Path, **fields: Any) -> None:
        changed = json.loads(path.read_text()) | fields
        path.write_text(json.dumps({name: value for name, value in changed.items() if value is not ...}))

    return edit
