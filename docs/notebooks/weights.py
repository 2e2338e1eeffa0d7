# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Weights in your own model
#
# A discriminator that can tell data from samples knows a density ratio. This notebook takes a language model of
# bigrams that nobody trained adversarially, gives it a discriminator, and looks at what the weights are worth: how
# many samples they leave, whether to trust them, and what the model gains when it is trained by them. Everything is
# small enough to be checked against exact sums.

# %%
import itertools

import matplotlib.pyplot as plt
import torch

from discrete_gan.divergences import GAN
from discrete_gan.estimators import boundary_seeking_loss
from discrete_gan.weights import diagnose, expectation, log_partition, psis, resample, tail_index_threshold, take

_ = torch.manual_seed(0)

# %% [markdown]
# ## Data that a bigram model cannot have
#
# Words of four letters, some more frequent than others, in which the second half repeats the first. A bigram model
# sees only neighbors.

# %%
K, D = 4, 4
frequencies = torch.tensor([0.5, 0.25, 0.15, 0.1])
states = torch.tensor(list(itertools.product(range(K), repeat=D)))  # all 256 there could be
is_word = (states[:, :2] == states[:, 2:]).all(dim=1)
p_data = is_word * frequencies[states[:, :2]].prod(dim=1)  # 16 of them are words


class Bigrams(torch.nn.Module):
    """log p(x) of words, and samples: no part of the package is needed to write a model."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Parameter(torch.zeros(K))
        self.next = torch.nn.Parameter(torch.zeros(D - 1, K, K))

    def log_prob(self, x):
        """Shape (...), of words (..., D)."""
        found = self.first.log_softmax(-1)[x[..., 0]]
        table = self.next.log_softmax(-1)
        return found + sum(table[d, x[..., d], x[..., d + 1]] for d in range(D - 1))

    @torch.no_grad()
    def sample(self, num):
        """Words, shape (num, D)."""
        x = [torch.multinomial(self.first.softmax(-1), num, replacement=True)]
        for d in range(D - 1):
            x.append(torch.multinomial(self.next[d].softmax(-1)[x[-1]], 1)[:, 0])
        return torch.stack(x, dim=1)


def exact_kl(model):
    """KL(p_data || p), over all words, in nats."""
    p = p_data[is_word]
    return float((p * (p.log() - model.log_prob(states[is_word]))).sum().detach())


model = Bigrams()
print(f"KL to the data before: {exact_kl(model):.3f} nats")

# %% [markdown]
# ## A discriminator of your own
#
# Its raw output, before any sigmoid, is the log-ratio. Trained by cross entropy on equal numbers of real and
# generated words:

# %%
discriminator = torch.nn.Sequential(
    torch.nn.Linear(K * D, 128), torch.nn.ReLU(), torch.nn.Linear(128, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1)
)


def log_ratio(x):
    """Shape (...), in nats, of words (..., D)."""
    return discriminator(torch.nn.functional.one_hot(x, K).float().flatten(-2)).squeeze(-1)


def real(num):
    return states[torch.multinomial(p_data, num, replacement=True)]


d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3)


def train_discriminator(steps):
    for _ in range(steps):
        loss = GAN.discriminator_loss(log_ratio(real(256)), log_ratio(model.sample(256)))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()


train_discriminator(300)

# %% [markdown]
# ## What the weights are worth
#
# Of 1,000 samples from the untrained model, one in 16 is a word. `diagnose` says how many independent samples the
# weighted ones are worth; the Pareto tail index k says whether a weighted mean can be trusted, here that of the share
# of words.

# %%
x = model.sample(1000)
with torch.no_grad():
    log_w = log_ratio(x)
found = diagnose(log_w)
print(f"effective sample size {float(found.effective_sample_size):.0f} of {len(x)}")
print(f"Pareto tail index {float(found.pareto_tail_index):.2f}, trusted up to {tail_index_threshold(len(x)):.2f}")
words = (x[:, :2] == x[:, 2:]).all(dim=1).float()
weighted, error = expectation(words, log_w)
print(f"words among samples {float(words.mean()):.3f}, among weighted ones {float(weighted):.3f} ± {float(error):.3f}")
print(f"log of the mean weight {float(log_partition(log_w)):.2f}; 0 if the discriminator were exact")

# %% [markdown]
# Smoothing the largest weights costs nothing and makes heavy tails lighter. Resampling turns weights into a plain set
# of samples:

# %%
chosen = take(x, resample(psis(log_w).log_w, 12))
print(" ".join("".join("acgt"[letter] for letter in word) for word in chosen.tolist()))

# %% [markdown]
# ## Training by the weights
#
# The loss that the package exists for: samples of the model, weighted and detached, and their log-probabilities. The
# discriminator takes a few steps for each of the model's. Beside it, the exact divergence, which only a toy like this
# one has.

# %%
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
kl = [exact_kl(model)]
for _step in range(200):
    x = model.sample(512)
    with torch.no_grad():
        log_w = log_ratio(x)
    loss = boundary_seeking_loss(log_w[:, None], model.log_prob(x)[:, None]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    train_discriminator(2)
    kl.append(exact_kl(model))

# %% [markdown]
# In these words neighbors are independent of each other, so the best bigram model has the frequencies of the letters
# and knows no word: that leaves the entropy of two letters. The weights know more than the model can take up, which
# is why the [discriminator is worth keeping](../reweighted.md). It is trained some more on the finished model first,
# as `discrete-gan refine` does:

# %%
train_discriminator(300)
best = float(-2 * (frequencies * frequencies.log()).sum())
with torch.no_grad():
    log_p = model.log_prob(states) + log_ratio(states)  # up to a constant, which an exact sum gives
    p = p_data[is_word]
    reweighted = float((p * (p.log() - (log_p - log_p.logsumexp(0))[is_word])).sum())
print(f"best bigram model {best:.3f}, this one {kl[-1]:.3f}, this one with its discriminator {reweighted:.3f} nats")

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(kl, label="the model")
axes.axhline(best, color="gray", linestyle=":", label="best bigram model")
axes.axhline(reweighted, color="C1", label="model and discriminator")
axes.set(xlabel="steps", ylabel="KL to the data, nats", ylim=(0, None))
axes.legend()
plt.show()
