"""What runs on a second device: the library with the CPU's results, and no step that waits for the device.

A process of its own runs this file (:mod:`tests.test_second_device`). By hand::

    pytest tests/second_device_cases.py -k vimco
"""

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.second_device import DEVICE, NAME, assert_alike, counting, devices, lacking, peek  # first: it registers it

# isort: split
from discrete_gan import models, weights
from discrete_gan._precision import widest_float
from discrete_gan.data import Batches
from discrete_gan.distributions import Autoregressive, FactorizedBernoulli, FactorizedCategorical, PointMass
from discrete_gan.divergences import DIVERGENCES
from discrete_gan.estimators import adapted, parse_estimator
from discrete_gan.losses import unlabeled
from discrete_gan.losses.historical_averaging import HistoricalAveraging
from discrete_gan.metrics import LogRatioFit, fit_log_ratio
from discrete_gan.models import MLPGenerator
from discrete_gan.models.frames import FrameEmbedding
from discrete_gan.reweighted import METHODS, Method, Reweighted
from discrete_gan.tasks.likelihood import LikelihoodMethod, LikelihoodOptions, held_out_log_likelihood
from discrete_gan.training import MovingAverage, diagnostics, generate
from discrete_gan.training.probe import probe
from tests.problems import assert_mean, seeded_normal
from tests.processes.estimator_cases import ESTIMATES, estimator_problem
from tests.processes.loss_cases import LABELS, LOSSES, NUM_FAKE, NUM_REAL, REFERENCE, Critic, D, Sides
from tests.processes.metric_cases import METRICS


def gradients(module: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """A loss with its gradients and the module's state after it."""
    loss.sum().backward()
    found = {f"gradient of {name}": value.grad for name, value in module.named_parameters() if value.grad is not None}
    assert found
    return {"loss": loss, **found, **{f"state {name}": value for name, value in module.state_dict().items()}}


def differentiated(function: Callable[..., Any], *arguments: Tensor) -> dict[str, Any]:
    """Values, and the gradients of their sum in the arguments that carry any."""
    values = function(*arguments)
    flat = [each for each in (values if isinstance(values, tuple) else (values,)) if each.requires_grad]
    if not flat:
        return {"values": values}
    inputs = [each for each in arguments if each.requires_grad]
    slopes = torch.autograd.grad([each.sum() for each in flat], inputs, allow_unused=True)
    return {"values": values, "slopes": [each for each in slopes if each is not None]}


# Weights and divergences

LOG_W, REAL_LOG_W = seeded_normal(30, 4, scale=2.0).requires_grad_(), seeded_normal(6, seed=1).requires_grad_()
WEIGHTS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "normalized_weights": lambda w, r: weights.normalized_weights(w),
    "normalized_weights, batch": lambda w, r: weights.normalized_weights(w, over="batch", zero_sum=True),
    "union_weights": lambda w, r: weights.union_weights(w, r, zero_sum=True),
    "log_partition": lambda w, r: weights.log_partition(w),
    "log_partition, batch": lambda w, r: weights.log_partition(w, over="batch"),
    "effective_sample_size": lambda w, r: weights.effective_sample_size(w),
    "pareto_tail_index": lambda w, r: weights.pareto_tail_index(w),
    "pareto_tail_index, few": lambda w, r: weights.pareto_tail_index(w[:20]),
    "importance_loss": lambda w, r: weights.importance_loss(w, w.sin()),
    "diagnose": lambda w, r: tuple(weights.diagnose(w)),
    "log_normalized_weights": lambda w, r: weights.log_normalized_weights(w),
    "log_partition_error": lambda w, r: weights.log_partition_error(w),
    "psis": lambda w, r: tuple(weights.psis(w)),
    "psis, where": lambda w, r: tuple(weights.psis(w, where=w > -3)),
    "truncated": lambda w, r: weights.truncated(w),
    "tempered": lambda w, r: tuple(weights.tempered(w, 20)),
    "expectation": lambda w, r: tuple(weights.expectation(w.sin(), w)),
    "leave_one_out": lambda w, r: tuple(weights.leave_one_out(w, w.sin())),
    "resample": lambda w, r: tuple(weights.resample(w, method=method) for method in weights.METHODS),
    "resample_if": lambda w, r: tuple(weights.resample_if(w)),
    "take": lambda w, r: weights.take(w, w.argsort(dim=0)),
    "wake_theta_loss": lambda w, r: weights.wake_theta_loss(w, w.sin()),
    "wake_phi_loss": lambda w, r: weights.wake_phi_loss(w.sin(), w),
    "iwae_loss": lambda w, r: weights.iwae_loss(w),
    "dreg_loss": lambda w, r: weights.dreg_loss(w),
}
NO_TENSORS = {"tail_index_threshold"}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name: str) -> None:
    assert_alike(lambda *logs: differentiated(WEIGHTS[name], *logs), LOG_W, REAL_LOG_W)


