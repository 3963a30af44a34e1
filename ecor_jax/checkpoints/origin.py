"""Where a model's weights came from, kept with it in config.json and told in results.json and the model card."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_bytes
from ecor_jax.untrusted.json_text import read_object

KEY = "ecor_jax"
"""The object in config.json, or OpenCLIP's; they leave what they do not know alone."""
CONFIGS = ("config.json", "open_clip_config.json")
_LICENSE = re.compile(r"\A---\n(?:.*\n)*?license:[ \t]*[\"']?([\w.+-]{1,60})[\"']?[ \t]*\n(?:.*\n)*?---", re.MULTILINE)
_MOST = 1 << 20


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
    """What the metadata of a model card says, if there is one."""
    if not card.is_file():
        return ""
    found = _LICENSE.match(read_bytes(card, _MOST).decode("utf-8", "replace").replace("\r\n", "\n"))
    return found[1] if found else ""
