"""What a run costs, in counts that every machine agrees on, held against costs.json: nothing gets dearer unseen.

After a change that is meant: RENEW_GOLDEN=1 python -m pytest tests/parallel/test_costs.py, and read the difference.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from ecor_jax.benchmarks.models import Setting
from ecor_jax.features.pair_texts import PairTexts
from ecor_jax.features.text_bank import TextBank
from ecor_jax.parallel.flops import matrix_flops
from ecor_jax.tasks.rationale.methods import METHODS, words_of

ROOT, COSTS = Path(__file__).parents[2], Path(__file__).parent / "costs.json"
# Of compilers of other versions: they may lay out memory a little differently.
SLACK = 1.1
STEPS = {
    "shallow": ("imagenet.py", ["prompts.layers=shallow", "prompts.count=3"], {"classes": 97, "rationales": 50}),
    "deep": ("imagenet.py", ["prompts.count=5"], {"classes": 97, "rationales": 50}),
    "pairs": ("imagenet.py", ["prompts.count=5", "method=dror"], {"classes": 97, "rationales": 50}),
    "faces": ("faces_ms1mv2.py", [], {"identities": 500}),
    "pretrain": ("pretrain_drawings.py", ["data.text_length=16"], {}),
}


def held(name: str, costs: dict[str, int], slack: float = SLACK) -> None:
    """Against costs.json; counts of ours exactly, those of a compiler (`bytes`) with some slack, and never above."""
    known = json.loads(COSTS.read_text()) if COSTS.exists() else {}
    if os.environ.get("RENEW_GOLDEN"):
        COSTS.write_text(json.dumps(dict(sorted((known | {name: costs}).items())), indent=2) + "\n")
        return
    assert costs.keys() == known[name].keys()
    for cost, count in costs.items():
        if "compil" in cost:
            assert count <= slack * known[name][cost], f"{name}: {cost} {count:,}, were {known[name][cost]:,}"
        else:
            assert count == known[name][cost], f"{name}: {cost} {count:,}, were {known[name][cost]:,}"


@pytest.mark.parametrize("name", STEPS)
def test_steps(name, small_clip, step_ahead):
    """Operations of the matrix products and bytes of the arguments; what the compiler moves and takes meanwhile."""
    config, overrides, sizes = STEPS[name]
    overrides = [f"model={small_clip}", "data.batch_size=16", *overrides]
    if "classes" in sizes:
        overrides.append("evaluation.batch_size=16")
    costs = {}
    for part in ("train", "evaluate") if "classes" in sizes else ("train",):
        step = step_ahead(config, overrides, jax.devices()[:1], 1, part, **sizes)
        program = step.lower().compile()
        costs |= {
            f"{part}: operations": matrix_flops(step.traced.jaxpr.jaxpr),
            f"{part}: bytes of arguments": step.argument_bytes,
            f"{part}: bytes moved, as compiled": int(program.cost_analysis()["bytes accessed"]),
            f"{part}: bytes of temporaries, as compiled": program.memory_analysis().temp_size_in_bytes,
        }
    held(name, costs)


def test_tokens_of_a_text_bank(few_words, tmp_path):
    """Of all pairs of a few words, with a tokenizer that is learned from them."""
    setting = Setting("tiny/16-8", rationales=few_words)
    bank = TextBank(
        setting.open(), PairTexts(METHODS["ecor"].pair, words_of(METHODS["ecor"], setting.words())), tmp_path
    )
    bank.rows(0, len(bank.texts))
    held("text bank", {f"tokens {kind}": count for kind, count in bank.cost._asdict().items()})


COUNTED = """
import runpy, sys
from jax import monitoring
compiled = []
monitoring.register_event_duration_secs_listener(
    lambda name, *_, **__: compiled.append(name) if name.endswith("backend_compile_duration") else None
)
sys.argv[0] = "-m"
runpy.run_module("launch.train", run_name="__main__", alter_sys=True)
print("compiled", len(compiled))
"""


def test_compilations_of_a_run(tiny_clip, tiny_pictures, tmp_path):
    """Of a prompt tuning and its evaluation, from the command."""
    images, rationales = tiny_pictures
    options = {"model": tiny_clip, "data.images": images, "data.rationales": rationales, "method": "ecor"}
    options |= {"steps": 4, "data.batch_size": 8, "evaluation.batch_size": 8}
    given = [f"--config.{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-c", COUNTED, "--config=configs/folder.py", f"--workdir={tmp_path / 'run'}", *given]
    environment = os.environ | {"XLA_FLAGS": "", "ECOR_CACHE": str(tmp_path / "cache"), "JAX_COMPILATION_CACHE_DIR": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    held("a run", {"programs compiled": int(done.stdout.split("compiled ")[-1])}, slack=1)
