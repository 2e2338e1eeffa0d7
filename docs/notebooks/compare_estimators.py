# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Comparing estimators on digits
#
# Two questions about a gradient estimator: what is its gradient, on a problem where the exact one is known, and what
# does it train? The first takes the [lab](../lab.md), the second `discrete-gan compare`. Both run here, small enough
# for a minute.

# %%
import json
import tempfile
from pathlib import Path

import matplotlib.image
import matplotlib.pyplot as plt

from discrete_gan.cli import main
from discrete_gan.lab import PROBLEMS, analyze

# %% [markdown]
# ## Bias and variance, exactly
#
# `table` is a random problem of 16 states: every tuple of M samples is handed to the estimator, so nothing below is
# sampled. Bias and standard deviation are of the whole gradient, as multiples of the length of the exact one of the
# estimator's own target.

# %%
problem = PROBLEMS["table"](0)
names = ["boundary-seeking", "boundary-seeking:zero_sum=false", "reinforce", "vimco"]
counts = [2, 3, 4]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for name in names:
    spec = f"{name}{',' if ':' in name else ':'}num_samples="
    found = [analyze(f"{spec}{num}", problem) for num in counts]
    left.plot(counts, [each.bias for each in found], "o-", label=name)
    right.plot(counts, [each.variance**0.5 for each in found], "o-", label=name)
left.set(xlabel="M", ylabel="relative bias", xticks=counts)
right.set(xlabel="M", ylabel="relative standard deviation", xticks=counts)
left.legend(fontsize="small")
plt.show()

# %% [markdown]
# Self-normalized weights are biased, as $1/M$; subtracting $1/M$ changes the variance and not the bias. REINFORCE and
# VIMCO have none, for targets of their own: [what each descends](../estimators.md#targets).

# %% [markdown]
# ## What they train
#
# The same networks and data, two seeds each, at equal discriminator evaluations. `compare` is a command; in Python it
# is called with the same words.

# %%
folder = Path(tempfile.mkdtemp())
estimators = ["boundary-seeking:num_samples=10", "reinforce:num_samples=10", "straight-through:num_samples=10"]
small = ["--steps", "300", "--sample-every", "50", "--log-every", "50", "--num-scored", "1000"]
main(["compare", "digits", "--estimators", *estimators, "--seeds", "2", "--out", str(folder), *small])

# %% [markdown]
# Three hundred steps are the beginning of a training; the [measured tables](../results/images.md) have full lengths,
# and say that the order at the end is another one. What was logged is in each run's folder:

# %%
runs = sorted(folder.glob("runs/*/seed-0"))
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for run in runs:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    points = [(row["step"], row["frechet"]) for row in rows if "frechet" in row]
    axes.plot(*zip(*points, strict=True), "o-", label=run.parent.name)
axes.set(xlabel="steps", ylabel="Frechet distance", yscale="log")
axes.legend(fontsize="small")
plt.show()

# %%
figure, panels = plt.subplots(1, len(runs), figsize=(9, 3), layout="constrained")
for panel, run in zip(panels, runs, strict=True):
    panel.imshow(matplotlib.image.imread(run / "samples.png"), cmap="gray")
    panel.set_title(run.parent.name, fontsize="small")
    panel.axis("off")
plt.show()
