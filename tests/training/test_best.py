"""Evaluations on the way, and the weights at the best of them."""

import numpy as np
import pytest

from ecor_jax.errors import UserError
from ecor_jax.training import loop
from ecor_jax.training.metrics_log import read_metrics

EVALUATED = (3, 6, 7)
"""Every third step, and the last."""


class Judge:
    """Gives the scores in their order, keeps the parameters that it was shown, and dies when it has no score left."""

    def __init__(self, scores):
        self.scores, self.seen = iter(scores), []

    def __call__(self, model):
        score = next(self.scores)
        self.seen.append(np.asarray(model.slope[...]))
        return {"right": score, "loss": -score}


@pytest.fixture
def run(toy, toy_config, tmp_path):
    """The parameters of a run of the toy that is evaluated."""

    def call(evaluate, **changes) -> np.ndarray:
        options = toy_config(**{"eval_every": 3, "best": "right"} | changes)
        return np.asarray(loop.train(toy(), options, tmp_path, "toy", evaluate).slope[...])

    return call


@pytest.mark.parametrize(
    ("scores", "best"), [((0.1, 0.9, 0.5), 1), ((0.9, 0.9, 0.1), 0), ((0.1, 0.2, 0.3), 2), ((-3.0, -1.0, -2.0), 1)]
)
@pytest.mark.parametrize("name", ["right", "loss"])
def test_the_model_is_that_of_the_first_best_evaluation(run, scores, best, name):
    evaluate = Judge(scores)
    found = run(evaluate, best=name)
    np.testing.assert_array_equal(found, evaluate.seen[best], strict=True)
    assert len({slope.tobytes() for slope in evaluate.seen}) == len(EVALUATED)
    # A finished run is neither trained nor evaluated again.
    again = Judge(())
    np.testing.assert_array_equal(run(again, best=name), found, strict=True)
    assert not again.seen


def test_without_a_name_the_last_weights_are_those_without_evaluations_and_the_numbers_are_logged(
    run, toy, toy_config, tmp_path
):
    plain = loop.train(toy(), toy_config(), tmp_path / "plain", "toy")
    np.testing.assert_array_equal(run(Judge((0.9, 0.5, 0.1)), best=""), np.asarray(plain.slope[...]), strict=True)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    # Logged every second step, too.
    assert [line["step"] for line in lines] == [2, 3, 4, 6, 7]
    right = {line["step"]: line["validation_right"] for line in lines if "validation_right" in line}
    assert right == {3: 0.9, 6: 0.5, 7: 0.1}


@pytest.mark.parametrize(("scores", "best"), [((0.9, 0.5, 0.1), 0), ((0.1, 0.9, 0.5), 1), ((0.1, 0.5, 0.9), 2)])
@pytest.mark.parametrize("killed", [2, 3])
def test_a_run_that_was_killed_ends_with_the_same_best(run, toy, toy_config, tmp_path, scores, best, killed):
    """Checkpoints are of steps 3 and 6: the evaluation of a checkpoint's own step is not repeated."""
    whole = Judge(scores)
    loop.train(toy(), toy_config(eval_every=3, best="loss"), tmp_path / "whole", "toy", whole)
    with pytest.raises(StopIteration):
        run(Judge(scores[: killed - 1]), best="loss")
    np.testing.assert_array_equal(run(Judge(scores[killed - 1 :]), best="loss"), whole.seen[best], strict=True)


def test_a_number_that_no_evaluation_has(run):
    with pytest.raises(UserError, match=r"best is 'rr'; the evaluations have right, loss"):
        run(Judge((0.1,)), best="rr")
