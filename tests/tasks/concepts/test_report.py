"""The page of a diagnosis run says what its results say."""

import numpy as np
import pytest

from ecor_jax.tasks.base import Log
from ecor_jax.tasks.concepts.report import write_report
from ecor_jax.tasks.concepts.results import results_of

TYPICAL = np.full(5, 0.25)


@pytest.fixture
def page(case, tmp_path):
    """The page of two methods over twelve films."""

    def write(source: str = "reports", saved: bool = True, single_label: bool = True) -> tuple[str, dict]:
        rng = np.random.default_rng(0)
        gold = np.arange(12) % 2
        targets = np.eye(2)[gold] if single_label else np.stack([gold, 1 - gold], axis=1)
        phrases = [[], *[["fluid", "a pacemaker"]] * 11]
        made = case(targets, [f"p{n // 2}" for n in range(12)], phrases, source=source, single_label=single_label)
        rows = {
            name: made.row(0.25 + 0.1 * rng.normal(size=(12, 5)), TYPICAL, 10 * rng.normal(size=(5, 2)), np.zeros(2))
            for name in ("bottleneck", "random_descriptors")
        }
        results = results_of(rows, made.data, made.config)
        file = write_report(
            tmp_path / "report", made.config, rows, results, made.data, Log((), tmp_path / "model" if saved else None)
        )
        return file.read_text("utf-8"), results

    return write


@pytest.mark.parametrize("saved", [True, False])
def test_how_to_explain_is_shown_where_a_model_was_saved(page, saved, tmp_path):
    shown = f"ecor-jax explain --model={tmp_path / 'model'}" in page(saved=saved)[0]
    assert shown is saved


def test_scores_differences_and_agreement_are_those_of_the_results(page):
    text, results = page()
    scores = results["methods"]["random_descriptors"]
    for name in ("brier", "auroc"):
        low, high = scores[f"{name}_interval"]
        assert f"{scores[name]:.3f} <small>{low:.3f} to {high:.3f}</small>" in text
    for name in ("precision", "recall"):
        low, high = scores[f"{name}_interval"]
        assert f"{100 * scores[name]:.1f}% <small>{100 * low:.1f}% to {100 * high:.1f}%</small>" in text
    assert scores["positives"] == 6 and "6 with it" in text
    assert "bottleneck - random_descriptors" in text and "AUROC of one method less that of another" in text
    macro = results["explanations"]["sets"]["alike"]["macro"]
    low, high = macro["precision_interval"]
    assert f"{macro['precision']:.3f} <small>{low:.3f} to {high:.3f}</small>" in text
    assert "Means over 11 studies. 1 more have nothing in the reports" in text
    low, high = results["explanations"]["text"]["rouge_l"]["interval"]
    assert f"ROUGE-L</th><td>{results['explanations']['text']['rouge_l']['value']:.3f} <small>{low:.3f}" in text
    kept = results["kept"]["random_descriptors"]["3"]
    assert f"{100 * kept['accuracy']:.1f}% <small>" in text and f"{kept['auroc']:.3f} <small>" in text


def test_studies_show_the_whole_report(page):
    """The pacemaker is none of the model's descriptors."""
    text, _ = page()
    assert "a pacemaker" in text and "not among the model" in text


def test_labels_are_not_called_reports(page):
    text, _ = page(source="labels")
    assert "Do the explanations say what the labels say?" in text and "of the reports" not in text


def test_several_findings_show_their_mean_differences(page):
    text, results = page(single_label=False)
    assert results["methods"]["bottleneck"]["positives"] is None
    assert "AUROC of one method less that of another, mean over the findings" in text
