"""The rows of tables 4 to 7 of arXiv 2411.04008, as changes to a verification config.

`--config=configs/faces_orl.py:table5/base` selects a row; the default is the paper's best, base_adapter. The paper
does not state some details; we assume that the last MLP is that of the last block, that the entire encoder is tuned
with the same bottleneck as the others, and that WiSE-FT takes the mean of the tuned and the untuned weights.
"""

from collections.abc import Callable

from configs.common import check_row
from ecor_jax.config.options import Config


def _untrained(output: str) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        config.bottleneck.output, config.bottleneck.tuned = output, ""

    return change


def _tuned(parts: str, wise_ft: float = 1.0, margin: str = "adaface", by: float = 0.5) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        config.bottleneck.tuned, config.bottleneck.wise_ft = parts, wise_ft
        config.margin.name, config.margin.margin = margin, by
        if "adapter" in parts:
            config.bottleneck.adapter.width = config.bottleneck.adapter.width or 32

    return change


def _variant(model: str) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        _untrained("features")(config)
        config.model = model

    return change


BASE = "last_mlp,aggregation"
BEST = f"adapter,{BASE}"

ROWS: dict[str, Callable[[Config], None]] = {
    "table4/b16_datacomp": _variant("laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K"),
    "table4/l14_openai": _variant("openai/clip-vit-large-patch14"),
    "table4/h14_378_dfn5b": _variant("apple/DFN5B-CLIP-ViT-H-14-378"),
    "table4/h14_dfn5b": _variant("apple/DFN5B-CLIP-ViT-H-14"),
    "table4/l14_laion2b": _variant("laion/CLIP-ViT-L-14-laion2B-s32B-b82K"),
    "table5/zero_shot": _untrained("features"),
    "table5/group_softmax": _untrained("activations"),
    "table5/linear": _untrained("aggregated"),
    "table5/base": _tuned(BASE),
    "table6/zero_shot": _untrained("features"),
    "table6/encoder": _tuned("encoder,aggregation"),
    "table6/wise": _tuned("encoder,aggregation", wise_ft=0.5),
    "table6/adapter": _tuned("adapter,aggregation"),
    "table6/base": _tuned(BASE),
    "table6/base_adapter": _tuned(BEST),
    "table7/cosface": _tuned(BEST, margin="cosface", by=0.35),
    "table7/arcface": _tuned(BEST, margin="arcface"),
    "table7/adaface": _tuned(BEST),
}


def apply_row(config: Config, row: str) -> Config:
    """Changes `config` to a row of ROWS and returns it. Raises UserError for an unknown row."""
    check_row(row, ROWS)
    ROWS[row](config)
    return config
