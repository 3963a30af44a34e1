"""The shapes of a CLIP, and the published ones by name."""

import dataclasses
from typing import Literal

from ecor_jax.errors import UserError

Activation = Literal["quick_gelu", "gelu"]


@dataclasses.dataclass(frozen=True)
class VisionConfig:
    """Vision transformer: square images of `image_size` pixels cut into patches of `patch_size` pixels."""

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int

    @property
    def patches(self) -> int:
        """Number of patch tokens."""
        return (self.image_size // self.patch_size) ** 2


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """Causal text transformer, read at the end-of-text (EOT) token.

    `eot_id=None` is OpenAI's convention, EOT has the largest id of a row; otherwise it is the first `eot_id`
    of a row (newer Hugging Face configurations).
    """

    vocab_size: int
    context_length: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    eot_id: int | None = None


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """A CLIP: two towers and the width of their common embedding.

    `activation` has no default: `quick_gelu` (OpenAI, dfn5b-quickgelu) and `gelu` (LAION, DataComp) differ by
    enough to cost accuracy and by too little to be noticed, so every checkpoint says which one it is.
    """

    vision: VisionConfig
    text: TextConfig
    embed_dim: int
    activation: Activation
    layer_norm_eps: float = 1e-5

    def __post_init__(self):
        if self.vision.image_size % self.vision.patch_size:
            raise UserError(
                f"image_size {self.vision.image_size} is not a multiple of patch_size {self.vision.patch_size}"
            )
        for name, tower in (("vision", self.vision), ("text", self.text)):
            if tower.width % tower.heads:
                raise UserError(f"{name} width {tower.width} is not a multiple of its {tower.heads} heads")


def _clip(image_size, patch, vision, text, embed_dim, activation, *, vocab_size=49408, context=77) -> ClipConfig:
    def tower(width, layers, heads):
        return {"width": width, "layers": layers, "heads": heads, "mlp_width": 4 * width}

    return ClipConfig(
        VisionConfig(image_size, patch, **tower(*vision)),
        TextConfig(vocab_size, context, **tower(*text)),
        embed_dim,
        activation,
    )


_BASE, _LARGE, _HUGE = (768, 12, 12), (1024, 24, 16), (1280, 32, 16)
_TEXT_BASE, _TEXT_LARGE, _TEXT_HUGE = (512, 12, 8), (768, 12, 12), (1024, 24, 16)

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
    # Small enough to pretrain on a laptop; the vocabulary is the tokenizer's, learned from the captions.
    "small/64-8": _clip(64, 8, (192, 6, 3), (128, 3, 4), 128, "gelu", vocab_size=2048),
    "small/64-16": _clip(64, 16, (128, 4, 4), (96, 2, 3), 128, "gelu", vocab_size=1024),
    "small/128-16": _clip(128, 16, (192, 6, 3), (128, 3, 4), 128, "gelu", vocab_size=2048),
    # Runs in a blink; for tests.
    "tiny/16-8": _clip(16, 8, (32, 2, 2), (32, 2, 2), 16, "gelu", vocab_size=512),
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
}
"""Where the weights of presets are published."""


def preset(name: str) -> ClipConfig:
    """The configuration called `name`; UserError with the known names if there is none."""
    if name not in PRESETS:
        raise UserError(f"no CLIP preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]
