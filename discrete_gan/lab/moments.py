"""Mean and variance of an estimator's gradient: over every outcome of its draws, or over many draws."""

from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan.lab.enumeration import all_tuples, alphabet, alphabet_size, in_chunks, num_tuples
from discrete_gan.lab.subject import Subject
from discrete_gan.lab.traits import Traits

# Numbers in the largest temporary of one call; 32 stands for the hidden layer of a discriminator.
_CHUNK_NUMBERS, _HIDDEN = 2**23, 32
# An estimator that couples its latents is called once for each outcome.
_MOST_SINGLE_CALLS = 1000


class Moments(NamedTuple):
    """Mean gradient (L, *event), variance of each component of it for one draw, and the number of outcomes."""

    mean: Tensor
    variance: Tensor
    num_outcomes: int
    enumerated: bool


def find_moments(subject: Subject, traits: Traits, most_tuples: int, num_draws: int) -> Moments:
    """Over every outcome where there are few enough, else of so many draws."""
    num_latents = len(subject.problem.logits)
    rows = max(1, int(_CHUNK_NUMBERS / max(traits.evaluations, 1) / max(subject.problem.event_shape.numel(), _HIDDEN)))
    if traits.kind is not None and (num_latents == 1 or not traits.coupled):
        if traits.num_draws == 0:
            mean = subject.gradients(torch.arange(num_latents)) / num_latents
            return Moments(mean, torch.zeros_like(mean), 1, True)
        parts = []
        for latent in range(num_latents):
            part = _enumerated(subject, traits, latent, most_tuples, rows)
            if part is None:
                break
            parts.append(part)
        else:
            mean = torch.stack([part.mean for part in parts]) / num_latents
            variance = torch.stack([part.variance for part in parts]) / num_latents**2
            return Moments(mean, variance, parts[0].num_outcomes, True)
    return _sampled(subject, traits, num_draws, rows)


def _enumerated(subject: Subject, traits: Traits, latent: int, most_tuples: int, rows: int) -> Moments | None:
    """Moments of one latent's gradient over every outcome of the draws, None if there are too many."""
    assert traits.kind is not None
    size = alphabet_size(subject.problem.logits[latent], traits.kind)
    limit = min(most_tuples, _MOST_SINGLE_CALLS) if traits.coupled else most_tuples
    count = num_tuples(size, traits.num_draws, exchangeable=traits.exchangeable)
    if count > limit:
        return None
    letters = alphabet(subject.problem.logits[latent], traits.kind)
    mean = square = torch.zeros(subject.problem.event_shape, dtype=torch.float64)
    tuples = all_tuples(size, traits.num_draws, exchangeable=traits.exchangeable)
    for part in in_chunks(tuples, 1 if traits.coupled else rows):
        probability = (letters.log_prob[part.draws].sum(dim=0) + part.log_count).exp()
        draws = tuple(values[part.draws] for values in letters.values)
        gradients = subject.gradients(torch.full((part.draws.shape[1],), latent), traits.kind, draws)
        mean = mean + torch.einsum("t,t...->...", probability, gradients)
        square = square + torch.einsum("t,t...->...", probability, gradients.square())
    return Moments(mean, (square - mean.square()).clamp(min=0), count, True)


def _sampled(subject: Subject, traits: Traits, num_draws: int, rows: int) -> Moments:
    num_latents = len(subject.problem.logits)
    if traits.coupled:  # one gradient of all latents a call
        num_draws, per_call = max(num_draws // 20, 100), 1
    else:
        per_call = max(1, min(num_draws, rows // num_latents))
    mean = square = torch.zeros_like(subject.problem.logits)
    done = 0
    while done < num_draws:
        num = min(per_call, num_draws - done)
        gradients = subject.gradients(torch.arange(num_latents).repeat(num)).unflatten(0, (num, num_latents))
        mean = mean + gradients.sum(dim=0) / num_latents / num_draws
        square = square + (gradients / num_latents).square().sum(dim=0) / num_draws
        done += num
    variance = (square - mean.square()).clamp(min=0) * (num_draws / (num_draws - 1))
    return Moments(mean, variance, num_draws, False)
