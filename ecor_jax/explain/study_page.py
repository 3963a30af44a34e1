"""Explained studies as a static page: `index.html` with its images beside it, readable offline."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ecor_jax.explain.document import document
from ecor_jax.explain.html import Html, tag
from ecor_jax.explain.pair_card import Shown
from ecor_jax.explain.pair_style import PAIR_STYLE
from ecor_jax.explain.pictures import load_picture, save_picture, shown_size
from ecor_jax.explain.publish import publish
from ecor_jax.explain.records import Report
from ecor_jax.explain.sections import Part, notes_part, part
from ecor_jax.explain.study_card import study_card
from ecor_jax.explain.study_records import ExplainedStudy
from ecor_jax.explain.study_style import STUDY_STYLE

NOTICE = (
    "This is research software. It is not a medical device, nobody has approved it for clinical use, and nothing on "
    "this page may be used to diagnose, treat or advise anyone."
)
NOTICE_IN_SHORT = "Research software, not a medical device."
LEAD = (
    "Each descriptor adds something to the logit of a finding, or takes something away. Bars start in the middle: to "
    "the right a descriptor speaks for the finding, to the left against it. The bars of a finding share one scale."
)
READING = (
    "The cosines of CLIP bunch together: every image has nearly the same cosine with a descriptor, whether it is "
    "there or not. So a cosine is compared with the typical one, its mean over the training images. Seen means beyond "
    "the typical, by however little: about half of all images are beyond it for any descriptor.",
    "What a descriptor adds is its weight times its cosine beyond the typical. It is exact: with the logit of a "
    "typical image, all of it adds up to the logit, whose sigmoid is the probability. It says how the model came to "
    "its number, not what is wrong in the image.",
    "A descriptor that is not seen speaks for a finding where the model learnt that its absence does.",
    "A what-if changes one cosine and leaves all others as they are. In a real image they would move together.",
)


def write_studies(studies: Sequence[ExplainedStudy], directory: Path, title: str, intro: str) -> Path:
    """Writes `index.html` and `images/` into the directory and returns the path of the page.

    An older report there is replaced once the new one is complete; other files there are left alone. The same studies
    always give the same bytes.

    Raises UserError where the directory cannot be written, holds an `index.html` or `images` that is not a report,
    or where an image cannot be read.
    """

    def build(folder: Path) -> Html:
        parts = [studies_part(studies, folder), notes_part(READING)] if studies else []
        return diagnosis_document(Report(title=title, intro=intro), parts)

    return publish(directory, build)


def diagnosis_document(about: Report, parts: Sequence[Part]) -> Html:
    """A document of the parts that says, above them and in its header, that it is no medical device's."""
    about = dataclasses.replace(about, intro=f"{about.intro} {NOTICE_IN_SHORT}".strip())
    return document(about, [part("notice", "Not a medical device", NOTICE), *parts], PAIR_STYLE + STUDY_STYLE)


def studies_part(studies: Sequence[ExplainedStudy], folder: Path) -> Part:
    """The section of the studies; their images are written below the folder as `images/0001.png` and so on."""
    (folder / "images").mkdir()
    cards = []
    for number, study in enumerate(studies, start=1):
        picture = load_picture(study.image)
        name = save_picture(picture, folder / "images", f"{number:04d}")
        cards.append(study_card(study, f"study-{number}", Shown(f"images/{name}", shown_size(picture.size))))
    return part("studies", "What is found, and why", LEAD, tag("div", *cards, class_="cards"))
