"""The provenance of a model's weights, stored in config.json and reported in results.json and the model card."""

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_head
from ecor_jax.untrusted.json_text import read_object

KEY = "ecor_jax"
"""Key of the object in config.json or open_clip_config.json; transformers and OpenCLIP ignore unknown keys."""
CONFIGS = ("config.json", "open_clip_config.json")
_LICENSE = re.compile(r"license:\s*[\"']?([\w.+-]{1,60})[\"']?\s*")
_HEAD = 1 << 16
"""Number of bytes of a model card that are searched for its metadata."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """The provenance of weights; an empty field is unknown.

    base_model: hub id of the weights as published. revision: its commit. license: as stated by its own model card.
    guessed: assumptions about what the files do not state. read: USER/NAME@COMMIT of the hub
      repository that was loaded: the base model or one derived from it.
    """

    base_model: str = ""
    revision: str = ""
    license: str = ""
    guessed: tuple[str, ...] = ()
    read: str = ""

    def as_fields(self, *, read: bool = False) -> dict[str, Any]:
        """Returns the known fields as a dict: for config.json or, with `read` set, for results.json."""
        values = dataclasses.asdict(self) | {"guessed": list(self.guessed)}
        return {name: value for name, value in values.items() if value and (read or name != "read")}


UNKNOWN = Origin()


def origin_of(source: str, path: Path, guessed: tuple[str, ...] = ()) -> Origin:
    """Returns the origin of the model at `path`, requested as `source`: as in its config, or hub id and commit."""
    directory = path if path.is_dir() else path.parent
    name, commit = (source.partition("@")[0], directory.name) if directory.parent.name == "snapshots" else ("", "")
    read = name and f"{name}@{commit}"
    configs = [directory / config for config in CONFIGS if (directory / config).is_file()]
    stated = next((fields for config in configs if (fields := read_object(config).get(KEY)) is not None), None)
    if stated is None:
        return Origin(name, commit, _license(directory / "README.md"), guessed, read)
    fields = stated if isinstance(stated, dict) else {"guessed": stated}
    texts = {field: fields.get(field, "") for field in ("base_model", "revision", "license")}
    assumed = fields.get("guessed", [])
    if not isinstance(assumed, list) or not all(isinstance(text, str) for text in (*texts.values(), *assumed)):
        raise UserError(f"{configs[0]}: {KEY} does not say where the weights came from")
    return Origin(**texts, guessed=tuple(assumed), read=read)


def _license(card: Path) -> str:
    """Returns the license in the metadata of a model card, between two `---` lines at its start; '' without one."""
    lines = read_head(card, _HEAD).decode("utf-8", "replace").splitlines() if card.is_file() else []
    if lines[:1] != ["---"]:
        return ""
    metadata = itertools.takewhile(lambda line: line != "---", lines[1:])
    return next((found[1] for line in metadata if (found := _LICENSE.fullmatch(line))), "")
