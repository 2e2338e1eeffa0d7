"""Estimators as the command line names them."""

from pathlib import Path

import pytest
import torch

from discrete_gan.errors import InputError
from discrete_gan.estimators import BoundarySeeking, GumbelSoftmax, StraightThrough, parse_estimator


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("boundary-seeking", BoundarySeeking()),
        ("boundary-seeking:", BoundarySeeking()),
        (
            "boundary-seeking:num_samples=10,over=batch,zero_sum=false,chunk_size=5",
            BoundarySeeking(10, over="batch", zero_sum=False, chunk_size=5),
        ),
        ("boundary-seeking: num-samples = 10 , zero-sum = True", BoundarySeeking(10)),
        ("gumbel-softmax:temperature=1,hard=true", GumbelSoftmax(temperature=1.0, hard=True)),
        ("gumbel-softmax:objective=log-ratio", GumbelSoftmax(objective="log-ratio")),
        ("straight-through:num_samples=3", StraightThrough(num_samples=3)),
    ],
)
def test_names_and_options(spec: str, expected: object) -> None:
    assert repr(parse_estimator(spec)) == repr(expected)


def test_reinforce() -> None:
    rest = "objective='log-ratio')"
    assert (
        repr(parse_estimator("reinforce")) == f"Reinforce(num_samples=20, baseline='leave-one-out', decay=0.95, {rest}"
    )
    parsed = parse_estimator("reinforce:num_samples=2,baseline=moving-average,decay=0.5")
    assert repr(parsed) == f"Reinforce(num_samples=2, baseline='moving-average', decay=0.5, {rest}"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("boundary-seaking", r"unknown estimator 'boundary-seaking': did you mean 'boundary-seeking'\? expected"),
        ("", r"unknown estimator ''.*boundary-seeking, boundary-seeking-cv, disarm, double-cv"),
        ("reinforce:num_sample=2", r"option of estimator reinforce: 'num_sample': did you mean 'num_samples'\?"),
        ("reinforce:decay", r"estimator reinforce: expected decay=VALUE, got 'decay'"),
        ("reinforce:decay=fast", r"estimator reinforce: decay: expected a number, got 'fast'"),
        ("reinforce:decay=2", r"estimator reinforce: decay: expected a number from 0 to below 1, got 2.0"),
        ("reinforce:num_samples=2.5", r"estimator reinforce: num_samples: expected a whole number, got '2.5'"),
        ("boundary-seeking:zero_sum=1", r"estimator boundary-seeking: zero_sum: expected true or false, got '1'"),
        ("boundary-seeking:chunk_size=x", r"estimator boundary-seeking: chunk_size: expected a whole number"),
        ("boundary-seeking:num_samples=1", r"estimator boundary-seeking: num_samples: expected at least 2, got 1: a s"),
        ("boundary-seeking:over=rows", r"estimator boundary-seeking: over: expected one of samples, batch"),
        ("gumbel-softmax:temperature=0", r"estimator gumbel-softmax: temperature: expected a number above 0"),
        ("nowhere.py:estimate", r"estimator nowhere.py: no such file"),
    ],
)
def test_mistakes_are_one_line_that_says_what_was_expected(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_estimator(spec)
    assert "\n" not in str(caught.value)


def test_estimator_of_the_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("FACTOR = 3\n\ndef estimate(generator, discriminator, z):\n    return FACTOR * z\n")
    estimator = parse_estimator(f"{path}:estimate")
    module = torch.nn.Identity()
    assert estimator(module, module, torch.ones(2)).tolist() == [3, 3]
    with pytest.raises(InputError, match=r"unknown function in .*mine.py: 'estimat': did you mean 'estimate'\?"):
        parse_estimator(f"{path}:estimat")
    with pytest.raises(InputError, match=r"unknown function.*'FACTOR'"):
        parse_estimator(f"{path}:FACTOR")
    for spec in (str(path), f"{path}:", f"{path}:a-b"):
        with pytest.raises(InputError, match=r"expected FILE.py:FUNCTION"):
            parse_estimator(spec)
