"""Explanations of a user's own chest X-rays."""

from collections.abc import Sequence
from pathlib import Path

from ecor_jax.atomic import write_json
from ecor_jax.checkpoints.bottleneck_dir import load_bottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.data.decode import picture_of
from ecor_jax.data.sources import InOrder
from ecor_jax.errors import UserError
from ecor_jax.pages.page import write_page
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.concepts.encoder import ClipEncoder
from ecor_jax.tasks.concepts.studies import NOTICE, READING, Study, answers, explained_studies, linear
from ecor_jax.tasks.rationale.explain import read_pictures
from ecor_jax.tasks.what_if import read_what_if


def run(model: str, images: Sequence[Path], output: Path, what_if: Sequence[str] = ()) -> Path:
    """Writes a page that explains what a diagnosis model finds in the pictures of `images`; returns its path.

    explanations.json beside it has the same as data.

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
    page = write_page(
        output,
        "concepts.html",
        title=Path(records[0]["name"]).name if len(records) == 1 else f"{len(records)} images",
        kind=f"{', '.join(finding.finding for finding in explained[0].diagnoses)}: what is found, and why",
        intro="Each image is taken for a chest X-ray, whatever it shows, and compared with descriptors. " + NOTICE,
        facts={"Model": model},
        medical=True,
        studies=explained,
        notes=READING,
    )
    write_json(output / "explanations.json", [study.to_dict() for study in explained])
    return page
