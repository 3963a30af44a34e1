"""`benchmark` as users run it, and that both sides of a suite do the same work."""

import csv
import json
import os
from pathlib import Path

import jax
import pytest

from ecor_jax.benchmarks.models import RELEASED_SCALE, Setting
from ecor_jax.benchmarks.page import headline, write_page
from ecor_jax.benchmarks.run import SUITES, benchmark, does_not_fit
from ecor_jax.commands import benchmark as command
from ecor_jax.errors import UserError

ROOT = Path(__file__).parents[2]
SPREAD = {"median", "min", "max"}


@pytest.mark.slow
def test_figures_of_a_model_directory_and_a_table(commands, tiny_clip, few_words, tmp_path):
    output, page = tmp_path / "out.json", tmp_path / "out.md"
    options = [f"--model={tiny_clip}", "--batch_size=2,4", "--rounds=2", f"--output={output}", f"--page={page}"]
    options += ["--device=cpu", "--dtype=float32", f"--rationales={few_words}"]
    printed = commands.run("benchmark", "--suite=encode_image,text_bank", *options)
    assert "times as fast" not in printed and printed.count("ours: ") == 4
    assert printed.index("## encode_image") > printed.index("ours: ")
    report = json.loads(output.read_text())
    assert set(report) == {"device", "threads", "versions", "suites", "left_out"} and report["versions"]["jax"]
    assert report["threads"] == {"jax": len(os.sched_getaffinity(0))}
    other = f", {tiny_clip}, 4, float32, few"
    assert list(report["suites"]) == [name + end for name in ("encode_image", "text_bank") for end in ("", other)]
    result = report["suites"]["encode_image"]
    times = result["ours"]
    assert set(times) == SPREAD and 0 < times["min"] <= times["median"] <= times["max"]
    assert result["unit"] == "image" and result["peers"] == result["ratio"] == result["agreement"] == {}
    assert 0 < result["peak_share"] < 1.2 and result["peak_bytes"] > 0
    tokens = report["suites"]["text_bank"]["tokens"]
    assert 0 < tokens["computed"] < tokens["own"] < tokens["padded"]
    with (tmp_path / "out.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["batch_size"] for line in lines] == ["2", "4"] * 2
    assert float(lines[0]["samples_per_sec"]) == pytest.approx(1 / times["median"], rel=1e-2)
    assert "| ours | " in page.read_text() and report["device"] in page.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["encode_image", "encode_text", "text_bank", "train_step", "train_step_deep", "evaluate", "choose_pairs"]
)
def test_peers_do_the_same_work(monkeypatch, few_words, tmp_path, name):
    torch = pytest.importorskip("torch", reason='needs torch: pip install "ecor-jax[torch]"')
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)  # which takes a minute, and changes nothing
    setting = Setting("tiny/16-8", 3, rationales=few_words, peers=True)
    report = benchmark([name], [setting], 1, tmp_path / "out.json")
    result = report["suites"][name]
    assert result["peers"] and set(result["peers"]) == set(result["ratio"]) == set(result["agreement"])
    # What is a piece of the work alone is not compared, and says so.
    pieces = {peer for peer, difference in result["agreement"].items() if difference is None}
    assert all("alone" in peer for peer in pieces) and len(pieces) < len(result["peers"])
    # A logit is a cosine times the scale, and so is its rounding, which a probability has as a share of itself.
    bound = RELEASED_SCALE * 1e-6 if name in ("evaluate", "choose_pairs") else 1e-5
    assert all(result["agreement"][peer] < bound for peer in set(result["peers"]) - pieces), result["agreement"]
    write_page(tmp_path / "page.md", report, tmp_path / "out.json")
    assert all(f"| {peer} |" in (tmp_path / "page.md").read_text() for peer in result["peers"])


@pytest.mark.slow
def test_suites_are_added_to_those_of_the_same_machine(tmp_path):
    output, small = tmp_path / "out.json", [Setting("tiny/16-8", 2)]
    for suite in ("encode_image", "choose_pairs"):
        report = benchmark([suite], small, 1, output, add=True)
    assert list(report["suites"]) == ["encode_image", "choose_pairs"] == list(json.loads(output.read_text())["suites"])
    assert list(benchmark(["choose_pairs"], small, 1, output)["suites"]) == ["choose_pairs"]
    for content, message in [
        (json.dumps(report | {"device": "another"}), "its figures are of other device: another; here: "),
        (json.dumps(report | {"suites": []}), "no figures of a benchmark"),
        ("{", "out.json"),
    ]:
        output.write_text(content)
        with pytest.raises(UserError, match=message):
            benchmark(["choose_pairs"], small, 1, output, add=True)


def test_what_does_not_fit_or_is_late_is_left_out_and_the_others_go_on(monkeypatch, tmp_path):
    def too_large(setting):
        raise MemoryError

    monkeypatch.setitem(SUITES, "encode_image", too_large)
    small = [Setting("tiny/16-8", 2)]
    report = benchmark(["encode_image", "choose_pairs"], small, 1, tmp_path / "out.json")
    assert report["left_out"] == {"encode_image": "does not fit into memory"}
    assert list(report["suites"]) == ["choose_pairs"]
    write_page(tmp_path / "page.md", report, tmp_path / "out.json")
    assert "Left out: encode_image: does not fit into memory." in (tmp_path / "page.md").read_text()
    late = benchmark(["choose_pairs"], small, 1, tmp_path / "late.json", minutes=0)
    assert late["left_out"] == {"choose_pairs": "the 0 minutes were over"} and not late["suites"]


def test_jaxs_own_error_is_told_from_others():
    too_much = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes")
    assert does_not_fit(too_much) and not does_not_fit(jax.errors.JaxRuntimeError("INTERNAL: anything"))


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "batch", "bound"), [("input", 4, 0), ("startup", 1, 1e-5)])
def test_pictures_of_both_sides_and_answers_of_new_processes_are_the_same(tmp_path, monkeypatch, suite, batch, bound):
    pytest.importorskip("torch", reason='needs torch: pip install "ecor-jax[torch]"')
    monkeypatch.setattr("ecor_jax.benchmarks.pictures.PICTURES", 8)
    report = benchmark([suite], [Setting("tiny/16-8", batch, peers=True)], 1, tmp_path / "out.json")
    assert list(report["suites"][suite]["agreement"].values()) == [pytest.approx(0, abs=bound)]


@pytest.mark.parametrize(
    "option",
    ["--batch_size=0", "--batch_size=x", "--rounds=-1", "--dtype=int8", "--suite=", "--minutes=x", "--device=tv"],
)
def test_bad_numbers_are_refused_by_the_parser(called, tmp_path, option):
    with pytest.raises(SystemExit):
        called(command, "--suite=encode_image", f"--output={tmp_path / 'out.json'}", option)


def test_every_suite_is_named_in_the_help():
    assert all(name in command.__doc__ for name in SUITES)


@pytest.mark.parametrize(("figures", "page"), [("amd", "BENCHMARKS.md"), ("intel", "docs/benchmarks/intel.md")])
def test_the_pages_that_ship_are_made_of_the_figures_that_ship(figures, page, tmp_path):
    source = ROOT / "docs" / "benchmarks" / f"{figures}.json"
    report, beside = json.loads(source.read_text()), source.parent == (ROOT / page).parent
    write_page(tmp_path / "page.md", report, Path(source.name) if beside else source.relative_to(ROOT))
    assert (tmp_path / "page.md").read_text() == (ROOT / page).read_text()
    assert beside or "\n".join(headline(report)) in (ROOT / "README.md").read_text()
