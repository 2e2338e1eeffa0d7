"""A transformer language model of your own, trained against a discriminator of your own: what is ours is the loss.

Sentences are walks round a clock of tokens, a step to the left or to the right each time, so every sample can be
checked. The model first learns, by likelihood, from sentences full of misprints; weights of its own samples mend it.

python docs/examples/language_model.py
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from discrete_gan.estimators.boundary_seeking import boundary_seeking_loss

NUM_TOKENS, LENGTH, WIDTH = 6, 8, 32


class Transformer(nn.Module):
    """Tokens (B, T) to logits of the next ones (B, T, NUM_TOKENS)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(NUM_TOKENS + 1, WIDTH)
        self.position = nn.Parameter(0.1 * torch.randn(LENGTH, WIDTH))
        self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.output = nn.Linear(WIDTH, NUM_TOKENS)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        later = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.output(self.layer(self.embedding(x) + self.position[: x.shape[1]], later))


def walks(num: int, misprints: float = 0.0) -> Tensor:
    """Sentences, shape (num, LENGTH), of whose tokens some may be any."""
    steps = 2 * torch.randint(2, (num, LENGTH - 1)) - 1
    x = torch.cat([torch.randint(NUM_TOKENS, (num, 1)), steps], dim=1).cumsum(dim=1) % NUM_TOKENS
    return torch.where(torch.rand(x.shape) < misprints, torch.randint(NUM_TOKENS, x.shape), x)


def log_prob(model: nn.Module, x: Tensor) -> Tensor:
    """Of each sentence in nats, shape (B,); the token before the first has a number of its own."""
    before = torch.cat([torch.full((len(x), 1), NUM_TOKENS), x[:, :-1]], dim=1)
    return -cross_entropy(model(before).transpose(1, 2), x, reduction="none").sum(dim=1)


@torch.no_grad()
def sample(model: nn.Module, num: int) -> Tensor:
    """Sentences of the model, shape (num, LENGTH)."""
    x = torch.full((num, 1), NUM_TOKENS)
    for _ in range(LENGTH):
        x = torch.cat([x, torch.multinomial(model(x)[:, -1].softmax(dim=-1), 1)], dim=1)
    return x[:, 1:]


def main(pretrain: int = 150, steps: int = 300, batch_size: int = 64) -> tuple[float, float]:
    """Print and return the fraction of samples that are walks, after the misprints and at the end."""
    torch.manual_seed(0)
    model = Transformer()
    hidden = [nn.Linear(LENGTH * WIDTH, 128), nn.ReLU()]
    discriminator = nn.Sequential(nn.Embedding(NUM_TOKENS, WIDTH), nn.Flatten(), *hidden, nn.Linear(128, 1))
    careless, careful = (torch.optim.Adam(model.parameters(), lr) for lr in (2e-3, 2e-4))
    judging = torch.optim.Adam(discriminator.parameters(), 2e-3)

    def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(pretrain):
        descend(-log_prob(model, walks(batch_size, misprints=0.1)).mean(), careless)
    found = [sample(model, 1000)]
    for step in range(steps):
        x = sample(model, batch_size)
        real, log_w = discriminator(walks(batch_size)), discriminator(x)  # (M, 1): one column of weights
        descend(softplus(-real).mean() + softplus(log_w).mean(), judging)
        if step >= steps // 6:  # before, the discriminator knows nothing
            descend(boundary_seeking_loss(log_w, log_prob(model, x)[:, None]).mean(), careful)
    found.append(sample(model, 1000))
    before, after = (((x.diff(dim=1) % NUM_TOKENS % (NUM_TOKENS - 2)) == 1).all(dim=1).float().mean() for x in found)
    print(f"{before:.1%} of samples are walks after the misprints, {after:.1%} at the end")
    return before.item(), after.item()


if __name__ == "__main__":
    main()
