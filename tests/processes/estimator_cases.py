"""Every estimator by its name and options, some steps of it on each kind of generator that it is for."""

import inspect
from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from discrete_gan.distributed import average_gradients, mean_over_processes
from discrete_gan.distributions import Autoregressive, FactorizedBernoulli, FactorizedCategorical
from discrete_gan.estimators import ESTIMATORS, SEQUENCE_ESTIMATORS, adapted, parse_estimator
from discrete_gan.models import RecurrentDiscriminator, RecurrentGenerator
from tests.problems import ColumnGenerator, SmoothDiscriminator, seeded_normal
from tests.processes.spawn import one_stream, share, uniform_of_everyone

B, NUM_REAL, D, K, END, STEPS = 8, 12, 5, 3, 2, 2

# Options that couple latents, move an average or learn in another way; of an estimator that is not here, few samples.
_OPTIONS: dict[str, list[str]] = {
    "boundary-seeking": [
        "num_samples=4",
        "num_samples=4,over=batch",
        "num_samples=4,over=batch,zero_sum=false",
        "num_samples=4,over=batch,chunk_size=3",
    ],
    "boundary-seeking-union": ["num_samples=4", "num_samples=1,zero_sum=false", "num_samples=4,chunk_size=3"],
    "boundary-seeking-cv": ["num_samples=4", "num_samples=4,control=linear"],
    "reinforce": [
        "num_samples=4",
        "num_samples=4,baseline=none",
        "num_samples=4,baseline=moving-average,objective=non-saturating",
    ],
    "nvil": ["num_samples=2,hidden=3", "num_samples=2,hidden=3,normalize=true,objective=non-saturating"],
    "rebar": ["num_samples=2", "num_samples=2,learn=false,objective=non-saturating"],
    "relax": ["num_samples=2,hidden=3"],
    "slope-annealed": ["num_samples=2,annealing_rate=0.1"],
    "gumbel-softmax": ["num_samples=2,annealing_rate=0.1"],
    "gumbel-rao": ["num_samples=2,num_gumbels=3"],
    "reinforce-steps": ["num_samples=4", "num_samples=4,reward=probability,baseline=moving-average"],
    "seqgan": ["num_samples=2,num_rollouts=2", "num_samples=2,num_rollouts=2,baseline=leave-one-out"],
    "maligan-mixed": ["num_samples=3,decrement_every=1", "num_samples=3,decrement_every=1,prefix=3"],
}
_KINDS = {"bits": FactorizedBernoulli, "categories": FactorizedCategorical, "sequences": Autoregressive}


def _estimates() -> Iterator[tuple[str, str]]:
    """Every estimator in each of its ways, on each kind of generator that it accepts: kind and text."""
    for name, make in (ESTIMATORS | SEQUENCE_ESTIMATORS).items():
        few = "num_samples=4" if "num_samples" in inspect.signature(make).parameters else ""
        for options in _OPTIONS.get(name, [few]):
            spec = f"{name}:{options}".removesuffix(":")
            estimator = parse_estimator(spec)
            claims = getattr(estimator, "claims", None)  # those of sequences alone have none
            accepts = (Autoregressive,) if claims is None else claims.accepts or tuple(_KINDS.values())
            if getattr(estimator, "chunk_size", None) is not None:
                accepts = (FactorizedBernoulli, FactorizedCategorical)
            yield from ((kind, spec) for kind, law in _KINDS.items() if law in accepts)


ESTIMATES: dict[str, tuple[str, str]] = {f"{kind} {spec}": (kind, spec) for kind, spec in _estimates()}


def estimator_problem(kind: str) -> tuple[nn.Module, nn.Module, Tensor, Tensor]:
    """Generator, discriminator, latents and real samples; of sequences one real one for each latent."""
    if kind == "sequences":
        networks = (
            RecurrentGenerator(K, D, end=END, latent_dim=1, embedding_dim=2, hidden=3),
            RecurrentDiscriminator(K, D, end=END, embedding_dim=2, hidden=3),
        )
        with torch.no_grad():
            for seed, parameter in enumerate(
                parameter for each in networks for parameter in each.double().parameters()
            ):
                parameter.copy_(seeded_normal(*parameter.shape, seed=seed))
        tokens = (seeded_normal(B, D, seed=98) > 0).long()
        tokens[:3, 2:] = END
        return *networks, seeded_normal(B, 1, seed=99), tokens
    event = torch.Size([D] if kind == "bits" else [D, K])
    real = (seeded_normal(NUM_REAL, D, seed=98) > 0).double()
    real = real if kind == "bits" else nn.functional.one_hot(real.long(), K).double()
    return ColumnGenerator(seeded_normal(B, *event)), SmoothDiscriminator(event), torch.arange(B)[:, None], real


def estimate_results(name: str) -> dict[str, Tensor]:
    """Losses of the steps, gradients summed over them and averaged over the processes, and the estimator's state."""
    kind, spec = ESTIMATES[name]
    estimator = parse_estimator(spec)
    estimate = adapted(estimator)
    state = estimator.double() if isinstance(estimator, nn.Module) else nn.Module()
    for parameter in state.parameters():
        if not is_lazy(parameter) and not parameter.any():
            nn.init.constant_(parameter, 0.5)  # a layer of zeros would hide the gradient of those before it
    generator, discriminator, z, real = estimator_problem(kind)
    losses = []
    with one_stream(), uniform_of_everyone(1) if spec.startswith("arm") else nullcontext():
        for _ in range(STEPS):
            loss = estimate(generator, discriminator, share(z), real=share(real)).mean()
            loss.backward()
            losses.append(loss)
    networks = nn.ModuleDict({"generator": generator, "estimator": state})
    average_gradients(networks.parameters())
    gradients = {key: value.grad for key, value in networks.named_parameters() if value.grad is not None}
    # Beside tensors there are calls that are counted.
    saved = {
        f"state, {key}": value if isinstance(value, Tensor) else torch.tensor(list(value.values()))
        for key, value in state.state_dict().items()
    }
    return {"losses": mean_over_processes(torch.stack(losses)), **gradients, **saved}
