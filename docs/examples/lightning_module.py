"""The language model of language_model.py, trained in a LightningModule: what is ours is the loss.

It learns by likelihood from walks round a clock of tokens, full of misprints; weights of its own samples mend it.

python docs/examples/lightning_module.py
"""

import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from torch import Tensor, nn, optim
from torch.nn.functional import cross_entropy, softplus
from torch.utils.data import DataLoader, TensorDataset

from discrete_gan.estimators.boundary_seeking import boundary_seeking_loss

NUM_TOKENS, LENGTH, WIDTH, BATCH = 6, 8, 32, 64


class LanguageModel(LightningModule):
    """Log-probabilities in nats of sentences (B, LENGTH), shape (B,), and how they are learnt."""

    def __init__(self, pretrain: int, warm_up: int) -> None:
        super().__init__()
        self.automatic_optimization = False  # as there are several losses
        self.pretrain, self.warm_up = pretrain, warm_up
        self.embedding = nn.Embedding(NUM_TOKENS + 1, WIDTH)  # the last row is before the first token
        self.position = nn.Parameter(0.1 * torch.randn(LENGTH, WIDTH))
        self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.output = nn.Linear(WIDTH, NUM_TOKENS)
        hidden = [nn.Flatten(), nn.Linear(LENGTH * WIDTH, 128), nn.ReLU()]
        self.discriminator = nn.Sequential(nn.Embedding(NUM_TOKENS, WIDTH), *hidden, nn.Linear(128, 1))

    def configure_optimizers(self) -> list[optim.Adam]:  # noqa: D102
        model = [value for name, value in self.named_parameters() if "discriminator" not in name]
        return [optim.Adam(model, 2e-3), optim.Adam(self.discriminator.parameters(), 2e-3), optim.Adam(model, 2e-4)]

    def logits(self, x: Tensor) -> Tensor:  # noqa: D102
        x = torch.cat([torch.full_like(x[:, :1], NUM_TOKENS), x[:, :-1]], dim=1)
        later = nn.Transformer.generate_square_subsequent_mask(LENGTH, device=x.device)
        return self.output(self.layer(self.embedding(x) + self.position, later))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return -cross_entropy(self.logits(x).transpose(1, 2), x, reduction="none").sum(dim=1)

    @torch.no_grad()
    def sample(self, num: int) -> Tensor:  # noqa: D102
        x = torch.zeros(num, LENGTH, dtype=torch.int64, device=self.device)
        for place in range(LENGTH):
            x[:, place] = torch.multinomial(self.logits(x)[:, place].softmax(dim=-1), 1)[:, 0]
        return x

    def training_step(self, batch: list[Tensor], step: int) -> None:  # noqa: D102
        careless, judging, careful = self.optimizers()
        if step < self.pretrain:
            self.descend(-self(batch[0]).mean(), careless)
            return
        x = self.sample(BATCH)
        real, log_w = self.discriminator(batch[0]), self.discriminator(x)  # (M, 1): one column of weights
        self.descend(softplus(-real).mean() + softplus(log_w).mean(), judging)
        if step >= self.pretrain + self.warm_up:  # before, the discriminator knows nothing
            self.descend(boundary_seeking_loss(log_w, self(x)[:, None]).mean(), careful)

    def descend(self, loss: Tensor, optimizer: optim.Optimizer) -> None:  # noqa: D102
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


def main(pretrain: int = 150, steps: int = 300) -> tuple[float, float]:
    """Print and return the fraction of sentences that are walks: of what it first learns from, and of samples."""
    seed_everything(0)
    start = torch.randint(NUM_TOKENS, (BATCH * (pretrain + steps), 1))
    walks = (start + (2 * torch.randint(2, (len(start), LENGTH)) - 1).cumsum(dim=1)) % NUM_TOKENS
    misprints = (torch.rand(walks.shape) < 0.1) & (torch.arange(len(walks)) < BATCH * pretrain)[:, None]
    walks = torch.where(misprints, torch.randint(NUM_TOKENS, walks.shape), walks)
    model = LanguageModel(pretrain, warm_up=steps // 6)
    quiet = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
    Trainer(max_epochs=1, accelerator="cpu", devices=1, **quiet).fit(model, DataLoader(TensorDataset(walks), BATCH))
    both = walks[: BATCH * pretrain], model.sample(1000)
    before, after = (((x.diff(dim=1) % NUM_TOKENS % (NUM_TOKENS - 2)) == 1).all(dim=1).float().mean() for x in both)
    print(f"{before:.1%} of the sentences with misprints are walks, and {after:.1%} of samples")
    return before.item(), after.item()


if __name__ == "__main__":
    main()
