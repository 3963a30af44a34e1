"""A run whose towers are stored in shares: what is saved of it is what any other run goes on from."""

import json

import pytest

from ecor_jax.config.files import load_config
from ecor_jax.parallel.mesh import FSDP
from ecor_jax.tasks.base import options_of
from ecor_jax.training import loop


@pytest.mark.slow
def test_a_checkpoint_goes_on_on_another_mesh_and_with_the_option_changed(tmp_path):
    def train(workdir, steps, model, split):
        """Losses of pretraining a CLIP until so many steps are done."""
        given = ["model=tiny/16-8", "log_every=1", "data.count=24", "data.batch_size=8"]
        given += ["optimizer.schedule=constant", "optimizer.warmup_steps=0", "optimizer.learning_rate=0.01"]
        given += [f"steps={steps}", f"parallel.model={model}", f"parallel.fsdp={split}"]
        kind, options = options_of(load_config("pretrain_drawings.py", given))
        task = kind(options, training=True)
        task.open(options.model)
        with FSDP(split):
            loop.train(task.learner("pretrain"), options, workdir, "pretrain")
        return [json.loads(line)["loss"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]

    train(tmp_path / "changed", 1, 2, True)
    train(tmp_path / "changed", 2, 4, False)
    changed = train(tmp_path / "changed", 4, 1, True)
    assert changed == pytest.approx(train(tmp_path / "same", 4, 8, False), rel=1e-5)
    assert len(set(changed)) == 4
