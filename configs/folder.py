"""Your own pictures and rationales, for `ecor-jax train` and `ecor-jax evaluate`.

    ecor-jax train --config=configs/folder.py --workdir=DIR --config.model=CLIP_DIR_OR_HUB_ID \\
        --config.data.images=FOLDER_OR_ZIP_OR_ARRAYRECORD --config.data.rationales=FILE.json
    ecor-jax evaluate --config=configs/folder.py --model=DIR/model --output=results.json \\
        --config.data.images=... --config.data.rationales=...

images: class/picture, or class/rationale/picture; with or without train/ and test/ around them; or tfds:NAME.
rationales: {"class": ["rationale", ...], ...}.
"""

from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.rationale.options import RationaleOptions


def get_config() -> Config:
    config = defaults(RationaleOptions)
    config.method = "ecor"
    config.data.name = "folder"
    return config
