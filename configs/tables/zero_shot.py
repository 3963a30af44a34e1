"""Zero-shot accuracy of a CLIP on the photographs at hand, by "this is a photo of a {class}".

    ecor-jax table --config=configs/tables/zero_shot.py --workdir=runs/tables/zero_shot

For another CLIP: --config.options="model=DIR_OR_HUB_ID concepts.class_template='this is a photo of a {c}'"
"""

import shlex

from configs.common import SMALL_CLIP, data_folder
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table


def get_config() -> Config:
    folder = data_folder()
    images = f"{folder}/images"
    sets = {
        "tiny_imagenet": {
            "images": f"{images}/tinyimagenet_train_a.zip",
            "train_split": "train",
            "test_images": f"{images}/tinyimagenet_val.zip",
            "test_split": "val",
        },
        "cifar10": {"images": f"{images}/cifar10.zip"},
        "caltech101": {},
    }
    words = {
        "tiny_imagenet": f"{images}/tinyimagenet_classes.json",
        "cifar10": f"{folder}/rationales/cifar10_text.json",
        "caltech101": f"{folder}/rationales/caltech101_text.json",
    }

    def row(name: str) -> Row:
        own = {"name": name, "aliases": "faces easy=person" if name == "caltech101" else ""} | sets[name]
        options = [f"data.{option}={value}" for option, value in own.items()]
        return Row("configs/caltech101_descriptors.py", shlex.join([*options, f"concepts.descriptors={words[name]}"]))

    return config_of(
        Table(
            title="Zero-shot accuracy",
            about="Tiny-ImageNet's validation pictures (200 classes), CIFAR-10's test pictures (10) and a quarter of "
            "Caltech-101 (96 classes that have rationales), by the prompt “this is a photo of a {class}”.",
            columns={"accuracy": "accuracy", "macro F1": "f1"},
            rows={name: row(name) for name in sets},
            options=shlex.join(
                [
                    "methods=zero_shot",
                    f"model={SMALL_CLIP}",
                    "concepts.class_template=this is a photo of a {c}",
                    "data.validation=",
                    "eval_every=0",
                    "best=",
                ]
            ),
            seeds=("0",),
        )
    )
