"""What a verification run makes of its config."""

from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from ecor_jax.config.files import read_config
from ecor_jax.config.options import read
from ecor_jax.errors import UserError
from ecor_jax.tasks.verification.task import Verification, interpolated


@pytest.fixture
def config(shared_data, monkeypatch) -> ConfigDict:
    monkeypatch.setenv("ECOR_DATA", str(shared_data))
    config = read_config(Path(__file__).parents[3] / "configs" / "faces_orl.py")
    config.data.batch_size = 32
    return config


def task(config, model: Path | None = None) -> Verification:
    made = Verification(read(Verification.Options, config), training=True)
    if model is not None:
        made.open(str(model))
    return made


def test_wise_ft_is_a_weighted_mean(config, tiny_clip):
    start = nnx.state(task(config, tiny_clip).model("untuned", None), nnx.Param)
    end = jax.tree.map(lambda leaf: leaf + 2, start)
    for path, leaf in nnx.to_flat_state(interpolated(start, end, 0.25)):
        before = dict(nnx.to_flat_state(start))[path][...]
        np.testing.assert_allclose(leaf[...], np.asarray(before) + 0.5, rtol=1e-6, err_msg=str(path))


def test_nobody_is_trained_on_and_judged_by(config):
    setting = task(config)
    train, held_out = setting.faces.train, setting.faces.held_out
    assert (len(train.classes), len(held_out.classes), len(train), len(held_out)) == (30, 10, 300, 100)
    assert not set(train.classes) & set(held_out.classes)
    pairs = setting.pair_sets
    # 10 people with 10 pictures each; the celebrities' table has 300 lines.
    assert list(pairs) == ["orl", "celebrity_pairs"]
    assert (len(pairs["orl"].same), int(pairs["orl"].same.sum())) == (2 * 450, 450)
    assert (len(pairs["celebrity_pairs"].same), int(pairs["celebrity_pairs"].same.sum())) == (300, 38)


def test_evaluation_asks_for_no_training_batch(config):
    config.data.batch_size = 30
    assert Verification(read(Verification.Options, config), training=False).faces is not None
    config.evaluation.batch_size = 30
    with pytest.raises(UserError, match=r"evaluation\.batch_size is 30; expected a multiple of 8"):
        Verification(read(Verification.Options, config), training=False)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("images", "", r"^--config\.data\.images is not set: expected a path"),
        ("batch_size", 30, r"data\.batch_size is 30; expected a multiple of 8"),
        ("subset", 301, r"data\.subset is 301; expected 0 to 300"),
        ("validation", 29, r"data\.held_out is 10 and data\.validation 29; expected 0 to 38 of 40"),
        ("name", "celebrity_pairs", r"data\.name is 'celebrity_pairs', as pairs in the config are"),
    ],
)
def test_data_that_cannot_be(config, option, value, message):
    config.data[option] = value
    with pytest.raises(UserError, match=message):
        task(config)


def test_a_subset_of_those_to_train_on(config):
    config.data.subset = 40
    some = task(config).faces
    assert (len(some.train), len(some.held_out)) == (40, 100)


def test_scrambled_descriptors_are_other_words(config, tiny_clip):
    config.bottleneck.scrambled = True
    made = task(config, tiny_clip)
    rows = ("untuned", "group_softmax_random", "group_softmax")
    banks = [np.asarray(made.model(row, None).bottleneck.bank[...]) for row in rows]
    np.testing.assert_array_equal(banks[0], banks[1])
    assert np.abs(banks[1] - banks[2]).max() > 0.1


def test_pairs_are_looked_at_before_a_training(config, tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    config.pairs.celebrity_pairs.path, config.pairs.celebrity_pairs.images = str(tmp_path / "pairs.csv"), str(tmp_path)
    for rows, message in ((9, "9 pairs in celebrity_pairs; expected at least 10"), (10, "2 pictures of pairs cannot")):
        (tmp_path / "pairs.csv").write_text("file_x,file_y,Decision\n" + "1.png,2.png,Yes\n" * rows)
        with pytest.raises(UserError, match=message):
            task(config)


def test_settings_are_chosen_by_people_of_their_own(config):
    config.data.validation = 6
    made = task(config)
    parts = [set(part.classes) for part in (made.faces.train, made.faces.validation, made.faces.held_out)]
    assert [len(part) for part in parts] == [24, 6, 10] and len(set.union(*parts)) == 40
    assert len(made.validation.same) == 2 * 6 * 45
