"""Explanations of a user's own chest X-rays."""

from collections.abc import Sequence
from pathlib import Path

from ecor_jax.checkpoints.bottleneck_dir import load_bottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.data.decode import picture_of
from ecor_jax.data.sources import InOrder
from ecor_jax.errors import UserError
from ecor_jax.explain.study_page import write_studies
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.concepts.encoder import ClipEncoder
from ecor_jax.tasks.concepts.studies import Study, answers, explained_studies, linear
from ecor_jax.tasks.rationale.explain import read_pictures
from ecor_jax.tasks.what_if import read_what_if


def run(model: str, images: Sequence[Path], output: Path, what_if: Sequence[str] = ()) -> Path:
    """Writes a page that explains what a diagnosis model finds in the pictures of `images`, and returns its path.

    what_if: `DESCRIPTOR=COSINE`, a cosine to ask after in the place of what the picture has.
    """
    records = read_pictures(images)
    saved = load_bottleneck(load_clip(model))
    if saved.findings is None:
        raise UserError(f"{model} compares faces; expected --pair FIRST SECOND, not --images")
    asked = read_what_if(what_if, saved.descriptors, -1, 1, "DESCRIPTOR=COSINE, a cosine")
    mesh = make_mesh()
    batch = min(64, len(records))
    encoder = ClipEncoder(saved.model, batch_size=batch + -batch % mesh.shape["data"], mesh=mesh)
    said = answers(saved.bottleneck, encoder.images(InOrder(records, origin="the pictures to explain")))
    assert said.cosines is not None
    explained = explained_studies(
        [Study(record["name"], picture_of(record)) for record in records],
        said.cosines,
        linear(saved.bottleneck, saved.findings),
        saved.findings.typical,
        saved.descriptors,
        asked=asked,
    )
    return write_studies(explained, output, "What it finds, and why", "A chest X-ray, compared with descriptors.")
