"""Where a model's weights came from, kept with it in config.json and told in results.json and the model card."""

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_head
from ecor_jax.untrusted.json_text import read_object

KEY = "ecor_jax"
"""The object in config.json, or OpenCLIP's; they leave what they do not know alone."""
CONFIGS = ("config.json", "open_clip_config.json")
_LICENSE = re.compile(r"license:\s*[\"']?([\w.+-]{1,60})[\"']?\s*")
_HEAD = 1 << 16
"""Bytes of a model card in which its metadata end."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """base_model: hub id of the weights as they were published; empty where that is not known. revision: its commit.

    license: of the base, by its own card. guessed: what its files do not say, and was taken for granted.
    read: the hub id and the commit that was read, USER/NAME@COMMIT: the base's, or of a model that was made of it.
    """

    base_model: str = ""
    revision: str = ""
    license: str = ""
    guessed: tuple[str, ...] = ()
    read: str = ""

    def as_fields(self, *, read: bool = False) -> dict[str, Any]:
        """What is known: for config.json or, with what was read, for results.json."""
        values = dataclasses.asdict(self) if read else dataclasses.asdict(dataclasses.replace(self, read=""))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}


UNKNOWN = Origin()


def origin_of(source: str, path: Path, guessed: tuple[str, ...] = ()) -> Origin:
    """Of what lies at `path` and was asked for as `source`: what it says itself, or else the hub's id and commit."""
    directory = path if path.is_dir() else path.parent
    name, commit = (source.partition("@")[0], directory.name) if directory.parent.name == "snapshots" else ("", "")
    read = name and f"{name}@{commit}"
    configs = [directory / config for config in CONFIGS if (directory / config).is_file()]
    stated = next((fields for config in configs if (fields := read_object(config).get(KEY)) is not None), None)
    if stated is None:
        return Origin(name, commit, _license(directory / "README.md"), guessed, read)
    fields = stated if isinstance(stated, dict) else {"guessed": stated}
    texts = {field: fields.get(field, "") for field in ("base_model", "revision", "license")}
    guessed = fields.get("guessed", [])
    if not isinstance(guessed, list) or not all(isinstance(text, str) for text in (*texts.values(), *guessed)):
        raise UserError(f"{configs[0]}: {KEY} does not say where the weights came from")
    return Origin(**texts, guessed=tuple(guessed), read=read)


def _license(card: Path) -> str:
    """What the metadata of a model card says, if there is one: between two lines of `---` at its beginning."""
    lines = read_head(card, _HEAD).decode("utf-8", "replace").splitlines() if card.is_file() else []
    if lines[:1] != ["---"]:
        return ""
    metadata = itertools.takewhile(lambda line: line != "---", lines[1:])
    return next((found[1] for line in metadata if (found := _LICENSE.fullmatch(line))), "")
