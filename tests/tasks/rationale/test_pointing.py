"""The pointing test: which drawings and patches, curves against one picture after another, and its figures."""

import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.data.procedural import Procedural, vocabulary
from ecor_jax.errors import UserError
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.base import Log, MethodResult
from ecor_jax.tasks.rationale.methods import METHODS, make_banks
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.options import RationaleData, RationaleEvaluation, RationaleOptions, RationaleReport
from ecor_jax.tasks.rationale.pointing import (
    ORDERS,
    STEPS,
    PointingTest,
    orders_of,
    pointing_columns,
    pointing_lines,
    pointing_test,
)
from ecor_jax.tasks.rationale.task import Rationale
from tests.tasks.rationale.brute import log_joint

WORDS = vocabulary()
SIDE = 2  # patches of 8 pixels in pictures of 16


@pytest.fixture(scope="module")
def predicted() -> tuple[Procedural, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Nine drawings; the first pair of each but drawing 4 names a part that it shows."""
    drawings = Procedural(9, style="target", seed=4, size=16)
    gold = np.zeros((9, len(WORDS.rationales)), bool)
    for index in range(9):
        gold[index, [WORDS.rationales.index(text) for text in drawings[index]["rationales"]]] = True
    named = np.array([np.flatnonzero(row)[:2] for row in gold])
    named[4, 0] = np.flatnonzero(~gold[4])[0]
    return drawings, (np.full((9, 2), 7), named, gold)


def test_patches_that_show_the_named_part(predicted):
    drawings, said = predicted
    columns, shows = pointing_columns(drawings, *said, WORDS, "category_first", SIDE)
    chosen = [0, 1, 2, 3, 5, 6, 7, 8]
    np.testing.assert_array_equal(columns["inner"][:, 0], said[1][chosen, 0])
    assert (columns["outer"] == 7).all() and (columns["row"] == 7).all()
    for index, own, image in zip(chosen, shows, columns["image"], strict=True):
        mask = drawings.mask(index, WORDS.rationales[said[1][index, 0]])
        expected = [[mask[:8, :8].any(), mask[:8, 8:].any()], [mask[8:, :8].any(), mask[8:, 8:].any()]]
        np.testing.assert_array_equal(own, expected)
        np.testing.assert_array_equal(image, drawings[index]["image"])


def test_a_run_reports_pointing_maps_and_counterfactuals(tiny_clip, tmp_path):
    data = RationaleData(name="drawings", images="procedural", test_count=12)
    evaluation = RationaleEvaluation(pointing="last", batch_size=8)
    report = RationaleReport(pictures=3, saliency=True)
    options = RationaleOptions(method=("ecor",), data=data, evaluation=evaluation, report=report)
    task = Rationale(options, training=False)
    task.open(str(tiny_clip))
    evaluated = {"ecor": MethodResult(None, task.evaluate("ecor", None), 1.0)}
    results = task.results(evaluated)
    assert results["pointing"]["ecor"]["pictures"] + results["pointing"]["ecor"]["undrawn"] == 12
    assert "ecor, rollout" in task.table(evaluated)
    page = task.page(tmp_path / "page", evaluated, results, Log()).read_text()
    assert page.count('<img class="under"') == 3 * 5 and page.count("Deletion, ecor") == 1
    details = evaluated["ecor"].evaluation.details
    assert list(details) == [0, 5, 11] and all(own.removal is not None for own in details.values())


@pytest.mark.parametrize("method", ["ecor", pytest.param("clip", marks=pytest.mark.slow)])
def test_curves_are_probabilities_of_pictures_without_patches(clip, predicted, method):
    drawings, said = predicted
    recipe, mesh = METHODS[method], make_mesh()
    banks = make_banks(recipe, clip, WORDS)
    model = RationaleModel(clip, None, banks, mesh, len(WORDS.classes))
    test = pointing_test(model, recipe.order, drawings, said, WORDS, mesh, batch_size=8, name=method)
    assert (test.undrawn, test.maps.shape, test.curves.shape) == (1, (8, 2, 2, 2), (8, 3, 2, STEPS + 1))
    columns, _ = pointing_columns(drawings, *said, WORDS, recipe.order, SIDE)
    ranks = orders_of(test.maps)
    assert all(sorted(order) == [0, 1, 2, 3] for order in ranks.reshape(-1, 4).tolist())
    assert (
        np.take_along_axis(test.maps.reshape(8, 2, 4), np.argsort(ranks[:, :2]), 2)[..., 0] == test.maps.max((2, 3))
    ).all()
    image, number = columns["image"][2], 2
    for order, kind, level in [(0, 0, 0), (0, 0, 4), (1, 1, 5), (2, 0, STEPS), (2, 1, STEPS)]:
        first = (ranks[number, order] < 4 * level // STEPS).reshape(2, 2)
        shown = np.kron(~first if kind == 0 else first, np.ones((8, 8), bool))[..., None]
        changed = np.where(shown, image, np.round(image.mean(axis=(0, 1))).astype(np.uint8))
        joint = log_joint(np.asarray(model.embed(jnp.asarray(changed)[None]))[0], banks, float(model.scale[...]))
        pair = columns["outer"][number, 0], columns["inner"][number, 0]
        np.testing.assert_allclose(test.curves[number, order, kind, level], np.exp(joint[pair]), rtol=1e-3)


def test_figures():
    """Maps that point at the part in three of four drawings, and rollout in one; areas of straight lines."""
    shows = np.zeros((4, 2, 2), bool)
    shows[:, 0, 0] = True
    maps = np.zeros((4, 2, 2, 2), np.float32)
    maps[:3, 0, 0, 0], maps[3, 0, 1, 1] = 1, 1
    maps[0, 1, 0, 0], maps[1:, 1, 0, 1] = 1, 1
    lines = np.broadcast_to(np.linspace(1, 0, STEPS + 1), (4, 3, 2, STEPS + 1)).copy()
    lines[:, 1] = 0.25
    results = PointingTest(maps, lines, shows, undrawn=2).results
    assert (results["pictures"], results["undrawn"]) == (4, 2)
    hits = {name: figure["value"] for name, figure in results["hits"].items()}
    assert hits == {"saliency": 0.75, "rollout": 0.25, "chance": 0.25, "difference": 0.5}
    for kind in ("deletion", "insertion"):
        assert [results[kind][order]["value"] for order in ORDERS] == pytest.approx([0.5, 0.25, 0.5])
        assert results[kind]["saliency"]["curve"] == pytest.approx(np.linspace(1, 0, STEPS + 1))
        assert results[kind]["rollout"]["interval"] == pytest.approx([0.25, 0.25])
    lines = list(pointing_lines({"ecor": PointingTest(maps, lines, shows, 2), "clip": None}))
    assert len(lines) == 4 and "75.0 (" in lines[1] and "25.0 (25.0 to 25.0)" in lines[2]
    none = PointingTest(maps[:0], np.zeros((0, 3, 2, STEPS + 1)), shows[:0], 9)
    assert none.results["hits"]["saliency"] == {"value": None, "interval": None}
    assert list(pointing_lines({"ecor": none}))[1].split() == ["ecor,", "saliency", "-", "-", "-", "0"]


def test_other_pictures_have_no_pointing_test(tiny_clip, tiny_pictures):
    pictures, rationales = tiny_pictures
    data = RationaleData(images=str(pictures), rationales=str(rationales))
    options = RationaleOptions(data=data, evaluation=RationaleEvaluation(pointing="last"))
    with pytest.raises(UserError, match=r"evaluation\.pointing is set; expected the built-in drawings"):
        Rationale(options, training=False).open(str(tiny_clip))


def test_the_pixels_of_a_drawing_have_to_be_those_of_the_patches(tiny_clip):
    data = RationaleData(name="drawings", images="procedural", test_count=2, resize="dror")
    options = RationaleOptions(data=data, evaluation=RationaleEvaluation(pointing="all"))
    with pytest.raises(UserError, match=r"evaluation\.pointing is set; expected a CLIP whose patches are the whole"):
        Rationale(options, training=False).open(str(tiny_clip))
