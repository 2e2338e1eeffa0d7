"""A language model of your own fitted, in a plain torch loop, to samples that `discrete-gan weigh` weighed.

A closed model's samples and a few real sentences are files of text. The command writes how much each sample counts:

discrete-gan weigh --real real.txt --samples samples.txt --tokenizer char --out weights.csv

Everything after it is torch, with no word of this package: python docs/examples/weighted_loop.py
"""

import csv
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from discrete_gan.cli import main as discrete_gan

LETTERS, LENGTH = "abcde", 6


class Student(nn.Module):
    """A bigram model: letters (B, LENGTH) to their log-probabilities in nats (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Embedding(len(LETTERS) + 1, len(LETTERS))  # of the next letter; the last row is of the first

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        before = torch.cat([torch.full_like(x[:, :1], len(LETTERS)), x[:, :-1]], dim=1)
        return -cross_entropy(self.logits(before).transpose(1, 2), x, reduction="none").sum(dim=1)


def sentences(num: int, repeats: float) -> list[str]:
    """Each letter repeats the one before it with some probability, else is any."""
    lines = random.choices(LETTERS, k=num)
    for _ in range(LENGTH - 1):
        lines = [line + (line[-1] if random.random() < repeats else random.choice(LETTERS)) for line in lines]
    return lines


def numbers(lines: list[str]) -> Tensor:
    """Places of letters among all, shape (num, LENGTH)."""
    return torch.tensor([[LETTERS.index(letter) for letter in line] for line in lines])


def train(samples: Tensor, weights: Tensor, epochs: int) -> Student:
    """Each sample counts as much as its weight, 1 in the mean, so batches need no normalizing."""
    student = Student()
    optimizer = torch.optim.Adam(student.parameters(), 2e-2)
    for _ in range(epochs):
        for rows in torch.randperm(len(samples)).split(200):
            optimizer.zero_grad()
            (-weights[rows] * student(samples[rows])).mean().backward()
            optimizer.step()
    return student


def main(num: int = 2000, epochs: int = 30, folds: int = 5) -> tuple[float, float]:
    """Print and return the cross entropy of real sentences, in nats, without the weights and with them."""
    random.seed(0)
    torch.manual_seed(0)
    samples = sentences(num, 0.2)
    with TemporaryDirectory() as folder:
        real, foreign, out = (str(Path(folder, name)) for name in ("real.txt", "samples.txt", "weights.csv"))
        Path(real).write_text("\n".join(sentences(num // 2, 0.5)))
        Path(foreign).write_text("\n".join(samples))
        options = ["--tokenizer", "char", "--folds", str(folds), "--device", "cpu"]
        discrete_gan(["weigh", "--real", real, "--samples", foreign, "--out", out, *options])
        rows = csv.DictReader(Path(out).read_text().splitlines())
        weights = torch.tensor([float(row["weight"]) for row in rows])
    x, held_out = numbers(samples), numbers(sentences(2000, 0.5))
    students = train(x, torch.ones(num), epochs), train(x, weights, epochs)
    with torch.no_grad():
        plain, weighted = (-student(held_out).mean().item() for student in students)
    print(f"real sentences: {plain:.2f} nats without the weights, {weighted:.2f} with them")
    return plain, weighted


if __name__ == "__main__":
    main()