def test_every_function_of_weights_has_a_case() -> None:
    own = {
        name
        for name, value in vars(weights).items()
        if inspect.isfunction(value) and value.__module__.startswith(weights.__name__) and name[0] != "_"
    }
    assert {name.partition(",")[0] for name in WEIGHTS} | NO_TENSORS == own


@pytest.mark.parametrize("name", DIVERGENCES)
def test_divergences(name: str) -> None:
    divergence = DIVERGENCES[name]
    assert_alike(lambda *raw: differentiated(divergence.discriminator_loss, *raw), REAL_LOG_W, LOG_W)
    assert_alike(lambda raw: differentiated(divergence.log_weight, raw), LOG_W)


# Losses


class SidesThere(Sides):
    """What a loss is given, on a device."""

    def __init__(self, device: torch.device) -> None:
        nn.Module.__init__(self)
        self.critic, self.shift = Critic(), nn.Parameter(torch.zeros(D).double())
        self.to(device)
        self.history = HistoricalAveraging(self.critic.parameters())
        self.x, self.y = (
            seeded_normal(NUM_REAL, D).to(device),
            seeded_normal(NUM_FAKE, D, seed=1).to(device) + self.shift,
        )
        self.paired = seeded_normal(NUM_FAKE, D, seed=2).to(device)
        self.labels, self.targets = LABELS.to(device), LABELS[:NUM_FAKE].flip(0).to(device)
        self.reference, self.impossible = REFERENCE.to(device), (torch.arange(NUM_FAKE) % 3 == 1).to(device)
        self.real, self.fake = self.critic(self.x), self.critic(self.y)
        self.real_classes, self.fake_classes = self.critic.classes(self.x), self.critic.classes(self.y)
        self.real_logits, self.fake_logits = self.critic.features(self.x), self.critic.features(self.y)

    def ruled_out(self) -> Tensor:
        return torch.where(self.impossible, -torch.inf, self.fake)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    def results(device: torch.device) -> Callable[[], dict[str, Tensor]]:
        sides = SidesThere(device)
        if name == "unlabeled.reference_loss":
            return lambda: gradients(sides, unlabeled.reference_loss(sides.real_logits, sides.reference))
        return lambda: gradients(sides, LOSSES[name](sides))

    here, there = results(torch.device("cpu")), results(DEVICE)
    torch.manual_seed(0)
    expected = here()
    torch.manual_seed(0)
    with counting() as found:
        result = there()
    assert devices(result) == {NAME}
    assert found.reads == found.copies == [], found
    torch.testing.assert_close(peek(result), peek(expected))


# Estimators


@pytest.mark.parametrize("name", ESTIMATES)
def test_estimators(name: str) -> None:
    kind, spec = ESTIMATES[name]

    def step(networks: nn.ModuleDict, z: Tensor, real: Tensor) -> dict[str, Tensor]:
        chosen: Any = networks["estimator"] if isinstance(estimator, nn.Module) else estimator
        losses = []
        for seed in (2, 3):
            # On a CPU, sequences are drawn until all have ended, and no more numbers after that.
            torch.manual_seed(seed)
            losses.append(adapted(chosen)(networks["generator"], networks["discriminator"], z, real=real))
        return gradients(networks, torch.stack(losses))

    estimator: Any = parse_estimator(spec)
    generator, discriminator, z, real = estimator_problem(kind)
    networks = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
    if isinstance(estimator, nn.Module):
        adapted(estimator.double())(generator, discriminator, z, real=real)  # gives lazy layers their sizes
        networks["estimator"] = estimator
    assert_alike(step, networks, z, real)


# Distributions

