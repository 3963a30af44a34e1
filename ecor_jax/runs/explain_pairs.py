"""Explanations of a user's own pairs of faces."""

from collections.abc import Sequence
from pathlib import Path

from ecor_jax.checkpoints.bottleneck_dir import load_bottleneck
from ecor_jax.data.encode import picture_of
from ecor_jax.data.records import BadImage, InOrder, Record
from ecor_jax.errors import UserError
from ecor_jax.evaluation.face_features import face_features
from ecor_jax.explain.pair_page import write_pairs
from ecor_jax.explain.pair_records import Side
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.runs.face_pairs import explained_pairs, face_model, head_of, see


def run(model: str, pairs: Sequence[tuple[Path, Path]], output: Path, threshold: float | None) -> Path:
    """Writes a page that explains the pairs of pictures and returns its path.

    threshold: cosine above which a pair is a match; None for the model's own.
    UserError lists all pictures that cannot be read.
    """
    records = _records(pairs)
    saved = load_bottleneck(model)
    threshold = saved.threshold if threshold is None else threshold
    if threshold is None or not -1 <= threshold <= 1:
        raise UserError(f"--threshold is {threshold}; expected a cosine from -1 to 1")
    face = face_model(saved)
    head = head_of(face)
    if head is None:
        raise UserError(f"{model} decides by features alone, with no concept between: there is nothing to explain by")
    mesh = make_mesh()
    batch = min(64, len(records))
    source = InOrder(records, origin="the pictures to explain")
    features = face_features(
        face.vision, saved.model.preprocess, source, batch_size=batch + -batch % mesh.shape["data"], mesh=mesh
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
    )
    return write_pairs(explained, output, "The same person or not, and why", "Two faces, compared through descriptors.")


def _records(pairs: Sequence[tuple[Path, Path]]) -> list[Record]:
    """Both pictures of every pair, one after the other."""
    records, bad = [], []
    for path in (path for pair in pairs for path in pair):
        try:
            record = Record(image=path.read_bytes(), category="", rationales=(), name=str(path))
            picture_of(record)
            records.append(record)
        except OSError as error:
            bad.append(f"{path}: {error.strerror or error}")
        except BadImage as error:
            bad.append(str(error))
    if bad:
        raise UserError(f"{len(bad)} pictures cannot be read: {'; '.join(bad)}")
    return records
