"""What becomes of accuracy, cost and memory as the vocabulary grows from 560 to ten million pairs.

    ecor-jax table --config=configs/tables/growth.py --workdir=runs/tables/growth

CIFAR-10's test pictures; classes and rationales of DROR's other five sets are distractors, in another random order for
each seed. A set that has a class of CIFAR-10 under another name (automobile: sports car) makes right answers wrong, so
accuracy falls for two reasons. cci, which has no bank of pairs, goes to ten million of them.
"""

from configs.common import SMALL_CLIP, data_folder
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

OTHERS = ("Our_ImageNet_attribute", "SUN_text", "food101_text", "caltech101_text", "cifar100_text")
SIZES = {"1k": 10**3, "10k": 10**4, "100k": 10**5, "1M": 10**6}
LARGE = {"10M": 10**7}
METHODS = ("clip", "ecor_untuned", "cci")


def get_config() -> Config:
    files = ",".join(f"{data_folder()}/rationales/{name}.json" for name in OTHERS)

    def row(method: str, pairs: int, methods: tuple[str, ...]) -> Row:
        options = f"method={','.join(methods)} data.distractors={files} data.pairs={pairs} data.seed={{seed}}"
        return Row("configs/cifar10_small.py", options, method=method)

    rows = {f"{method}+{name}": row(method, size, METHODS) for method in METHODS for name, size in SIZES.items()}
    rows |= {f"cci+{name}": row("cci", size, ("cci",)) for name, size in LARGE.items()}
    return config_of(
        Table(
            title="Growth of the vocabulary",
            about="Untuned methods on CIFAR-10's test pictures, with classes and rationales of other sets as "
            "distractors. Looked at: the share of rationales that the exact search cannot leave out. Texts: prompts "
            "that are encoded. MiB: the memory of their embeddings.",
            columns={
                "RR": "rr",
                "accuracy": "accuracy",
                "looked at": "looked_at",
                "pairs": "pairs",
                "texts": "texts",
                "MiB": "bank_mib",
            },
            plain=("pairs", "texts", "MiB"),
            x="pairs",
            rows=rows,
            options=f"model={SMALL_CLIP} evaluation.calibration=False data.on_missing=allow data.on_long=skip",
        )
    )
