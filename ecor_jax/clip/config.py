"""Architecture configurations of CLIP and SigLIP models, and presets of the published ones by name."""

import dataclasses
from dataclasses import KW_ONLY
from typing import Any, Literal

from ecor_jax.errors import UserError

Activation = Literal["quick_gelu", "gelu", "gelu_tanh"]


@dataclasses.dataclass(frozen=True)
class VisionConfig:
    """A vision transformer for square images of `image_size` pixels, cut into patches of `patch_size` pixels.

    The keyword-only options differ between model families; their defaults are CLIP's.
    pooling: 'cls' reads a CLS token, which has its own position embedding; 'attention' has no CLS token but a learnt
      query that attends to all patches (SigLIP's MAP head).
    pre_norm: a layer norm before the first block. patch_bias: a bias in the patch embedding.
    projection: a linear layer to the joint embedding space; without it `width` must equal `embed_dim`.
    """

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    _: KW_ONLY
    pooling: Literal["cls", "attention"] = "cls"
    pre_norm: bool = True
    patch_bias: bool = False
    projection: bool = True

    @property
    def patches(self) -> int:
        """Number of patch tokens. Pixels beyond the last complete patch of a row or column are not read."""
        return (self.image_size // self.patch_size) ** 2


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """A text transformer.

    With `eot_id=None` the end-of-text (EOT) token has the largest id of a row (OpenAI's convention); otherwise it is
    the first `eot_id` of a row (newer Hugging Face configurations).
    The keyword-only options differ between model families; their defaults are CLIP's.
    causal: tokens attend to themselves and earlier tokens; if False, to all tokens, padding included (SigLIP).
    pooling: 'eot' reads the EOT token; 'last' reads the last position of texts padded to `context_length` (SigLIP).
    projection_bias: a bias in the projection. activation: None uses `ClipConfig.activation`.
    """

    vocab_size: int
    context_length: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    eot_id: int | None = None
    _: KW_ONLY
    causal: bool = True
    pooling: Literal["eot", "last"] = "eot"
    projection_bias: bool = False
    activation: Activation | None = None

    @property
    def padded(self) -> bool:
        """Whether texts are padded to `context_length`, with the tokenizer's padding token."""
        return self.pooling == "last"


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """A dual encoder: its two towers and the width of their joint embedding space.

    `activation` has no default: `quick_gelu` (OpenAI, dfn5b-quickgelu) and `gelu` (LAION, DataComp) differ enough to
    cost accuracy but too little to be noticed, so every checkpoint has to name its activation. SigLIP uses
    `gelu_tanh`.
    logit_bias: whether the logits of pairs have a learnt bias (the sigmoid loss of SigLIP).
    """

    vision: VisionConfig
    text: TextConfig
    embed_dim: int
    activation: Activation
    layer_norm_eps: float = 1e-5
    _: KW_ONLY
    logit_bias: bool = False

    def __post_init__(self):
        if self.vision.image_size < self.vision.patch_size:
            raise UserError(f"image_size {self.vision.image_size} is less than patch_size {self.vision.patch_size}")
        for name, tower in (("vision", self.vision), ("text", self.text)):
            if tower.width % tower.heads:
                raise UserError(f"{name} width {tower.width} is not a multiple of its {tower.heads} heads")
        if not self.vision.projection and self.vision.width != self.embed_dim:
            raise UserError(
                f"texts are embedded in {self.embed_dim} dimensions, but the vision tower has no projection and a "
                f"width of {self.vision.width}"
            )

    def __repr__(self) -> str:
        return _without_default_options(self)


def _without_default_options(config: Any) -> str:
    """Returns a repr without options at their defaults, so that cache keys made of it outlast added options."""
    shown = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not (field.kw_only and value == field.default):
            text = _without_default_options(value) if dataclasses.is_dataclass(value) else repr(value)
            shown.append(f"{field.name}={text}")
    return f"{type(config).__name__}({', '.join(shown)})"


def _clip(image_size, patch, vision, text, embed_dim, activation, *, vocab_size=49408, context=77) -> ClipConfig:
    def tower(width, layers, heads):
        return {"width": width, "layers": layers, "heads": heads, "mlp_width": 4 * width}

    return ClipConfig(
        VisionConfig(image_size, patch, **tower(*vision)),
        TextConfig(vocab_size, context, **tower(*text)),
        embed_dim,
        activation,
    )


def _siglip(image_size, patch, vision, text=None, *, vocab_size=32000) -> ClipConfig:
    """Returns a SigLIP. Towers are (width, layers, heads, MLP width); the text tower defaults to the vision tower's."""
    width, *_ = vision

    def tower(width, layers, heads, mlp_width):
        return {"width": width, "layers": layers, "heads": heads, "mlp_width": mlp_width}

    return ClipConfig(
        VisionConfig(image_size, patch, **tower(*vision), **SIGLIP_VISION),
        TextConfig(vocab_size, 64, **tower(*(text or vision)), **SIGLIP_TEXT),
        width,
        "gelu_tanh",
        1e-6,
        logit_bias=True,
    )


SIGLIP_VISION: dict[str, Any] = {"pooling": "attention", "pre_norm": False, "patch_bias": True, "projection": False}
SIGLIP_TEXT: dict[str, Any] = {"causal": False, "pooling": "last", "projection_bias": True}
"""Options of the towers of SigLIP (Zhai et al. 2023) and of SigLIP 2 at fixed resolutions."""

_BASE, _LARGE, _HUGE = (768, 12, 12), (1024, 24, 16), (1280, 32, 16)
_TEXT_BASE, _TEXT_LARGE, _TEXT_HUGE = (512, 12, 8), (768, 12, 12), (1024, 24, 16)
_SO400M, _GIANT = (1152, 27, 16, 4304), (1536, 40, 16, 6144)
_GEMMA = 256000

PRESETS: dict[str, ClipConfig] = {
    "openai/ViT-B-32": _clip(224, 32, _BASE, _TEXT_BASE, 512, "quick_gelu"),
    "openai/ViT-B-16": _clip(224, 16, _BASE, _TEXT_BASE, 512, "quick_gelu"),
    "openai/ViT-L-14": _clip(224, 14, _LARGE, _TEXT_LARGE, 768, "quick_gelu"),
    "openai/ViT-L-14-336": _clip(336, 14, _LARGE, _TEXT_LARGE, 768, "quick_gelu"),
    "laion2b/ViT-L-14": _clip(224, 14, _LARGE, _TEXT_LARGE, 768, "gelu"),
    "laion2b/ViT-H-14": _clip(224, 14, _HUGE, _TEXT_HUGE, 1024, "gelu"),
    "datacomp1b/ViT-B-16": _clip(224, 16, _BASE, _TEXT_BASE, 512, "gelu"),
    "dfn5b/ViT-H-14-quickgelu": _clip(224, 14, _HUGE, _TEXT_HUGE, 1024, "quick_gelu"),
    "dfn5b/ViT-H-14-378-quickgelu": _clip(378, 14, _HUGE, _TEXT_HUGE, 1024, "quick_gelu"),
    "siglip/ViT-B-16": _siglip(224, 16, (*_BASE, 3072)),
    "siglip/ViT-L-16-384": _siglip(384, 16, (*_LARGE, 4096)),
    "siglip/ViT-SO400M-14-384": _siglip(384, 14, _SO400M),
    "siglip/ViT-SO400M-14-448": _siglip(448, 14, _SO400M),
    "siglip2/ViT-B-32-256": _siglip(256, 32, (*_BASE, 3072), vocab_size=_GEMMA),
    "siglip2/ViT-B-16": _siglip(224, 16, (*_BASE, 3072), vocab_size=_GEMMA),
    "siglip2/ViT-L-16-384": _siglip(384, 16, (*_LARGE, 4096), vocab_size=_GEMMA),
    "siglip2/ViT-SO400M-16-512": _siglip(512, 16, _SO400M, vocab_size=_GEMMA),
    "siglip2/ViT-gopt-16-384": _siglip(384, 16, _GIANT, _SO400M, vocab_size=_GEMMA),
    # Small enough to pretrain on a laptop; vocab_size is that of the tokenizer learned from the captions.
    "small/64-8": _clip(64, 8, (192, 6, 3), (128, 3, 4), 128, "gelu", vocab_size=2048),
    "mini/64-8": _clip(64, 8, (128, 5, 4), (128, 3, 4), 128, "gelu", vocab_size=1024),
    "small/64-16": _clip(64, 16, (128, 4, 4), (96, 2, 3), 128, "gelu", vocab_size=1024),
    "small/128-16": _clip(128, 16, (192, 6, 3), (128, 3, 4), 128, "gelu", vocab_size=2048),
    # For tests.
    "tiny/16-8": _clip(16, 8, (32, 2, 2), (32, 2, 2), 16, "gelu", vocab_size=512),
    "tiny/siglip-16-8": _siglip(16, 8, (32, 2, 2, 96), (32, 2, 4, 80), vocab_size=512),
}

HUB_IDS = {
    "openai/clip-vit-base-patch32": "openai/ViT-B-32",
    "openai/clip-vit-base-patch16": "openai/ViT-B-16",
    "openai/clip-vit-large-patch14": "openai/ViT-L-14",
    "openai/clip-vit-large-patch14-336": "openai/ViT-L-14-336",
    "laion/CLIP-ViT-L-14-laion2B-s32B-b82K": "laion2b/ViT-L-14",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": "laion2b/ViT-H-14",
    "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K": "datacomp1b/ViT-B-16",
    "apple/DFN5B-CLIP-ViT-H-14": "dfn5b/ViT-H-14-quickgelu",
    "apple/DFN5B-CLIP-ViT-H-14-378": "dfn5b/ViT-H-14-378-quickgelu",
    "google/siglip-base-patch16-224": "siglip/ViT-B-16",
    "google/siglip-large-patch16-384": "siglip/ViT-L-16-384",
    "google/siglip-so400m-patch14-384": "siglip/ViT-SO400M-14-384",
    "google/medsiglip-448": "siglip/ViT-SO400M-14-448",
    "google/siglip2-base-patch32-256": "siglip2/ViT-B-32-256",
    "google/siglip2-base-patch16-224": "siglip2/ViT-B-16",
    "google/siglip2-large-patch16-384": "siglip2/ViT-L-16-384",
    "google/siglip2-so400m-patch16-512": "siglip2/ViT-SO400M-16-512",
    "google/siglip2-giant-opt-patch16-384": "siglip2/ViT-gopt-16-384",
}
"""Hugging Face Hub ids of published weights, and the preset of each."""


def preset(name: str) -> ClipConfig:
    """Returns the preset called `name`. Raises UserError, listing the known names, if it does not exist."""
    if name not in PRESETS:
        raise UserError(f"no CLIP preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]