B, K, END = 3, 4, 2
BITS = seeded_normal(B, 5).requires_grad_()
CATEGORIES = seeded_normal(B, 5, K).requires_grad_()


def one_hot(seed: int) -> Tensor:
    return nn.functional.one_hot(seeded_normal(2, B, 5, K, seed=seed).argmax(dim=-1), K).double()


FACTORIZED: dict[str, Callable[[Any, Tensor], Any]] = {
    "sample": lambda g, x: g.sample((4,)),
    "rsample": lambda g, x: g.rsample((4,), temperature=0.7),
    "rsample, hard": lambda g, x: g.rsample((4,), hard=True),
    "perturbed_logits": lambda g, x: g.perturbed_logits((4,)),
    "perturbed_logits_given": lambda g, x: g.perturbed_logits_given(x),
    "discretize": lambda g, x: g.discretize(g.perturbed_logits((4,))),
    "relax": lambda g, x: g.relax(g.perturbed_logits((4,)), 0.7),
    "relax, by a tensor": lambda g, x: g.relax(g.perturbed_logits((4,)), x.new_full((), 0.7)),
    "log_prob": lambda g, x: g.log_prob(x),
    "entropy": lambda g, x: g.entropy(),
    "enumerate_support": lambda g, x: g.enumerate_support(),
    "expand": lambda g, x: g.expand((2, B)).log_prob(x),
    **{name: lambda g, x, name=name: getattr(g, name) for name in ("probs", "mean", "mode", "variance")},
}
ONLY_BITS = {
    "antithetic_sample": lambda g, x: g.antithetic_sample((4,)),
    "jointly_antithetic_sample": lambda g, x: g.jointly_antithetic_sample(4),
}
ONLY_CATEGORIES = {
    "sample_indices": lambda g, x: g.sample_indices((4,)),
    "to_indices": lambda g, x: g.to_indices(x),
    "from_indices": lambda g, x: g.from_indices(x.argmax(dim=-1)),
}


@pytest.mark.parametrize("name", FACTORIZED | ONLY_BITS)
def test_bits(name: str) -> None:
    case = (FACTORIZED | ONLY_BITS)[name]
    x = (seeded_normal(2, B, 5, seed=1) > 0).double()
    assert_alike(lambda logits, x: differentiated(lambda logits: case(FactorizedBernoulli(logits), x), logits), BITS, x)


@pytest.mark.parametrize("name", FACTORIZED | ONLY_CATEGORIES)
def test_categories(name: str) -> None:
    case, x = (FACTORIZED | ONLY_CATEGORIES)[name], one_hot(1)
    function = lambda logits, x: differentiated(lambda logits: case(FactorizedCategorical(logits), x), logits)  # noqa: E731
    assert_alike(function, CATEGORIES, x)


def test_float32_bits_are_drawn_by_their_probabilities() -> None:
    # On a CPU these come from fewer random numbers, and so are others.
    g = FactorizedBernoulli(BITS.detach().float().to(DEVICE))
    torch.manual_seed(0)
    with counting() as found:
        x = g.sample((10_000,))
    assert found.reads == found.copies == [], found
    assert x.dtype == torch.float32
    assert_mean(peek(x).double(), BITS.detach().sigmoid())


POINTS: dict[str, Callable[[PointMass], Any]] = {
    "sample": lambda g: g.sample((4,)),
    "rsample": lambda g: g.rsample((4,)),
    "mean": lambda g: g.mean,
    "mode": lambda g: g.mode,
    "variance": lambda g: g.variance,
}


@pytest.mark.parametrize("name", POINTS)
def test_points(name: str) -> None:
    assert_alike(lambda value: differentiated(lambda value: POINTS[name](PointMass(value)), value), BITS)


def sequences(cell: Any, end: int | None, latent_dim: int) -> models.RecurrentGenerator:
    return models.RecurrentGenerator(
        K, 4, end=end, latent_dim=latent_dim, embedding_dim=3, hidden=5, num_layers=2, cell=cell
    ).double()


