"""Explanations of a user's own pairs of faces."""

from collections.abc import Sequence
from pathlib import Path

from ecor_jax.atomic import write_json
from ecor_jax.checkpoints.bottleneck_dir import load_bottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.data.decode import picture_of
from ecor_jax.data.files import read_picture
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InOrder
from ecor_jax.errors import UserError
from ecor_jax.image_features import image_features
from ecor_jax.pages.page import write_page
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.verification.explanation import Side
from ecor_jax.tasks.verification.pairs import READING, check_faces, explained_pairs, face_model, head_of, see
from ecor_jax.tasks.what_if import read_what_if


def run(
    model: str,
    pairs: Sequence[tuple[Path, Path]],
    output: Path,
    threshold: float | None = None,
    what_if: Sequence[str] = (),
) -> Path:
    """Writes a page that explains the pairs of pictures, with explanations.json beside it; returns its path.

    threshold: cosine above which a pair is a match; None for the model's own.
    what_if: `DESCRIPTOR=SHARE`, a concept to set in the second picture and the share of its group it shall have.
    UserError lists all pictures that cannot be read.
    """
    records = _records(pairs)
    saved = load_bottleneck(load_clip(model))
    check_faces(saved)
    asked = read_what_if(what_if, saved.descriptors, 0, 1, "DESCRIPTOR=SHARE, a share of its group")
    source = "given with --threshold" if threshold is not None else "learnt on pairs when the model was made"
    threshold = saved.threshold if threshold is None else threshold
    if threshold is None or not -1 <= threshold <= 1:
        raise UserError(f"--threshold is {threshold}; expected a cosine from -1 to 1")
    face = face_model(saved)
    head = head_of(face)
    if head is None:
        raise UserError(f"{model} decides by features alone, with no concept between: there is nothing to explain by")
    mesh = make_mesh()
    batch = min(64, len(records))
    features = image_features(
        face.vision,
        saved.model.preprocess,
        InOrder(records, origin="the pictures to explain"),
        mirrored=True,
        batch_size=batch + -batch % mesh.shape["data"],
        mesh=mesh,
        name="faces",
    )
    sides = [Side(record["name"], picture_of(record)) for record in records]
    explained = explained_pairs(
        see(face, features),
        head,
        saved.descriptors,
        sides=[(sides[row], sides[row + 1]) for row in range(0, len(sides), 2)],
        rows=[(row, row + 1) for row in range(0, len(sides), 2)],
        threshold=threshold,
        same=[None] * len(pairs),
        asked=asked,
        threshold_source=source,
    )
    page = write_page(
        output,
        "verification.html",
        title=", ".join(Path(side.name).name for side in sides[:2]) if len(pairs) == 1 else f"{len(pairs)} pairs",
        kind="The same person or not, and why",
        intro="Two faces, compared through descriptors.",
        facts={"Model": model},
        pairs=explained,
        notes=READING,
    )
    write_json(output / "explanations.json", [pair.to_dict() for pair in explained])
    return page


def _records(pairs: Sequence[tuple[Path, Path]]) -> list[Record]:
    """Both pictures of every pair, one after the other."""
    records, bad = [], []
    for path in (path for pair in pairs for path in pair):
        try:
            record = Record(image=read_picture(path), category="", rationales=(), name=str(path))
            picture_of(record)
            records.append(record)
        except UserError as error:
            bad.append(str(error))
    if bad:
        raise UserError(f"{len(bad)} pictures cannot be read: {'; '.join(bad)}")
    return records
