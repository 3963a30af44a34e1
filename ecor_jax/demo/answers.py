"""What the page shows of pictures and their explanations, as HTML; mistakes of the user as one line."""

import base64
import dataclasses
import html
import io
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from ecor_jax.bottleneck.what_if import names_of
from ecor_jax.data.decode import decode_image
from ecor_jax.demo.words import vocabulary_of
from ecor_jax.errors import UserError, printable
from ecor_jax.tasks.concepts.explain import ConceptExplainer
from ecor_jax.tasks.explainer import Explainer
from ecor_jax.untrusted.files import read_bytes

MAX_BYTES = 64 << 20
"""Maximum size of an uploaded file."""
DIALS, DIGITS = 6, 3
"""Number of sliders, and of the digits of their values."""
PREVIEW = 400
"""Longer side of a preview in pixels."""


class Dial(NamedTuple):
    """A descriptor that the user may change, and its cosine with the picture."""

    descriptor: str
    cosine: float


def or_problem(work: Callable[[], str]) -> str:
    """Returns the HTML that `work` returns, or the line of the UserError that it raises.

    Any other exception is a bug, or too little memory: its traceback is printed, and the page says so.
    """
    try:
        return work()
    except UserError as error:
        line = str(error)
    except Exception:
        traceback.print_exc()
        line = "this is a mistake of the program, or too much for this machine; its terminal says more"
    return f'<p class="problem" role="alert">{html.escape(printable(line))}</p>'


def content_of(path: Path | None, missing: str = "there is no picture yet: choose an example, or add one") -> bytes:
    """Returns the content of a chosen file. Raises UserError without one, or if it is gone or too large."""
    if path is None:
        raise UserError(missing)
    if not path.is_file():
        raise UserError("the picture is no longer kept; please add it again")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"the picture is larger than {MAX_BYTES >> 20} MiB")
    return read_bytes(path)


def preview(path: Path | None) -> str:
    """Returns a picture as an HTML element, '' without one. Raises UserError if it cannot be decoded."""
    if path is None:
        return ""
    picture, file = decode_image(content_of(path), "the file"), io.BytesIO()
    longer = max(picture.size)
    picture.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS)
    picture.save(file, "PNG" if longer <= PREVIEW else "JPEG")
    kind, text = "png" if longer <= PREVIEW else "jpeg", base64.b64encode(file.getvalue()).decode()
    return f'<img class="preview" alt="The chosen picture" src="data:image/{kind};base64,{text}">'


def by_rationales(explainer: Explainer, path: Path | None, text: str, own: str | None, *, saliency: bool) -> str:
    """Explains a picture by the vocabulary of the text; by the model's own if the text is `own`, unedited."""
    content = content_of(path)
    options: dict[str, Any] = {} if text == own else {"rationales": vocabulary_of(text)}
    return _named(explainer.explain(content, **options, **_maps(explainer, saliency)), path)._repr_html_()


def of_pair(explainer: Explainer, first: Path | None, second: Path | None, *, saliency: bool) -> str:
    """Compares two pictures."""
    missing = "two pictures are compared: choose both"
    faces = [content_of(first, missing), content_of(second, missing)]
    return explainer.explain(faces, **_maps(explainer, saliency))[0]._repr_html_()


def of_picture(explainer: Explainer, path: Path | None) -> str:
    """Explains a picture by what the model knows."""
    return _named(explainer.explain(content_of(path)), path)._repr_html_()


def by_concepts(explainer: ConceptExplainer, path: Path | None, *, saliency: bool) -> tuple[str, list[Dial]]:
    """Explains a picture; also returns the descriptors with the largest contributions to any answer."""
    explained = _named(explainer.explain(content_of(path), saliency=saliency), path)
    strength = [max(map(abs, row)) for row in zip(*(_contributions(a) for a in explained.answers), strict=True)]
    strongest = sorted(range(len(strength)), key=lambda row: -strength[row])[:DIALS]
    names, evidence = names_of(explainer.saved.descriptors), explained.answers[0].evidence
    return explained._repr_html_(), [Dial(names[row], evidence[row].cosine) for row in strongest]


def with_cosines(
    explainer: ConceptExplainer, path: Path | None, cosines: Mapping[str, float], *, saliency: bool
) -> str:
    """Explains a picture as if it had these cosines."""
    return _named(explainer.explain(content_of(path), cosines=cosines, saliency=saliency), path)._repr_html_()


def _maps(explainer: Explainer, saliency: bool) -> dict[str, Any]:
    return {"saliency": True} if saliency and "saliency" in explainer.option_names else {}


def moved(dials: Sequence[Dial], values: Sequence[Any]) -> dict[str, float]:
    """Returns the values of sliders that are not, in DIGITS digits, the cosines of their dials."""
    return {
        dial.descriptor: value
        for dial, value in zip(dials, values, strict=False)
        if isinstance(value, int | float) and round(value, DIGITS) != round(dial.cosine, DIGITS)
    }


def _named(explained: Any, path: Path | None) -> Any:
    """Returns an explanation with the name of the file, of which only the content was explained."""
    return dataclasses.replace(explained, name=path.name) if path and hasattr(explained, "name") else explained


def _contributions(answer: Any) -> list[float]:
    return [evidence.contribution for evidence in answer.evidence]
