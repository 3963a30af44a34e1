"""Ten phrasings of ECOR's prompts, which keep its order: how much its RR depends on the words.

    ecor-jax table --config=configs/tables/templates.py[:SET] --workdir=runs/tables/templates

SET is "drawings", the default, or a set of photographs, "cifar10". Prompts are tuned for each phrasing.
"""

import shlex

from configs.common import check_row
from configs.tables.columns import RATIONALES, WITHOUT_TESTS
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

SETS = {"drawings": ("configs/quickstart.py", WITHOUT_TESTS), "cifar10": ("configs/cifar10_small.py", "")}
PHRASINGS = {
    "paper": ("There is {r}.", "This is a photo of a {c} because there is {r}."),
    "since": ("There is {r}.", "This is a photo of a {c} since there is {r}."),
    "picture": ("There is {r}.", "This is a picture of a {c} because there is {r}."),
    "shows": ("It shows {r}.", "This is a photo of a {c} because it shows {r}."),
    "see": ("I can see {r}.", "This is a photo of a {c} because I can see {r}."),
    "has": ("It has {r}.", "This is a {c} because it has {r}."),
    "with": ("A photo with {r}.", "A photo of a {c} with {r}."),
    "colon": ("A photo: {r}.", "A photo of a {c}: {r}."),
    "visible": ("{r} is visible.", "{r} is visible, so this is a photo of a {c}."),
    "bare": ("{r}", "{c} {r}"),
}
"""The prompts of P(rationale | image) and of P(category | rationale, image)."""


def get_config(dataset: str = "drawings") -> Config:
    check_row(dataset, SETS)
    file, options = SETS[dataset]
    return config_of(
        Table(
            title=f"Phrasings of ECOR's prompts: {dataset}",
            about="Ten phrasings of the two prompts of ECOR, rationale first and category given it, with prompts tuned "
            "for each. " + " ".join(f"{name}: “{outer}”, “{pair}”." for name, (outer, pair) in PHRASINGS.items()),
            columns=RATIONALES,
            rows={
                name: Row(file, shlex.join([f"templates.outer={outer}", f"templates.pair={pair}"]))
                for name, (outer, pair) in PHRASINGS.items()
            },
            reference="paper",
            options=f"method=ecor {options}".strip(),
        )
    )