SEQUENCES: dict[str, Callable[[Autoregressive, Tensor], Any]] = {
    "sample": lambda g, x: g.sample((3,)),
    "sample, colder": lambda g, x: g.sample((3,), temperature=0.7),
    "sample, behind a prefix": lambda g, x: g.sample((3,), prefix=x[0, :, :2]),
    "rollouts": lambda g, x: g.rollouts(x, 2),
    "log_prob": lambda g, x: g.log_prob(x),
    "log_prob, colder": lambda g, x: g.log_prob(x, temperature=0.7),
    "step_log_prob": lambda g, x: g.step_log_prob(x),
    "rsample": lambda g, x: g.rsample((3,), temperature=0.7),
    "rsample, hard": lambda g, x: g.rsample((3,), hard=True),
    "enumerate_support": lambda g, x: g.enumerate_support(),
}


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize(("cell", "end", "latent_dim"), [("lstm", END, 2), ("lstm", None, 0), ("gru", END, 2)])
def test_sequences(name: str, cell: str, end: int | None, latent_dim: int) -> None:
    torch.manual_seed(1)
    network, x = sequences(cell, end, latent_dim), torch.tensor([[[0, 1, END, END], [3, 3, 0, 1], [END] * 4]] * 2)

    def function(network: nn.Module, z: Tensor, x: Tensor) -> dict[str, Any]:
        values = SEQUENCES[name](network(z), x)
        return gradients(network, values) if values.requires_grad else {"values": values}

    # The sequences are listed on the host, all at once.
    assert_alike(function, network, seeded_normal(B, latent_dim), x, copies=int(name == "enumerate_support"))


# What all distributions have from torch; a property counts as a method.
INHERITED = {"arg_constraints", "support", "has_enumerate_support", "has_rsample"}


