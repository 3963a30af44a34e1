"""The report of a run as a static page: `index.html` with its pictures beside it, readable offline."""

from collections.abc import Sequence
from pathlib import Path

from ecor_jax.explain.cards import picture_card
from ecor_jax.explain.html import Html
from ecor_jax.explain.page import page
from ecor_jax.explain.pictures import load_picture, save_picture, shown_size
from ecor_jax.explain.publish import publish
from ecor_jax.explain.records import ExplainedPicture, Report


def write_report(report: Report, directory: Path) -> Path:
    """Writes `index.html` and `images/` into the directory and returns the path of the page.

    The same report always gives the same bytes. Raises UserError as `publish` does, and where a picture cannot be
    read.
    """

    def build(folder: Path) -> Html:
        cards = []
        if report.pictures:
            (folder / "images").mkdir()
        for index, picture in enumerate(report.pictures, start=1):
            loaded = load_picture(picture.image)
            name = save_picture(loaded, folder / "images", f"{index:04d}")
            cards.append(picture_card(picture, f"picture-{index}", f"images/{name}", shown_size(loaded.size)))
        return page(report, cards)

    return publish(directory, build)


def write_explanations(pictures: Sequence[ExplainedPicture], directory: Path, title: str) -> Path:
    """Writes a page of explained pictures alone; see `write_report`."""
    intro = "What the model sees in each picture, and why."
    return write_report(Report(title=title, intro=intro, pictures=pictures), directory)
