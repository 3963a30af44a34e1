from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.errors import UserError
from ecor_jax.radiology.xray.labels import select
from ecor_jax.radiology.xray.studies import Studies

FINDINGS = ("Edema", "No Finding", "Pleural Effusion")


def studies_of(labels: list[list[int]], views: list[str] | None = None) -> Studies:
    names = tuple(f"{row}.png" for row in range(len(labels)))
    array = np.asarray(labels, np.int8).reshape(len(labels), 3)
    nowhere: Any = SimpleNamespace(path="somewhere", apart_from=lambda *_: {})  # labels are chosen without an image
    views = tuple(views or ["PA"] * len(labels))
    return Studies(nowhere, names, names, views, FINDINGS, array, names, names, nowhere, ())


LABELS = [
    [1, -2, 1],  # edema and effusion
    [-2, 1, -2],  # nothing found
    [0, -2, -1],  # effusion uncertain
    [-1, -2, 0],  # edema uncertain
    [-2, -2, -2],  # nothing mentioned
    [0, 1, 1],  # contradictory
]


def test_several_findings_in_the_order_asked():
    chosen, targets, skipped = select(studies_of(LABELS), findings=["pleural_effusion", "edema"], single_label=False)
    assert chosen.patients == ("0.png", "1.png", "2.png", "3.png", "5.png") and skipped == {"of unknown label": 1}
    np.testing.assert_array_equal(chosen.labels, np.asarray(LABELS)[[0, 1, 2, 3, 5]])
    assert targets.dtype == np.float32
    # What is uncertain of an image is not known, the rest of it is.
    np.testing.assert_array_equal(targets, [[1, 1], [0, 0], [np.nan, 0], [0, np.nan], [1, 0]])


def test_views(caplog):
    studies = studies_of(LABELS, ["PA", "AP", "LATERAL", "LL", "", "PA"])

    def kept(*views: str) -> tuple[str, ...]:
        return select(studies, findings=["Edema"], views=views, uncertain="zeros", single_label=False)[0].views

    assert kept() == ("PA", "AP", "LATERAL", "LL", "PA")  # nothing is known of the one without a view
    assert kept("PA") == ("PA", "PA") and kept("AP", "LATERAL") == ("AP", "LATERAL")
    with pytest.raises(UserError, match=r"somewhere has no image of view 'pa'; there are: AP, LATERAL, LL, PA$"):
        kept("pa")
    assert kept("AP", "pa") == ("AP",)
    assert "somewhere: no image of view pa; there are: AP, LATERAL, LL, PA" in caplog.text


@given(
    st.lists(st.lists(st.integers(-2, 1), min_size=3, max_size=3), min_size=1, max_size=12),
    st.permutations(range(3)).flatmap(lambda order: st.integers(1, 3).map(lambda count: order[:count])),
    st.sampled_from(["drop", "zeros", "ones"]),
    st.booleans(),
)
def test_against_slow_loops(labels, columns, uncertain, single_label):
    expected = []
    for row, image in enumerate(labels):
        values = [image[column] for column in columns]
        doubt = {"drop": None, "zeros": 0, "ones": 1}[uncertain]
        targets = [doubt if value == -1 else int(value == 1) for value in values]
        if set(image) == {-2} or set(targets) == {None} or (single_label and None in targets):
            continue
        if not single_label or targets.count(1) == 1:
            expected.append((f"{row}.png", targets))
    options = {"findings": [FINDINGS[column] for column in columns], "uncertain": uncertain}
    if not expected or (single_label and len(columns) < 2):
        with pytest.raises(UserError):
            select(studies_of(labels), single_label=single_label, **options)
        return
    chosen, targets, _ = select(studies_of(labels), single_label=single_label, **options)
    known = [[None if np.isnan(value) else value for value in row] for row in targets.tolist()]
    assert list(zip(chosen.patients, known, strict=True)) == expected


BOTH = {"findings": ["Edema", "Pleural Effusion"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"findings": ["Effusion", "Flu"]}, "no label column 'Effusion', 'Flu'; there are: Edema, No Finding, Pleural"),
        ({"findings": []}, r"found the findings \(none\); expected at least one, each once"),
        ({"findings": ["Edema", "edema"]}, "found the findings Edema, edema; expected at least one, each once"),
        ({"findings": ["Edema"], "single_label": True}, "found 1 class, Edema; expected at least 2 to tell apart"),
        (BOTH | {"single_label": True}, "somewhere: none of 1 images is left for Edema, Pleural Effusion"),
        ({"findings": ["Edema"], "uncertain": "maybe"}, "uncertain is 'maybe'; expected one of drop, zeros, ones"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(UserError, match=message):
        select(studies_of([[0, 1, 0]]), **{"single_label": False, **options})
