"""Labels of any kind as classes 0..K-1 with names, and classes that lose neither side when images are held out."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discrete_gan.data import load_images
from discrete_gan.data.classes import Classes, find_classes, in_order, printable
from discrete_gan.data.image_data import ImageData, assemble
from discrete_gan.errors import InputError

CASES = {
    "from 1": (np.array([3, 1, 2, 1]), None, ("1", "2", "3"), [2, 0, 1, 0]),
    "sparse": (np.array([0, 100_000, 2**40]), None, ("0", "100000", str(2**40)), [0, 1, 2]),
    "negative": (np.array([5, -1, 5], np.int8), None, ("-1", "5"), [1, 0, 1]),
    "beyond int64": (np.array([2**64 - 1, 0], np.uint64), None, ("0", str(2**64 - 1)), [1, 0]),
    "as they are": (np.array([2, 0, 1], np.uint8), None, ("0", "1", "2"), [2, 0, 1]),
    "booleans": (np.array([True, False]), None, ("0", "1"), [1, 0]),
    "strings": (np.array(["dog", "cat", "dog"]), None, ("cat", "dog"), [1, 0, 1]),
    "bytes": (np.array([b"dog", b"cat\xff"]), None, ("cat\\xff", "dog"), [1, 0]),
    "numbers as strings": (np.array(["10", "9", "-1", "0.5"]), None, ("-1", "0.5", "9", "10"), [3, 2, 0, 1]),
    "half a surrogate pair": (np.array(["\ud800", "a"]), None, ("a", "\\ud800"), [1, 0]),
    "indices of names": (np.array([2, 0]), ("cat", "dog", "fish"), ("cat", "fish"), [1, 0]),
}


@pytest.mark.parametrize("case", CASES)
def test_labels_are_mapped_to_classes(case: str) -> None:
    labels, names, expected, mapped = CASES[case]
    classes, (found, none) = find_classes("some", (labels, None), names)
    assert classes == Classes(expected)
    assert found is not None and none is None
    assert (found.dtype, found.tolist()) == (np.int64, mapped)


def test_both_parts_have_one_mapping() -> None:
    # No type of NumPy holds both, and the float that it takes instead does not tell 2^63 from 2^63 + 1.
    parts = np.array([2**63, 2**63 + 1], np.uint64), np.array([-1, -1])
    classes, found = find_classes("some", parts)
    assert classes == (("-1", str(2**63), str(2**63 + 1)),)
    assert [part.tolist() for part in found if part is not None] == [[1, 2], [0, 0]]


def test_a_label_without_a_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"^some: expected labels from 0 to 1, which have names, found -1$"):
        find_classes("some", (np.array([0, -1]),), ("cat", "dog"))


def test_names_are_in_the_order_of_people() -> None:
    assert in_order(["10", "2", "1"]) == ["1", "2", "10"]
    assert in_order(["-1", "-2", "0", "1.5", "1.25"]) == ["-2", "-1", "0", "1.25", "1.5"]
    assert in_order(["n10", "n9", "n010", "n", "N"]) == ["N", "n", "n9", "n010", "n10"]
    assert in_order(["9" * 5000, "1" + "0" * 5000]) == ["9" * 5000, "1" + "0" * 5000]  # beyond what int() reads
    # Where no two runs of digits differ in length it is the order of their characters: what was learnt from stays.
    names = ["a-1", "a1", "a:1", "b", "B", "", "²", "1", "a 2", "é", "zebra", "Ant"]
    assert in_order(names) == sorted(names)


def test_a_class_is_found_by_its_name_before_its_index() -> None:
    classes = Classes(("1", "2", "10"))
    assert [classes.find(asked) for asked in ("1", "2", "10", "0")] == [0, 1, 2, 0]
    for asked in ("3", "-1", "1.0", " 1", "", "9" * 5000):
        with pytest.raises(InputError, match=r": expected a class or an index from 0 to 2: 1, 2, 10$"):
            classes.find(asked)
    with pytest.raises(InputError, match=r": 0, 1, 2, 3, 4, ... \(70 in all\)$"):
        Classes((*map(str, range(69)), "more")).find("seven")
    with pytest.raises(InputError, match=r"^70: expected from 0 to 69$"):
        Classes.numbered(70).find("70")


def test_classes_of_another_data_set_go_by_name() -> None:
    classes = Classes(("ant", "bee", "cat"))
    assert classes.places_of(Classes(("bee", "cat")), "other") == [1, 2]
    assert classes.places_of(Classes(("cat", "bee", "ant")), "other") == [2, 1, 0]
    assert classes.places_of(Classes.numbered(3), "other") == [0, 1, 2]
    assert Classes.numbered(3).places_of(classes, "other") == [0, 1, 2]
    for others in (("ant", "dog"), ("0", "1")):
        with pytest.raises(InputError, match=r"^other: expected images of the classes ant, bee, cat, found (dog|0)$"):
            classes.places_of(Classes(others), "other")


def test_labels_change_with_the_classes() -> None:
    images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    data = assemble("some", images, np.array(["b", "c"] * 3), images[:2], np.array(["c", "b"]))
    other = data.labeled_as(Classes(("a", "b", "c")), "some")
    assert other.train_labels is not None and other.test_labels is not None
    assert (other.train_labels.tolist(), other.test_labels.tolist()) == ([1, 2] * 3, [2, 1])
    assert other.num_classes == 3


def test_names_are_printable() -> None:
    assert printable("cat\x1b[2J\n\u202e\ud800") == "cat\\x1b[2J\\n\\u202e\\ud800"
    assert printable("Katze ß 猫") == "Katze ß 猫"
    assert len(printable("a" * 1000)) == 40


def held_out(labels: Any, seed: int = 0) -> tuple[list[int], list[int], ImageData]:
    """Of numbered images, which are kept and held out."""
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    data = assemble("some", images, np.asarray(labels), None, None, seed=seed)
    return data.train_images[:, 0].tolist(), data.test_images[:, 0].tolist(), data


@pytest.mark.parametrize("seed", range(5))
def test_every_class_of_two_has_both_sides(seed: int) -> None:
    labels = [0] * 60 + [1] * 35 + [2] * 2 + [3]
    train, test, data = held_out(labels, seed)
    assert sorted([*train, *test]) == list(range(98))
    assert [[labels[index] for index in test].count(label) for label in range(4)] == [6, 4, 1, 0]
    assert data.train_labels is not None and data.test_labels is not None
    assert data.train_labels.tolist() == [labels[index] for index in train]
    assert data.test_labels.tolist() == [labels[index] for index in test]
    assert data.classes_for("something") == 4


def test_no_class_is_lost_by_chance() -> None:
    # By the permutation alone, of 20 images some seeds hold out both of a pair, or the only one of a class.
    for seed in range(200):
        train, test, _ = held_out([0] * 18 + [1] * 2, seed)
        assert len({18, 19} & {*train}) == len({18, 19} & {*test}) == 1
        train, test, _ = held_out([0] * 19 + [1], seed)
        assert 19 in train and len(test) == 2


def test_a_split_that_leaves_no_class_empty_stays() -> None:
    for seed in range(5):
        labels = np.arange(200) % 2
        assert held_out(labels, seed)[:2] == held_out(np.zeros(200, int), seed)[:2]
    # Neither is there a better one where no class has two images.
    assert held_out(np.arange(30))[:2] == held_out(np.zeros(30, int))[:2]


def test_a_class_without_training_images_is_named(tmp_path: Path) -> None:
    images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1)
    np.savez(tmp_path / "a.npz", x=images, y=["a"] * 8, x_test=images[:2], y_test=["a", "b\n"])
    with pytest.raises(InputError, match=r"has none of class b\\n$"):
        load_images(tmp_path / "a.npz").classes_for("--conditional")


def test_a_summary_names_the_classes() -> None:
    _, _, data = held_out(["cat", "dog"] * 10)
    assert data.summary()["classes"] == ("cat", "dog")
    assert data.named() == Classes(("cat", "dog"))
    assert dataclasses.replace(data, classes=None).named() == Classes(("0", "1"))
