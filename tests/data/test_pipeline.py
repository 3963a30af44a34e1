import functools
import itertools
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecor_jax.data.pipeline import eval_batches, train_batches
from ecor_jax.data.records import Arrays, BadImage, Record, Source
from ecor_jax.errors import UserError

TRAIN = functools.partial(train_batches, seed=0)


class Numbers(Source):
    """Record `index` is its own number, in a picture of one pixel; those in `bad` cannot be read."""

    def __init__(self, count: int, bad: frozenset[int] = frozenset()):
        self.bad, self.origin, self.categories = bad, "numbers.zip", ("number",) * count

    def __getitem__(self, index: int) -> Record:
        assert 0 <= index < len(self)
        if index in self.bad:
            raise BadImage(f"{index}.png is not an image")
        image = np.full((1, 1, 3), index, np.uint8)
        return Record(image=image, category="number", rationales=(), name=f"{index}.png")


def encode(record: Record, rng: np.random.Generator) -> dict[str, np.ndarray]:
    image = record["image"]
    assert isinstance(image, np.ndarray)
    number = np.asarray(image[0, 0, 0], np.int32)
    return {"image": image, "number": number, "noise": np.asarray(rng.random(), np.float32)}


def numbers(*batches: dict[str, np.ndarray]) -> list[int]:
    return np.concatenate([batch["number"][batch.get("mask", slice(None))] for batch in batches]).tolist()


def take(batches, count: int) -> list[dict[str, np.ndarray]]:
    iterator = iter(batches)
    return [next(iterator) for _ in range(count)]


