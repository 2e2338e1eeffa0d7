"""Weights in a training loop of your own: a language model fitted to weighted samples of another.

Samples of a closed model are all there is of it, beside a few real sentences. `fit_log_ratio` weighs the samples, and
the student learns from all of them, each as much as it counts: in a plain torch loop, and in one of Lightning Fabric.

python docs/examples/fabric_loop.py
"""

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from discrete_gan.metrics import fit_log_ratio
from discrete_gan.weights import normalized_weights, psis

NUM_TOKENS, LENGTH = 5, 6


class Student(nn.Module):
    """A bigram model: tokens (B, LENGTH) to their log-probabilities in nats (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Embedding(NUM_TOKENS + 1, NUM_TOKENS)  # of the next token; the last row is of the first

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        before = torch.cat([torch.full_like(x[:, :1], NUM_TOKENS), x[:, :-1]], dim=1)
        return -cross_entropy(self.logits(before).transpose(1, 2), x, reduction="none").sum(dim=1)


def sentences(num: int, repeats: float) -> Tensor:
    """Each token repeats the one before it with some probability, else is any: shape (num, LENGTH)."""
    x = [torch.randint(NUM_TOKENS, (num,))]
    for _ in range(LENGTH - 1):
        x.append(torch.where(torch.rand(num) < repeats, x[-1], torch.randint(NUM_TOKENS, (num,))))
    return torch.stack(x, dim=1)


def plain_loop(samples: Tensor, weights: Tensor, epochs: int) -> nn.Module:
    """A student, trained."""
    student = Student()
    optimizer = torch.optim.Adam(student.parameters(), 2e-2)
    for _ in range(epochs):
        for rows in torch.randperm(len(samples)).split(200):
            optimizer.zero_grad()
            (-weights[rows] * student(samples[rows])).mean().backward()
            optimizer.step()
    return student


def fabric_loop(samples: Tensor, weights: Tensor, epochs: int) -> nn.Module:
    """The same, on any device and number of processes."""
    fabric = Fabric(accelerator="cpu", devices=1)
    student = Student()
    model, optimizer = fabric.setup(student, torch.optim.Adam(student.parameters(), 2e-2))
    batches = fabric.setup_dataloaders(DataLoader(TensorDataset(samples, weights), batch_size=200, shuffle=True))
    for _ in range(epochs):
        for x, weight in batches:
            optimizer.zero_grad()
            fabric.backward((-weight * model(x)).mean())
            optimizer.step()
    return student


def main(num: int = 2000, epochs: int = 30, num_folds: int = 5) -> dict[str, float]:
    """Print and return the cross entropy of real sentences, in nats, under each student."""
    torch.manual_seed(0)
    real, samples, held_out = sentences(num // 2, 0.5), sentences(num, 0.2), sentences(2000, 0.5)
    fit = fit_log_ratio(real, samples, num_folds=num_folds)
    print(fit.verdict)
    weights = num * normalized_weights(psis(fit.log_w).log_w)  # their mean is 1, so batches need no normalizing
    students = {
        "unweighted": plain_loop(samples, torch.ones(num), epochs),
        "weighted, plain torch": plain_loop(samples, weights, epochs),
        "weighted, Fabric": fabric_loop(samples, weights, epochs),
    }
    with torch.no_grad():
        found = {name: -student(held_out).mean().item() for name, student in students.items()}
    print(*(f"{name}: {nats:.2f} nats" for name, nats in found.items()), sep="\n")
    return found


if __name__ == "__main__":
    main()