@pytest.mark.parametrize(
    ("kind", "cases"),
    [
        (FactorizedBernoulli, FACTORIZED | ONLY_BITS),
        (FactorizedCategorical, FACTORIZED | ONLY_CATEGORIES),
        (PointMass, POINTS),
        (Autoregressive, SEQUENCES),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_method_of_the_distributions_has_a_case(kind: type, cases: dict) -> None:
    own = {name for name in vars(kind) if name[0] != "_"} - INHERITED
    assert {name.partition(",")[0] for name in cases} == own


# Models

GREY, COLOR = (1, 8, 8), (3, 8, 8)
PALETTE = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
TEXT: Any = {"end": END, "embedding_dim": 4}


class Believed(nn.Module):
    """The log-weight of the bits' means, from images (B, D) to (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.posterior = models.Posterior(models.BeliefEncoder(3, 64, hidden=(4,)))
        self.log_weight = models.LogWeight(models.BeliefDecoder(3, 64, hidden=(4,)), self.posterior)

    def forward(self, x: Tensor) -> Tensor:
        return self.log_weight(self.posterior(x).mean[None])[0]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "MLPGenerator": lambda: models.MLPGenerator(3, 5, hidden=(4,)),
    "MLPGenerator, categories and classes": lambda: models.MLPGenerator(3, 5, K, hidden=(4,), num_classes=2),
    "MLPImageGenerator": lambda: models.MLPImageGenerator(3, 64, hidden=(4,), num_classes=2),
    "ConvGenerator": lambda: models.ConvGenerator(3, GREY, width=2, hidden=4, num_classes=2),
    "ConvGenerator, categories": lambda: models.ConvGenerator(3, COLOR, K, width=2, hidden=4),
    "PaletteGenerator": lambda: models.PaletteGenerator(PALETTE, 3, COLOR, width=2, hidden=4),
    "DCGANGenerator": lambda: models.DCGANGenerator(3, (1, 16, 16), width=2),
    "AMGANGenerator": lambda: models.AMGANGenerator(3, COLOR, width=2, num_classes=2),
    "BeliefDecoder": lambda: models.BeliefDecoder(3, 5, hidden=(4,)),
    "BeliefEncoder": lambda: models.BeliefEncoder(3, 64, hidden=(4,)),
    "Posterior": Believed,
    "LogWeight": Believed,
    "RecurrentGenerator": lambda: sequences("lstm", END, 2),
    "RecurrentGenerator, gru": lambda: sequences("gru", END, 2),
    "RecurrentGenerator, labels": lambda: models.RecurrentGenerator(K, 4, end=END, num_classes=2).double(),
    "MLPDiscriminator": lambda: models.MLPDiscriminator(64, hidden=(4,), spectral_normalization=True, num_classes=2),
    "ConvDiscriminator": lambda: models.ConvDiscriminator(
        GREY, width=2, hidden=4, spectral_normalization=True, num_classes=2
    ),
    **{
        f"DCGANDiscriminator, {name}": lambda name=name: models.DCGANDiscriminator((1, 16, 16), 2, name)
        for name in ("batch", "spectral", "weight", "none")
    },
    "AMGANDiscriminator": lambda: models.AMGANDiscriminator(GREY, 3, 2, extra_layer=True),
    "NoisyMLPClassifier": lambda: models.NoisyMLPClassifier(64, 3, hidden=(4, 4)),
    "TextCNN": lambda: models.TextCNN(K, 4, widths=(1, 2), channels=3, dropout=0.2, **TEXT),
    "RecurrentDiscriminator": lambda: models.RecurrentDiscriminator(K, 4, hidden=5, dropout=0.2, **TEXT),
    "RecurrentDiscriminator, labels": lambda: models.RecurrentDiscriminator(K, 4, hidden=5, num_classes=3, **TEXT),
    "TransformerDiscriminator": lambda: models.TransformerDiscriminator(K, 4, num_heads=2, dropout=0.2, **TEXT),
    "TableGenerator": lambda: models.TableGenerator(3, (2, 4, 3), hidden=(4,)),
    "AutoregressiveTableGenerator": lambda: models.AutoregressiveTableGenerator(3, (2, 4, 3), 4, order=(1, 0, 2)),
    "TableDiscriminator": lambda: models.TableDiscriminator((2, 4, 3), hidden=(4,)),
    **{
        f"FrameGenerator, {within}": lambda within=within: models.FrameGenerator(
            (2, 3), 4, 2, hidden=5, width=4, within=within
        )
        for within in ("autoregressive", "factorized")
    },
    "BlockwiseGenerator": lambda: models.BlockwiseGenerator(2, (1, 3, 3), hidden=(4,)),
    "RecurrentFrameDiscriminator": lambda: models.RecurrentFrameDiscriminator((2, 3), 4, hidden=4),
    "TransformerFrameDiscriminator": lambda: models.TransformerFrameDiscriminator((2, 3), 4, width=4),
    "MinibatchDiscrimination": lambda: models.MinibatchDiscrimination(64, 3, 2),
    "VirtualBatchNorm": lambda: models.VirtualBatchNorm(64),
    "ClassProjection": lambda: models.ClassProjection(2, 64),
}
NO_MODELS = {"PixelGenerator", "Generator", "HubModel", "TokenDiscriminator"}  # what models derive from


def run_model(model: nn.Module) -> dict[str, Tensor]:
    """Outputs, and the gradient of their sum."""
    device = next(iter(model.state_dict().values())).device
    classes = torch.arange(6, device=device) % 2
    if isinstance(model, models.Generator):
        z = model.latents(6).double()
        g = model(z, classes) if getattr(model, "num_classes", 0) else model(z)
        x = g.sample((2,))
        outcome = g.rsample() if isinstance(g, PointMass) else g.log_prob(x)
        return {"x": x, **gradients(model, outcome)}
    if isinstance(model, models.TokenDiscriminator):
        of_frames, wide = isinstance(model.embedding, FrameEmbedding), model.embedding.num_embeddings
        tokens = torch.randint(2 if of_frames else K, (6, 4, 3) if of_frames else (6, 4), device=device)
        relaxed = torch.rand(6, 4, wide, dtype=torch.float64, device=device).softmax(dim=-1)
        given = (classes,) if model.classes.num_classes else ()
        raw, penalty = model.penalized(tokens, *given)
        every = [model(each, *given) for each in (tokens, relaxed)]
        every += [model.outputs(tokens, *given), model.features(tokens), raw, penalty]
        return gradients(model, sum(each.sum() for each in every))  # type: ignore[arg-type]
    if isinstance(model, models.TableDiscriminator):
        rows = torch.randint(2, (6, 3), device=device)
        relaxed = torch.rand(6, 9, dtype=torch.float64, device=device)
        raw, penalty = model.penalized(rows)
        return gradients(model, model(relaxed).sum() + raw.sum() + penalty.sum())
    size = 256 if isinstance(model, models.DCGANDiscriminator) else 64
    x = torch.rand(6, size, dtype=torch.float64, device=device).requires_grad_()
    if isinstance(model, models.VirtualBatchNorm):
        first = model(x, reference=torch.rand(6, size, dtype=torch.float64, device=device))
        return gradients(model, torch.cat([first, model(x)]))
    takes_classes = isinstance(model, models.ClassProjection) or getattr(model, "classes", None) is not None
    raw = model(x, classes) if takes_classes else model(x)
    (slope,) = torch.autograd.grad(raw.sum(), x, create_graph=True)
    return {"slope": slope, **gradients(model, raw.sum() + slope.square().sum())}


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str) -> None:
    torch.manual_seed(2)
    model = MODELS[name]().double()
    if isinstance(model, models.VirtualBatchNorm):
        model(torch.rand(6, 64, dtype=torch.float64))  # the first batch is the reference; whether there is one is asked
    assert_alike(run_model, model)


@pytest.mark.parametrize("method", METHODS)
def test_reweighted_draws_wait_for_nothing(method: Method) -> None:
    """Once a bound or a step size is found; what they say of themselves is read when it is asked for."""
    if method == "smc":
        generator, discriminator = models.RecurrentGenerator(4, 3, end=1), models.RecurrentDiscriminator(4, 3, end=1)
    else:
        generator, discriminator = MLPGenerator(3, 4, 3, hidden=(5,)), models.MLPDiscriminator(4, 3, hidden=(5,))
    model = Reweighted(generator.to(DEVICE), discriminator.to(DEVICE), method=method, candidates=3)
    model(model.latents(2)).sample()
    with counting() as found:
        x = model(model.latents(6)).sample((2,))
    assert devices(x) == {NAME}
    assert found.reads == found.copies == [], found
    assert model.diagnosis().outputs == 2 + 12
    assert model.sample(5).diagnosis.outputs == 5 and model.log_partition(20).number == 20


def test_virtual_batch_norm_asks_the_device_once() -> None:
    layer = models.VirtualBatchNorm(3).to(DEVICE)
    with counting() as found:
        for _ in range(3):
            layer(torch.rand(6, 3, device=DEVICE))
    assert [event.where.partition(":")[0] for event in found.reads] == ["discrete_gan/models/layers.py"]


def test_every_model_has_a_case() -> None:
    kinds = {name for name in models.__all__ if inspect.isclass(getattr(models, name))}
    assert {name.partition(",")[0] for name in MODELS} | NO_MODELS == kinds


# Training


def tiny() -> tuple[models.MLPGenerator, models.MLPDiscriminator]:
    torch.manual_seed(0)
    return models.MLPGenerator(2, 3, hidden=(4,)), models.MLPDiscriminator(3, hidden=(4,))


def test_diagnostics_and_probe() -> None:
    def figures(generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor) -> dict[str, Tensor]:
        found = diagnostics(generator, discriminator, real, z, num_samples=30)
        options: dict[str, Any] = {"seed": 0, "step": 1, "num_redraws": 2, "num_reference": 8}
        return found | probe(parse_estimator("reinforce:num_samples=4"), generator, discriminator, z, **options)

    generator, discriminator = tiny()
    real = (seeded_normal(6, 3) > 0).double()
    assert_alike(figures, generator.double(), discriminator.double(), real, seeded_normal(6, 2))


def test_generate() -> None:
    generator = models.MLPImageGenerator(2, 3, hidden=(4,), num_classes=2)
    assert_alike(lambda generator: generate(generator, 5, batch_size=2), generator, reads=1)


def test_moving_average() -> None:
    def averaged(network: nn.Module, x: Tensor, own: bool) -> dict[str, Tensor]:
        torchs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.1), use_buffers=True)
        average = MovingAverage(network, 0.1) if own else torchs  # after ten updates, the decay of the second
        for _ in range(4):
            network(x).sum().backward()
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter += torch.randn_like(parameter)
            average.update_parameters(network)
        state = average.state_dict()
        assert int(state["n_averaged"].item()) == 4
        # Of indices and counts torch takes the mean too.
        return {name: value for name, value in state.items() if value.is_floating_point()}

    network, x = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double(), seeded_normal(4, 3)
    assert_alike(lambda *inputs: averaged(*inputs, own=True), network, x)
    found = []
    for own in (True, False):
        torch.manual_seed(0)
        found.append(averaged(copy.deepcopy(network), x, own))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_batches_wait_for_the_device_once_an_epoch() -> None:
    batches, here = Batches(10, 3, seed=0), Batches(10, 3, seed=0)
    for step in range(2 * batches.steps_per_epoch):
        with counting() as found:
            indices = batches.indices(step, device=DEVICE)
        assert (found.count, len(found.copies)) == (0, int(step % batches.steps_per_epoch == 0)), found
        assert torch.equal(peek(indices), here.indices(step))


# Metrics, which may read


def test_log_ratios_wait_for_the_device_between_checks_alone() -> None:
    def fit(device: str | torch.device, steps: int, batch_size: int) -> LogRatioFit:
        real, generated = ((seeded_normal(100, 3, seed=seed) + seed).float().to(device) for seed in (0, 1))
        network = lambda: nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))  # noqa: E731
        options: dict[str, Any] = {"network": network, "num_folds": 2, "batch_size": batch_size}
        return fit_log_ratio(real, generated, max_steps=2 * steps, **options)

    waits = []
    for steps, batch_size in ((20, 9), (45, 1)):  # two checks of each network
        with counting() as found:
            there = fit(DEVICE, steps, batch_size)
        waits.append((found.count, len(found.copies)))
        here = fit("cpu", steps, batch_size)
        assert devices((there.log_w, there.log_w_real)) == {NAME}
        torch.testing.assert_close(peek((there.log_w, there.log_w_real)), (here.log_w, here.log_w_real))
    assert waits[0] == waits[1]


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name: str) -> None:
    def value(device: str | torch.device) -> Any:
        make, updates = METRICS[name]
        metric = make().to(device)
        for rows, options in updates:
            metric.update(*(each.to(device) for each in rows), **options)
        return metric.compute()

    found = value(DEVICE)
    assert devices(found) == {NAME}
    torch.testing.assert_close(peek(found), peek(value("cpu")))


# A device without float64

FIRST = {(kind, spec.partition(":")[0]): (kind, spec) for kind, spec in reversed(ESTIMATES.values())}


@pytest.fixture
def no_float64() -> Iterator[None]:
    widest_float.cache_clear()
    with lacking(torch.float64):
        yield
    widest_float.cache_clear()


@pytest.mark.parametrize(("kind", "spec"), FIRST.values(), ids=[" ".join(each) for each in FIRST])
def test_estimators_where_there_is_no_float64(kind: str, spec: str, no_float64: None) -> None:
    networks = [each.float() if each.is_floating_point() else each for each in estimator_problem(kind)[2:]]
    z, real = (each.to(DEVICE) for each in networks)
    generator, discriminator = (network.float().to(DEVICE) for network in estimator_problem(kind)[:2])
    estimator: Any = parse_estimator(spec)
    estimator = estimator.to(DEVICE) if isinstance(estimator, nn.Module) else estimator
    loss = adapted(estimator)(generator, discriminator, z, real=real)
    loss.sum().backward()
    assert bool(peek(loss).isfinite().all())


@pytest.mark.parametrize("name", [name for name in MODELS if "Generator" in name])
def test_samples_where_there_is_no_float64(name: str, no_float64: None) -> None:
    generator: Any = MODELS[name]().float().to(DEVICE)
    samples = generate(generator, 4)
    assert bool(peek(samples).isfinite().all())


@pytest.mark.parametrize("method", ["ais", "bound", "auto"])
def test_likelihood_where_there_is_no_float64(method: LikelihoodMethod) -> None:
    torch.manual_seed(0)
    generator = MLPGenerator(2, 4, hidden=(3,))
    if method == "auto":
        states = torch.tensor([[0.0, 1.0], [1.0, -1.0]])
        vars(generator)["enumerate_latents"] = lambda: (states, torch.full((2,), 0.5).log())
    x = (torch.rand(5, 4) < 0.5).float()
    options = LikelihoodOptions(method, num_steps=10, num_simulated=2, num_latents=8)
    expected = held_out_log_likelihood(generator, x, options=options)
    there = copy.deepcopy(generator).to(DEVICE)
    if method == "auto":
        vars(there)["enumerate_latents"] = vars(generator)["enumerate_latents"]
    widest_float.cache_clear()
    with lacking(torch.float64):
        found = held_out_log_likelihood(there, x.to(DEVICE), options=options)
    widest_float.cache_clear()
    assert expected is not None and found is not None
    assert torch.equal(found.log_likelihood, expected.log_likelihood)