@pytest.mark.parametrize("batch_size", [5, 6])
def test_every_epoch_is_another_permutation_of_the_whole_set_and_may_end_within_a_batch(batch_size):
    batches = take(train_batches(Numbers(20), encode, batch_size=batch_size, seed=0), 12)
    assert {key: (value.shape, value.dtype) for key, value in batches[0].items()} == {
        "image": ((batch_size, 1, 1, 3), np.uint8),
        "number": ((batch_size,), np.int32),
        "noise": ((batch_size,), np.float32),
    }
    seen = numbers(*batches)
    epochs = [seen[start : start + 20] for start in (0, 20, 40)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != list(range(20))


def test_the_seed_decides_the_order_and_the_noise():
    first = take(train_batches(Numbers(50), encode, batch_size=10, seed=0), 6)
    np.testing.assert_equal(first, take(train_batches(Numbers(50), encode, batch_size=10, seed=0), 6))
    other = take(train_batches(Numbers(50), encode, batch_size=10, seed=1), 6)
    assert numbers(first[0]) != numbers(other[0])
    noise = np.concatenate([batch["noise"] for batch in (*first, *other)])
    assert len(set(noise.tolist())) == len(noise)  # anew for each example, epoch and seed


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_same_examples(count):
    make = functools.partial(train_batches, Numbers(50), encode, batch_size=8, seed=3)
    shares = [take(make(process_index=index, process_count=count), 9) for index in range(count)]
    for batch, *pieces in zip(take(make(), 9), *shares, strict=True):
        assert all(len(piece["number"]) == 8 // count for piece in pieces)
        for name in ("number", "noise"):
            np.testing.assert_array_equal(np.concatenate([piece[name] for piece in pieces]), batch[name])


@pytest.mark.parametrize("bad", [frozenset(), frozenset({1, 4})])
@pytest.mark.parametrize("stop", [0, 1, 7])
def test_a_stream_may_be_begun_anywhere(bad, stop):
    make = functools.partial(train_batches, Numbers(11, bad), encode, batch_size=4, seed=0, on_bad_image="skip")
    expected = take(make(), stop + 6)[stop:]
    np.testing.assert_equal(take(make().starting(stop), 6), expected)
    pieces = [take(make(process_index=index, process_count=2).starting(stop), 6) for index in range(2)]
    together = [np.concatenate([batch["number"] for batch in pair]) for pair in zip(*pieces, strict=True)]
    np.testing.assert_equal(together, [batch["number"] for batch in expected])


@pytest.mark.parametrize(("workers", "start"), [(2, 0), (2, 3), (-1, 3)])
def test_workers_change_nothing(workers, start):
    make = functools.partial(train_batches, Numbers(30), encode, batch_size=6, seed=0)
    iterator = make(workers=workers).starting(start)
    np.testing.assert_equal(take(iterator, 2), take(make(), 5)[start : start + 2])
    iterator.close()


@pytest.mark.parametrize(("megabytes", "cores", "count", "expected"), [(1, 8, 4, 8), (300, 8, 4, 3), (1, 2, 1, 2)])
def test_as_many_workers_as_cores_unless_examples_are_large(megabytes, cores, count, expected, monkeypatch, caplog):
    used = []
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(cores), raising=False)
    prefetched = "grain.IterDataset.mp_prefetch"
    monkeypatch.setattr(prefetched, lambda self, options, **more: used.append(options.num_workers) or self)
    large = Arrays({"picture": np.zeros((count, megabytes << 20), np.uint8)}, "arrays")
    next(iter(train_batches(large, None, batch_size=1, seed=0, workers=-1)))
    assert used == [expected] and "Warning" not in caplog.text


def test_arrays_come_in_the_order_of_records():
    """Of equal count and seed; nothing else decides."""
    arrays = Arrays({"number": np.arange(30, dtype=np.int32), "row": np.eye(30)}, "arrays")
    make = functools.partial(train_batches, arrays, None, batch_size=4, seed=5)
    records = take(train_batches(Numbers(30), encode, batch_size=4, seed=5), 20)
    expected = [{"number": batch["number"], "row": np.eye(30)[batch["number"]]} for batch in records]
    np.testing.assert_equal(take(make(), 20), expected)
    np.testing.assert_equal(next(make().starting(1)), expected[1])


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 4), st.frozensets(st.integers(1, 39), max_size=3))
def test_evaluation_loses_and_repeats_no_example(count, share, processes, bad):
    size = share * processes
    make = functools.partial(eval_batches, Numbers(count, bad), encode, batch_size=size, on_bad_image="skip")
    shares = [list(make(process_index=index, process_count=processes)) for index in range(processes)]
    assert {len(batches) for batches in shares} == {-(-count // size)}
    assert all(batch["number"].shape == (share,) for batches in shares for batch in batches)
    seen = numbers(*(batch for together in zip(*shares, strict=True) for batch in together))
    assert seen == [number for number in range(count) if number not in bad]  # in order, too


def test_evaluation_is_the_same_every_time_and_padding_is_zero():
    make = functools.partial(eval_batches, Numbers(9), encode, batch_size=4)
    batches = list(make())
    np.testing.assert_equal(list(make()), batches)
    noise = np.concatenate([batch["noise"][batch["mask"]] for batch in batches])
    assert len(set(noise.tolist())) == 9
    np.testing.assert_array_equal(batches[-1]["mask"], [True, False, False, False])
    assert all(not value[1:].any() for value in batches[-1].values())


@pytest.mark.parametrize("make", [TRAIN, functools.partial(TRAIN, workers=1), eval_batches])
def test_a_bad_image_stops_the_run_and_is_named(make):
    batches = iter(make(Numbers(4, frozenset({2})), encode, batch_size=4))
    with pytest.raises(UserError, match=r"numbers\.zip: 2\.png is not an image \(--config\.data\.on_bad_image"):
        list(itertools.islice(batches, 3))
    batches.close()


def test_skipped_images_are_logged_once_and_counted(caplog):
    source = Numbers(6, frozenset({2, 5}))
    with caplog.at_level(logging.WARNING, logger="absl"):
        batches = take(train_batches(source, encode, batch_size=4, seed=0, on_bad_image="skip"), 5)
    seen = numbers(*batches)
    assert len(seen) == 20 and set(seen) == {0, 1, 3, 4}
    # What cannot be read is replaced by what comes after it in the set.
    assert seen[:6].count(3) == seen[:6].count(0) == 2
    left_out = [entry.getMessage() for entry in caplog.records if "left out" in entry.getMessage()]
    assert sorted(message.split(": ", 1)[1] for message in left_out) == [
        f"numbers.zip: {number}.png is not an image" for number in (2, 5)
    ]
    # Several threads read: the lines may come in either order.
    assert sorted(message[:20] for message in left_out) == ["left out (1 so far):", "left out (2 so far):"]


NO_GOOD = Numbers(4, frozenset(range(4)))


@pytest.mark.parametrize(
    ("make", "source", "options", "message"),
    [
        (TRAIN, Numbers(0), {}, r"no images in numbers\.zip"),
        (eval_batches, Numbers(0), {}, r"no images in numbers\.zip"),
        (TRAIN, NO_GOOD, {"on_bad_image": "skip"}, r"none of the 4 images in numbers\.zip can be read"),
        (eval_batches, NO_GOOD, {"on_bad_image": "skip"}, r"none of the 4 images in numbers\.zip can be read"),
        (TRAIN, Numbers(3), {}, r"a batch of 4 is larger than the 3 images in numbers\.zip"),
        (TRAIN, Arrays({"row": np.eye(3)}, "arrays"), {}, "a batch of 4 is larger than the 3 images in arrays"),
        (eval_batches, Numbers(4), {"process_count": 3}, "a batch of 4 cannot be shared evenly among 3 processes"),
        (TRAIN, Numbers(4), {"batch_size": 0}, "a batch of 0 images was asked for"),
        (TRAIN, Numbers(4), {"workers": -2}, "-2 worker processes were asked for"),
    ],
)
def test_sets_and_batches_that_do_not_fit(make, source, options, message):
    with pytest.raises(UserError, match=message):
        make(source, encode, **{"batch_size": 4, **options})
