"""Explained pairs as a static page: `index.html` with its pictures beside it, readable offline."""

from collections.abc import Sequence
from pathlib import Path

from ecor_jax.explain.document import document
from ecor_jax.explain.html import Html, tag
from ecor_jax.explain.pair_card import Shown, pair_card
from ecor_jax.explain.pair_records import ExplainedPair, Side
from ecor_jax.explain.pair_style import PAIR_STYLE
from ecor_jax.explain.pictures import load_picture, save_picture, shown_size
from ecor_jax.explain.publish import publish
from ecor_jax.explain.records import Report
from ecor_jax.explain.sections import Part, notes_part, part

LEAD = (
    "Blue is the first picture, amber the second. The bars of a pair share one scale; a dotted line marks an even "
    "spread over the group, which is what each of its concepts would have if the picture said nothing. The bar below "
    "them starts in the middle: to the right it adds to the similarity, to the left it takes away from it."
)
READING = (
    "Shares are relative: in each picture the concepts of a group add up to 100%. A large share says that the picture "
    "fits this concept better than the others of its group, not that the concept is there, nor how sure that is.",
    "Shares near the even spread say next to nothing, whatever their order. They are written with as many digits as "
    "it takes to tell the pictures apart, which does not make a small difference a sure one.",
    "What the concepts add is exact: all of it, with the bias where there is one, is the similarity. It says how the "
    "number came about, not what makes two faces those of one person.",
)


def write_pairs(pairs: Sequence[ExplainedPair], directory: Path, title: str, intro: str) -> Path:
    """Writes `index.html` and `images/` into the directory and returns the path of the page.

    An older report there is replaced once the new one is complete; other files there are left alone. The same pairs
    always give the same bytes.

    Raises UserError where the directory cannot be written, holds an `index.html` or `images` that is not a report,
    or where a picture cannot be read.
    """

    def build(folder: Path) -> Html:
        parts = [pairs_part(pairs, folder), notes_part(READING)] if pairs else []
        return document(Report(title=title, intro=intro), parts, PAIR_STYLE)

    return publish(directory, build)


def pairs_part(pairs: Sequence[ExplainedPair], folder: Path) -> Part:
    """The section of the pairs; their pictures are written below the folder as `images/0001.png` and so on."""
    (folder / "images").mkdir()
    cards = []
    for index, pair in enumerate(pairs, start=1):
        first = _written(pair.first, folder, 2 * index - 1)
        second = _written(pair.second, folder, 2 * index)
        cards.append(pair_card(pair, f"pair-{index}", first, second))
    return part("pairs", "The same person or not, and why", LEAD, tag("div", *cards, class_="cards"))


def _written(side: Side, folder: Path, number: int) -> Shown:
    picture = load_picture(side.image)
    name = save_picture(picture, folder / "images", f"{number:04d}")
    return Shown(f"images/{name}", shown_size(picture.size))
