"""What devices exchange in a step, from the compiled text: of prompt tuning, and with towers in shares."""

import re

import pytest

from ecor_jax.aot.hlo import collectives

LAYERS, COUNT, WIDTH, EMBED, BATCH = 3, 5, 64, 64, 64
STACK = LAYERS - 1  # the last block stands apart
SIZES = {"classes": 97, "rationales": 50}
# What is exchanged, by the operation that it is for; of several operations in one, a TPU's compiler names none.
SHARED, PROMPTS, SUMS = r"shard_map/|^$", r"prompts.*tokens|jvp\(\)/sharding_constraint$", r"reduce_sum\)?$"


def options_of(clip) -> list[str]:
    return [f"model={clip}", f"data.batch_size={BATCH}", f"evaluation.batch_size={BATCH}", f"prompts.count={COUNT}"]


@pytest.mark.parametrize(("devices", "model"), [("cpu", 8), ("v5e:2x4", 2)], indirect=["devices"])
def test_only_embeddings_and_prompts_are_exchanged_and_nothing_within_the_tower(devices, model, small_clip, step_ahead):
    step = step_ahead("imagenet.py", options_of(small_clip), devices, model, **SIZES)
    found = collectives(step.lower().compile().as_text())
    # Bytes of float32: of all images' embeddings (and a few numbers an image), of all prompts, and of a layer's.
    embeddings, prompts, layer = BATCH * EMBED * 4, LAYERS * COUNT * WIDTH * 4, COUNT * WIDTH * 4
    # The activations of a device would be more, whatever they are of.
    assert embeddings + BATCH * 16 < (BATCH // 8) * (17 + COUNT) * WIDTH * 2
    for one in found:
        if re.search(SHARED, one.name):
            assert one.bytes <= embeddings + BATCH * 16 and one.times == 1, one
        elif re.search(PROMPTS, one.name):
            assert one.kind == "all-gather" and one.bytes in (prompts, prompts // 2) and one.times == 1, one
        else:
            assert one.kind == "all-reduce" and one.bytes <= 2 * layer + 16 and re.search(SUMS, one.name), one
    assert any(re.search(PROMPTS, one.name) for one in found)
    # Within the loop over blocks there is the gradient of a layer's prompts (as keys and values); forward nothing.
    within = [one for one in found if one.times > 1]
    assert [(one.kind, one.times) for one in within] == [("all-reduce", STACK)], within
    assert re.search(r"transpose.*while.*reduce_sum", within[0].name)


@pytest.mark.parametrize(
    ("devices", "config", "name"),
    [
        ("cpu", "imagenet.py", "evaluate"),
        ("v5e:2x4", "imagenet.py", "train"),
        pytest.param("cpu", "pretrain_drawings.py", "train", marks=pytest.mark.slow),
        pytest.param("v5e:2x4", "pretrain_drawings.py", "train", marks=pytest.mark.slow),
    ],
    indirect=["devices"],
)
def test_towers_in_shares_are_gathered_a_block_at_a_time(devices, config, name, small_clip, step_ahead):
    overrides, sizes = [f"model={small_clip}", f"data.batch_size={BATCH}", "data.text_length=16"], {}
    if config == "imagenet.py":
        overrides, sizes = options_of(small_clip), SIZES
    whole, shares = (step_ahead(config, overrides, devices, 2, name, split=split, **sizes) for split in (False, True))
    compiled = shares.lower().compile()
    found = collectives(compiled.as_text())
    gathered = [
        one for one in found if one.kind == "all-gather" and "sharding_constraint" in one.name and one.times > 1
    ]
    # Forward and, of what is trained, backward; the text tower, too; beside parameters two moments of each.
    passes, towers, copies = (2, 2, 3) if config != "imagenet.py" else (2 if name == "train" else 1, 1, 1)
    assert len(gathered) == 6 * passes * towers and {one.times for one in gathered} == {STACK}
    kernel = WIDTH * 4 * WIDTH * 4
    assert max(one.bytes for one in gathered) <= kernel
    # Nowhere else is a stack of them gathered, and no device is given more than its share.
    assert max(one.bytes for one in found if one.kind == "all-gather") < STACK * kernel
    blocks = LAYERS * 12 * WIDTH**2 * 4 * towers * copies
    assert whole.argument_bytes - shares.argument_bytes >= blocks * 3 / 4
    if devices[0].platform == "cpu":  # a TPU pads what is small
        assert compiled.memory_analysis().argument_size_in_bytes <= shares.argument_bytes
