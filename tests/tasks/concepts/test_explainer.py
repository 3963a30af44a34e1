"""`ConceptExplainer` on pictures, with cosines of one's own."""

import numpy as np
import pytest
from PIL import Image

from ecor_jax.bottleneck.directory import Findings, SavedBottleneck
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts.explain import ConceptExplainer
from tests.tasks import steps
from tests.tasks.concepts.heads import DESCRIPTORS

SHOWN = [Image.new("RGB", (20, 20), colour) for colour in ("red", "navy")]


@pytest.fixture(scope="module")
def explainer(clip) -> ConceptExplainer:
    head = steps.bottleneck(5, clip.clip.config.embed_dim, adapter=3, size=3)
    findings = Findings(("Effusion", "Edema", "Mass"), False, np.zeros(5, np.float32))
    return ConceptExplainer(SavedBottleneck(clip, head, DESCRIPTORS, "{d}", "cosines", None, findings))


def test_cosines_are_replaced_all_together_in_every_picture(explainer):
    given = {"fluid": 0.75, "clear lungs": -0.5}
    before, after = explainer.explain(SHOWN), explainer.explain(SHOWN, cosines=given)
    for plain, changed in zip(before, after, strict=True):
        for old, new in zip(plain.answers, changed.answers, strict=True):
            for one, other in zip(old.evidence, new.evidence, strict=True):
                assert other.cosine == given.get(one.descriptor, one.cosine) and other.weight == one.weight
            moved = sum(
                one.weight * (given[one.descriptor] - one.cosine) for one in old.evidence if one.descriptor in given
            )
            assert new.logit == pytest.approx(old.logit + moved, abs=1e-6)


def test_a_what_if_starts_from_the_cosines_that_are_given(explainer):
    study = explainer.explain(SHOWN[0], cosines={"fluid": 0.75}, what_if={"fluid": 0.25})
    assert {(one.cosine_from, one.cosine_to) for rows in study.what_ifs.values() for one in rows} == {(0.75, 0.25)}


@pytest.mark.parametrize(
    ("cosines", "message"),
    [
        ({"fluids": 0.5}, "cosines 'fluids=0.5': the model has no such descriptor; the nearest: fluid"),
        ({"fluid": 1.5}, "cosines 'fluid=1.5': expected DESCRIPTOR=COSINE, a cosine from -1 to 1"),
        ({"fluid": float("nan")}, "cosines 'fluid=nan': expected"),
    ],
)
def test_other_cosines_are_refused(explainer, cosines, message):
    with pytest.raises(UserError, match=f"^{message}"):
        explainer.explain(SHOWN[0], cosines=cosines)
