"""`CausalModel`: greedy decoding with a causal language model from the Hugging Face hub, in PyTorch by transformers.

Code from a model directory is never executed, and weights are read from safetensors only. The resources that a
malicious config.json could demand are bounded: the model is created only if the weight files contain every tensor that
config.json implies, with its shape.
"""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ecor_jax.checkpoints.fields import MAX_LAYERS, whole_number
from ecor_jax.checkpoints.hub import local_copy
from ecor_jax.checkpoints.tensor_files import check_shapes, find_weights, open_tensors
from ecor_jax.errors import UserError
from ecor_jax.radiology.reports.prompt import Answer, request
from ecor_jax.untrusted.files import open_regular
from ecor_jax.untrusted.json_text import read_object

DEFAULT_MODEL = "mistralai/Mistral-7B-Instruct-v0.3"
FAMILIES = ("mistral", "llama", "qwen2")
NEW_TOKENS = 512
"""Maximum number of tokens of an answer; about 40 descriptors."""

_WEIGHTS = "model*.safetensors"
_OTHERS = ("*.json", "*.jinja")  # newer models store the chat template in a separate file
_SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "max_position_embeddings", "vocab_size")


class CausalModel:
    """A language model from a directory or hub id. Its weights are loaded at the first call of `answer`.

    room: maximum number of tokens of a prompt. digest: identifies everything that an answer depends on but the prompt.

    Raises UserError if PyTorch is not installed, or if a file of the model is missing, damaged or inconsistent.
    """

    def __init__(self, source: str):
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise UserError(
                f'{source}: PyTorch, which language models need, is not installed; pip install "ecor-jax[reports]"'
            ) from error
        self._directory = local_copy(source, weights=(_WEIGHTS,), others=_OTHERS)
        if not (self._directory / "config.json").is_file():
            raise UserError(f"{self._directory}: not a language model; expected a directory with config.json")
        self._config = read_config(self._directory)
        self._tokenizer = _read_tokenizer(self._directory, self._config)
        self._end_tokens = read_end_tokens(self._directory)
        if isinstance(self._tokenizer.eos_token_id, int):
            self._end_tokens.add(self._tokenizer.eos_token_id)
        if not self._end_tokens:
            raise UserError(f"{self._directory}: no token ends an answer; expected eos_token_id in config.json")
        self.room = self._config.max_position_embeddings - NEW_TOKENS
        self.digest = f"{files_digest(self._directory)} {NEW_TOKENS}"

    def prompt(self, report: str) -> list[int]:
        """Returns the token ids of the request about a report."""
        return prompt_ids(self._tokenizer, report)

    def answer(self, prompts: Sequence[list[int]]) -> list[Answer]:
        """Generates an answer to each prompt, independently of the others."""
        import torch

        width = max(map(len, prompts))
        padding = min(self._end_tokens)
        ids = torch.tensor([[padding] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        model = self._loaded
        with torch.inference_mode():
            generated = model.generate(ids.to(model.device), attention_mask=mask.to(model.device))
        return [self._answer(tokens) for tokens in generated[:, width:].tolist()]

    def _answer(self, tokens: list[int]) -> Answer:
        end = next((at for at, token in enumerate(tokens) if token in self._end_tokens), None)
        return Answer(str(self._tokenizer.decode(tokens[:end], skip_special_tokens=True)), end is not None)

    @functools.cached_property
    def _loaded(self) -> Any:
        """The model, on the GPU if there is one, with greedy decoding regardless of its generation_config.json."""
        import torch
        from transformers import GenerationConfig

        model = _load(self._directory, self._config)
        model.generation_config = GenerationConfig(
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            eos_token_id=sorted(self._end_tokens),
            pad_token_id=min(self._end_tokens),
        )
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def prompt_ids(tokenizer: PreTrainedTokenizerBase, report: str) -> list[int]:
    """Returns the token ids of the request, formatted with the tokenizer's chat template if it has one.

    Special tokens ("</s>", "[INST]") are removed from the report, because it is data and must not end the turn.
    Raises UserError if the template cannot be rendered.
    """
    for token in tokenizer.added_tokens_decoder.values():
        if token.special:
            report = report.replace(token.content, " ")
    message = request(" ".join(report.split()))
    if tokenizer.chat_template is None:
        return tokenizer(f"{message}\n")["input_ids"]
    try:
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": message}],
            tokenize=False,
            add_generation_prompt=True,
            # Llama 3's template defaults to the current date, which would change the prompt every day.
            date_string="26 Jul 2024",
        )
    except Exception as error:  # errors of jinja, and any that the template's code raises
        reason = f"its chat template cannot be filled in ({_reason(error)})"
        raise UserError(f"{tokenizer.name_or_path}: {reason}") from error
    return tokenizer(str(chat), add_special_tokens=False)["input_ids"]


def files_digest(directory: Path) -> str:
    """Returns the sha256 of the names and contents of the files of weights, configuration and tokenizer."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in (_WEIGHTS, *_OTHERS) for path in directory.glob(pattern)):
        with open_regular(path) as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def read_config(directory: Path) -> PretrainedConfig:
    """Reads transformers' configuration of a model of FAMILIES from config.json.

    Other families differ in padding, have other tensor names in transformers than in their files, or download kernels.
    Raises UserError if a size is missing or out of bounds, if weights are quantised, or if transformers rejects the
    file.
    """
    path = directory / "config.json"
    # transformers would load the base model of an adapter, from any location that the adapter names.
    if (directory / "adapter_config.json").is_file():
        raise UserError(f"{directory}: holds an adapter (adapter_config.json); expected a whole model")
    fields = read_object(path)
    if fields.get("model_type") not in FAMILIES:
        raise UserError(f"{path}: model_type is {fields.get('model_type')!r}; expected one of {', '.join(FAMILIES)}")
    if fields.get("quantization_config") is not None:
        raise UserError(f"{path}: quantization_config is given; expected weights that are not quantised")
    whole_number(fields.get("num_hidden_layers"), f"{path}: num_hidden_layers", MAX_LAYERS)
    for name in _SIZES:
        whole_number(fields.get(name), f"{path}: {name}")
    try:
        return AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers' validation raises many types
        raise UserError(f"{path}: cannot be read by transformers ({_reason(error)})") from error


def read_end_tokens(directory: Path) -> set[int]:
    """Reads the ids of the end tokens from generation_config.json, else from config.json; may be empty."""
    for path in (directory / "generation_config.json", directory / "config.json"):
        stated = read_object(path).get("eos_token_id") if path.is_file() else None
        tokens = stated if isinstance(stated, list) else [] if stated is None else [stated]
        if any(isinstance(token, bool) or not isinstance(token, int) or token < 0 for token in tokens):
            raise UserError(f"{path}: eos_token_id is {stated!r}; expected a token's number or a list of them")
        if tokens:
            return set(tokens)
    return set()


def _read_tokenizer(directory: Path, config: PretrainedConfig) -> PreTrainedTokenizerBase:
    """Reads tokenizer.json and the chat template, if there is one; no class or code is looked up by name.

    Raises UserError if the tokenizer is missing or damaged, or has more tokens than the model embeds.
    """
    if not (directory / "tokenizer.json").is_file():
        raise UserError(f"{directory}: no tokenizer; expected tokenizer.json")
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception on broken files
        raise UserError(f"{directory}: its tokenizer cannot be read ({_reason(error)})") from error
    if len(tokenizer) > config.vocab_size:
        raise UserError(f"{directory}: the tokenizer has {len(tokenizer)} tokens; the model embeds {config.vocab_size}")
    return tokenizer


def _load(directory: Path, config: PretrainedConfig) -> Any:
    """Loads the model of transformers, in float32 if any of its weights is stored in float32, else in bfloat16.

    Raises UserError, naming all tensors that are missing, unused or of another shape.
    """
    import torch
    from transformers import AutoModelForCausalLM

    path = find_weights(directory, ("model.safetensors", "model.safetensors.index.json"))
    stored = {name: tensor for name, tensor in open_tensors(path).items() if not name.endswith("rotary_emb.inv_freq")}
    # Without this argument, a config.json may name an attention implementation that is downloaded as code.
    options = {"trust_remote_code": False, "attn_implementation": "sdpa"}
    try:
        with torch.device("meta"):
            expected = AutoModelForCausalLM.from_config(config, **options).state_dict()
    except Exception as error:  # inconsistent fields
        raise UserError(f"{directory / 'config.json'}: describes no model ({_reason(error)})") from error
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    shapes = {name: tuple(tensor.shape) for name, tensor in sorted(expected.items())}
    check_shapes(dict(sorted(stored.items())), shapes, path, ignorable=tied)
    full = any(tensor.dtype == "float32" for tensor in stored.values())
    dtype = torch.float32 if full else torch.bfloat16
    return AutoModelForCausalLM.from_pretrained(
        directory, config=config, dtype=dtype, use_safetensors=True, local_files_only=True, **options
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
