"""`FaceExplainer`: explains a user's pairs of faces by descriptors."""

from collections.abc import Mapping, Sequence
from typing import Any

from ecor_jax.bottleneck.directory import SavedBottleneck
from ecor_jax.bottleneck.what_if import read_what_if
from ecor_jax.data.decode import picture_of
from ecor_jax.data.pictures import Picture
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.errors import UserError
from ecor_jax.features.image_features import image_features
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.explainer import Explainer
from ecor_jax.tasks.verification.explanation import ExplainedPair, Side
from ecor_jax.tasks.verification.pairs import READING, check_faces, explained_pairs, face_model, head_of, see
from ecor_jax.tasks.verification.saliency import with_maps


class FaceExplainer(Explainer[ExplainedPair]):
    """An explainer that compares two pictures of faces at a time, with the bottleneck of a model directory."""

    option_names, pairs = frozenset({"threshold", "what_if", "saliency"}), True

    def __init__(self, saved: SavedBottleneck):
        check_faces(saved)
        self.saved, self.name = saved, str(saved.model.path)

    def compare(self, first: Picture, second: Picture, **options: Any) -> ExplainedPair:
        """Explains whether two pictures show the same person; options are those of `explain_records`."""
        return self.explain([first, second], **options)[0]

    def explain_records(
        self,
        records: Sequence[Record],
        threshold: float | None = None,
        what_if: Sequence[str] | Mapping[str, float] = (),
        saliency: bool = False,
    ) -> list[ExplainedPair]:
        """Explains consecutive pairs of pictures. Raises UserError if their number is odd or an option is invalid.

        threshold: cosine above which a pair is a match; by default the model's own.
        what_if: `DESCRIPTOR=SHARE`, a concept of the second picture and its new share of its group, in [0, 1].
        saliency: whether to compute saliency maps.
        """
        saved = self.saved
        if not records or len(records) % 2:
            raise UserError(f"found {len(records)} pictures; expected two for each pair of faces")
        asked = read_what_if(what_if, saved.descriptors, 0, 1, "DESCRIPTOR=SHARE, a share of its group")
        learnt = saved.threshold_source or "learnt on pairs when the model was made"
        source = learnt if threshold is None else "given with --threshold"
        threshold = saved.threshold if threshold is None else threshold
        if threshold is None or not -1 <= threshold <= 1:
            raise UserError(f"--threshold is {threshold}; expected a cosine from -1 to 1")
        face = face_model(saved)
        head = head_of(face)
        if head is None:
            raise UserError(
                f"{self.name} decides by features alone, with no concept between: there is nothing to explain by"
            )
        pictures = InMemory(records, origin="the pictures to explain")
        features = image_features(
            face.vision, saved.model.preprocess, pictures, mirrored=True, batch_size=64, mesh=make_mesh(), name="faces"
        )
        sides = [Side(record["name"], picture_of(record)) for record in records]
        compared = [(first, first + 1) for first in range(0, len(sides), 2)]
        explained = explained_pairs(
            see(face, features),
            head,
            saved.descriptors,
            sides=[(sides[first], sides[second]) for first, second in compared],
            compared=compared,
            threshold=threshold,
            same=[None] * len(compared),
            asked=asked,
            threshold_source=source,
            typical=saved.typical,
        )
        return with_maps(explained, face, saved.model.preprocess) if saliency else explained

    def context(self, explained: Sequence[ExplainedPair]) -> dict[str, Any]:
        kind, intro = "The same person or not, and why", "Two faces, compared through descriptors."
        return {"kind": kind, "intro": intro, "notes": READING}
