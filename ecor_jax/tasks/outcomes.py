"""The outcomes of single test examples, which a run writes to outcomes.safetensors, for intervals and comparisons."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ecor_jax.atomic import new_file
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import open_regular
from ecor_jax.untrusted.json_text import parse_json


class Outcomes(NamedTuple):
    """What each test example contributes to some metrics, which are the means of the rows of `values`.

    metrics: their names. examples: the name of each example; those of equal name, such as a patient's studies, are not
    independent of each other.
    """

    metrics: tuple[str, ...]
    examples: tuple[str, ...]
    values: Float[np.ndarray, "metrics examples"]

    @classmethod
    def of(cls, examples: tuple[str, ...], values: Mapping[str, np.ndarray]) -> Self:
        """Returns the outcomes of metrics by name."""
        return cls(tuple(values), examples, np.stack([row.astype(np.float32) for row in values.values()]))


def write_outcomes(path: Path, outcomes: Mapping[str, Outcomes]) -> None:
    """Writes outcomes by name; without any, removes the file of an earlier run."""
    if not outcomes:
        path.unlink(missing_ok=True)
        return
    names = {
        name: json.dumps({"metrics": own.metrics, "examples": own.examples}, ensure_ascii=False)
        for name, own in outcomes.items()
    }
    with new_file(path) as partial:
        save_file({name: own.values for name, own in outcomes.items()}, partial, names)


def read_outcomes(path: Path) -> dict[str, Outcomes]:
    """Reads a file of `write_outcomes`; {} if there is none. Raises UserError if it is damaged."""
    if not path.exists():
        return {}
    open_regular(path).close()
    found = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name, text in (file.metadata() or {}).items():
                names, values = parse_json(text, str(path)), file.get_tensor(name)
                found[name] = Outcomes(tuple(names["metrics"]), tuple(names["examples"]), values)
                if values.shape != (len(names["metrics"]), len(names["examples"])):
                    raise ValueError(f"{name} has shape {values.shape}")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a file of outcomes ({error})") from error
    return found
