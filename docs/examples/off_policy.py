"""Off-policy evaluation: what policies would have earned that were never run, from the log of another one.

Each policy's estimate comes with its standard error, and with a tail index that says whether to believe either.

python docs/examples/off_policy.py
"""

import torch
from torch import Tensor

from discrete_gan.weights import effective_sample_size, expectation, psis

NUM_FEATURES, NUM_ACTIONS = 5, 8
SHARPNESS = torch.tensor([-6.0, 0.0, 1.0, 8.0])  # of the policies to be judged, from perverse over blind to greedy


def policies(context: Tensor, taste: Tensor) -> Tensor:
    """Log-probabilities log pi(a | x) of every policy, shape (N, actions, policies)."""
    return (SHARPNESS * (context @ taste)[..., None]).log_softmax(dim=1)


def log_of_a_bandit(num: int, taste: Tensor, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Contexts, actions, rewards of 0 or 1, and log q(a | x) of the policy that was run: it explores a lot."""
    generator = torch.Generator().manual_seed(seed)
    context = torch.randn(num, NUM_FEATURES, generator=generator)
    log_q = (0.7 * context @ taste).log_softmax(dim=1)
    action = torch.multinomial(log_q.exp(), 1, generator=generator)
    reward = torch.bernoulli((context @ taste).gather(1, action).sigmoid(), generator=generator)
    return context, action, reward, log_q.gather(1, action)


def evaluate(context: Tensor, action: Tensor, reward: Tensor, log_q: Tensor, taste: Tensor) -> dict[str, Tensor]:
    """Value of each policy, its standard error, and how far to trust them; each of shape (policies,)."""
    log_pi = policies(context, taste)[torch.arange(len(action)), action[:, 0]]
    log_w = log_pi - log_q  # (N, policies): one row for each decision in the log
    smoothed = psis(log_w)
    value, error = expectation(reward.expand_as(log_w), smoothed.log_w)
    size = effective_sample_size(log_w)
    return {"value": value, "error": error, "size": size, "k": smoothed.k, "threshold": smoothed.threshold}


def true_values(taste: Tensor, num: int = 100_000) -> Tensor:
    """Of each policy, by running it."""
    context = torch.randn(num, NUM_FEATURES, generator=torch.Generator().manual_seed(1))
    return (policies(context, taste).exp() * (context @ taste).sigmoid()[..., None]).sum(dim=1).mean(dim=0)


def main(num: int = 5000, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    """Print the estimates beside the truth, and return both."""
    taste = torch.randn(NUM_FEATURES, NUM_ACTIONS, generator=torch.Generator().manual_seed(2))
    found, truth = evaluate(*log_of_a_bandit(num, taste, seed), taste), true_values(taste)
    for policy, sharpness in enumerate(SHARPNESS.tolist()):
        row = {name: of[policy].item() for name, of in found.items()}
        print(
            f"sharpness {sharpness:3.0f}: {row['value']:.3f} +- {row['error']:.3f} (truly {truth[policy]:.3f}), worth "
            f"{row['size']:5,.0f} of {num:,} decisions, k = {row['k']:.2f} of at most {row['threshold']:.2f}"
        )
    return found, truth


if __name__ == "__main__":
    main()
