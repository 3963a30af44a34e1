import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.errors import UserError
from ecor_jax.radiology.xray.patient_split import check_no_overlap, split_patients

people = st.lists(st.integers(0, 12).map(str), min_size=2, max_size=60).filter(lambda ids: len(set(ids)) > 1)


@given(people, st.floats(0.01, 0.99), st.integers(0, 9), st.integers(1, 3), st.data())
def test_every_row_is_in_one_part_and_no_patient_in_two(patients, share, seed, columns, data):
    rows = len(patients)
    cells = data.draw(st.lists(st.integers(-2, 1), min_size=rows * columns, max_size=rows * columns))
    strata = data.draw(st.sampled_from([None, np.reshape(np.asarray(cells, np.int8), (rows, columns))]))
    train, test = split_patients(patients, test=share, seed=seed, strata=strata)
    assert sorted([*train, *test]) == list(range(rows))
    assert len(train) and len(test) and (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
    check_no_overlap([patients[row] for row in train], [patients[row] for row in test])


@given(people, st.integers(0, 9))
def test_the_order_of_the_rows_does_not_matter(patients, seed):
    _, test = split_patients(patients, test=0.3, seed=seed)
    _, reversed_test = split_patients(patients[::-1], test=0.3, seed=seed)
    assert {patients[row] for row in test} == {patients[::-1][row] for row in reversed_test}


def test_the_share_is_of_patients_and_the_seed_decides():
    patients = [str(number) for number in range(40) for _ in range(1 + number % 5)]
    draws = [tuple(split_patients(patients, test=0.3, seed=seed)[1]) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    for share, count in ((0.15, 6), (0.5, 20), (0.001, 1), (0.999, 39)):
        _, test = split_patients(patients, test=share, seed=3)
        assert len({patients[row] for row in test}) == count


def test_both_parts_get_their_share_of_the_rarest_class():
    # 100 patients with 2 images each; 10 patients have the rare class, in one of their images; column 2 is empty.
    patients = [str(number // 2) for number in range(200)]
    labels = np.zeros((200, 3), np.int8)
    labels[:120, 0] = 1
    labels[1:20:2, 1] = 1
    for seed in range(20):
        train, test = split_patients(patients, test=0.2, seed=seed, strata=labels)
        assert labels[test, 1].sum() == 2 and labels[train, 1].sum() == 8 and len(test) == 40


def test_two_rare_patients_are_parted_and_a_lone_one_is_trained_on():
    patients = [str(number) for number in range(30)]
    labels = np.zeros((30, 1), np.float32)
    labels[[4, 9]] = 1
    for seed in range(20):
        assert len({4, 9} & {*split_patients(patients, test=0.1, seed=seed, strata=labels)[1]}) == 1
    labels[9] = 0
    for seed in range(20):
        assert 4 in split_patients(patients, test=0.1, seed=seed, strata=labels)[0]


def test_uncertain_and_unmentioned_are_not_positive():
    patients = [str(number) for number in range(20)]
    labels = np.zeros((20, 2), np.int8)
    labels[:7, 0], labels[3:8, 1] = -1, -2
    for seed in range(9):
        plain, coded = (split_patients(patients, test=0.3, seed=seed, strata=strata) for strata in (None, labels))
        np.testing.assert_array_equal(plain[1], coded[1])


@pytest.mark.parametrize("share", [0, 1, math.nan])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(UserError, match=f"test on is {share}; expected a number between 0 and 1"):
        split_patients(["a", "b"], test=share, seed=0)


@pytest.mark.parametrize("patients", [[], ["a", "a"]])
def test_fewer_than_two_patients_cannot_be_split(patients):
    with pytest.raises(UserError, match=f"number of patients is {len({*patients})}; expected at least 2"):
        split_patients(patients, test=0.5, seed=0)


def test_a_patient_in_two_splits_is_refused():
    check_no_overlap(["1", "2", "2"], ["3"])
    message = "training and test images: a patient in two splits is refused, found 2: 2, 5"
    with pytest.raises(UserError, match=f"^{message}$"):
        check_no_overlap(["5", "1", "2", "2"], ["3", "2", "5"])
    many = [f"{number:02}" for number in range(14)]
    with pytest.raises(UserError, match=r"^here: a patient in two splits is refused, found 14: 00, 01, .*, 09 and 4 m"):
        check_no_overlap(many, many, where="here")
