"""Samples into files, by what they are."""

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas
import pytest
import torch

from discrete_gan.errors import InputError
from discrete_gan.tasks.output import as_lines, suffixes, write_samples

BITS = torch.rand(5, 1, 2, 3, generator=torch.Generator().manual_seed(0)) > 0.5
GREY = torch.rand(5, 1, 2, 3, generator=torch.Generator().manual_seed(1))
COLORED = torch.rand(5, 3, 2, 3, generator=torch.Generator().manual_seed(2))
LINES = ["a\nb", "", 'say "ä"', "\u2028"]


def test_bits_stay_bits_in_an_array_and_intensities_become_bytes(tmp_path: Path) -> None:
    found = {
        name: np.load(write_samples(tmp_path / f"{name}.npy", samples), allow_pickle=False)
        for name, samples in {"bits": BITS, "grey": GREY, "colored": COLORED}.items()
    }
    assert {array.dtype for array in found.values()} == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(found["bits"], BITS[:, 0].numpy())
    assert found["bits"].max() == 1
    np.testing.assert_array_equal(found["grey"], (255 * GREY[:, 0]).round().numpy())
    np.testing.assert_array_equal(found["colored"], (255 * COLORED).round().numpy())
    exact = np.load(write_samples(tmp_path / "ends.npy", torch.tensor([[[[0.0, 1.0, 0.5]]]])))
    assert exact.tolist() == [[[0, 255, 128]]]


def test_numbers_are_written_as_they_are(tmp_path: Path) -> None:
    numbers = torch.randn(4, 7, requires_grad=True)
    found = np.load(write_samples(tmp_path / "numbers.npy", numbers))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, numbers.detach().numpy())
    assert suffixes(numbers) == (".npy",)


def test_a_grid_holds_every_image(tmp_path: Path) -> None:
    for samples in (BITS, GREY, COLORED):
        picture = matplotlib.image.imread(write_samples(tmp_path / "new" / "grid.png", samples, columns=2))
        scale = picture.shape[0] // 10  # 3 rows of 2 pixels, and lines of 1 around and between
        assert picture.shape[1] // scale == 9
        small = picture[scale // 2 :: scale, scale // 2 :: scale, :3]
        for index, image in enumerate(samples.float()):
            top, left = 1 + index // 2 * 3, 1 + index % 2 * 4
            tile = np.broadcast_to(image.movedim(0, -1).numpy(), (2, 3, 3))
            np.testing.assert_allclose(small[top : top + 2, left : left + 3], tile, atol=1 / 255)


def test_lines_are_one_each_and_json_keeps_them_whole(tmp_path: Path) -> None:
    text = write_samples(tmp_path / "samples.txt", LINES).read_bytes().decode("utf-8")
    assert text == as_lines(LINES) == 'a\\nb\n\nsay "ä"\n\\u2028\n'
    rows = write_samples(tmp_path / "samples.jsonl", LINES).read_bytes().decode("utf-8")
    assert [json.loads(row) for row in rows.split("\n")[:-1]] == [{"text": line} for line in LINES]
    assert "ä" in rows and rows.endswith("}\n")
    assert write_samples(tmp_path / "none.txt", []).read_text() == ""


def test_lines_as_a_column_with_their_labels(tmp_path: Path) -> None:
    labels = {"kind": [f"a,{number}" for number in range(len(LINES))]}
    path = write_samples(tmp_path / "samples.csv", LINES, column="smiles", labels=labels)
    read = pandas.read_csv(path, keep_default_na=False)
    assert read["smiles"].tolist() == LINES and read["kind"].tolist() == labels["kind"]
    rows = write_samples(tmp_path / "samples.jsonl", LINES, column="smiles", labels=labels).read_text()
    assert [json.loads(row) for row in rows.split("\n")[:-1]] == read.to_dict("records")
    plain = write_samples(tmp_path / "samples.smi", LINES, column="smiles", labels=labels).read_bytes()
    assert plain == write_samples(tmp_path / "samples.txt", LINES).read_bytes()


def test_one_sample_a_line() -> None:
    samples = ["a\nb\n", "", "\n\nc", "d"]
    text = as_lines(sample for sample in samples)
    assert text == "a\\nb\\n\n\n\\n\\nc\nd\n"
    assert [line.replace("\\n", "\n") for line in text.split("\n")] == [*samples, ""]
    assert as_lines([]) == ""
    breaks = [chr(code) for code in range(0x10000) if len(f"a{chr(code)}b".splitlines()) == 2]
    assert len(breaks) == 10  # all that readers of a file may take for the end of a line
    assert as_lines(f"a{each}b" for each in breaks).splitlines() == [
        f"a{each.encode('unicode_escape').decode()}b" for each in breaks
    ]


@pytest.mark.parametrize(
    ("name", "samples", "expected"),
    [
        ("samples.jpg", BITS, ".png or .npy"),
        ("samples", GREY, ".png or .npy"),
        ("samples.txt", COLORED, ".png or .npy"),
        ("samples.png", LINES, ".txt or .jsonl or .csv or .smi"),
        ("samples.npy", LINES, ".txt or .jsonl or .csv or .smi"),
        ("samples.png", torch.zeros(3, 4), ".npy"),
    ],
)
def test_another_suffix_is_an_error_of_one_line(
    name: str, samples: torch.Tensor | list[str], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as raised:
        write_samples(tmp_path / "new" / name, samples)
    assert str(raised.value) == f"{tmp_path / 'new' / name}: expected a file name ending in {expected}"
    assert not (tmp_path / "new").exists()
