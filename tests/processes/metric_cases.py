"""Every metric class on the samples of all processes, and the functions that must not look beyond their own."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from discrete_gan import metrics
from discrete_gan.distributed import num_processes, process_rank
from tests.problems import seeded_normal
from tests.processes.spawn import share

N, F, K, D, END = 22, 3, 4, 6, 3


def _tokens(num: int, seed: int) -> Tensor:
    """Rows of two letters, of all lengths."""
    tokens = (seeded_normal(num, D, seed=seed) > 0).long()
    lengths = torch.arange(num) % (D + 1)
    return tokens.where(torch.arange(D) < lengths[:, None], END)


PROBABILITIES = seeded_normal(N, K, seed=2).softmax(dim=1)
REFERENCE = torch.tensor([0.1, 0.2, 0.3, 0.4])
TOKENS, OTHERS = _tokens(N, 3), _tokens(7, 4)
IMAGES = seeded_normal(N, 1, 8, 8, seed=7).sigmoid()

Updates = list[tuple[tuple[Tensor, ...], dict[str, bool]]]
"""Arguments of the metric's update: rows of all processes, and what goes with them."""

_CLASSES: Updates = [((PROBABILITIES,), {})]
_TEXT: Updates = [((TOKENS,), {})]
_SIDES: Updates = [
    ((seeded_normal(N, F, seed=5),), {"real": True}),
    ((seeded_normal(N - 3, F, seed=6) + 0.3,), {"real": False}),
]
METRICS: dict[str, tuple[Callable[[], Metric], Updates]] = {
    "AMScore": (lambda: metrics.AMScore(REFERENCE), _CLASSES),
    "BLEU": (lambda: metrics.BLEU(OTHERS, END), _TEXT),
    "ClassCoverage": (lambda: metrics.ClassCoverage(K), _CLASSES),
    "CopiedFraction": (lambda: metrics.CopiedFraction(TOKENS[3:9], END), _TEXT),
    "DistinctN": (lambda: metrics.DistinctN(END), _TEXT),
    "DistinctSamples": (lambda: metrics.DistinctSamples(None), _TEXT),
    "FrechetDistance": (lambda: metrics.FrechetDistance(F), _SIDES),
    "InceptionScore": (lambda: metrics.InceptionScore(K), _CLASSES),
    "IntraClassMSSSIM": (
        lambda: metrics.IntraClassMSSSIM((1, 8, 8), K, num_pairs=4),
        [((IMAGES, torch.arange(N) % K), {})],
    ),
    "ModeScore": (lambda: metrics.ModeScore(REFERENCE), _CLASSES),
    "NgramJS": (lambda: metrics.NgramJS(OTHERS, END), _TEXT),
    "PrecisionRecall": (lambda: metrics.PrecisionRecall(F, k=2), _SIDES),
    "SelfBLEU": (lambda: metrics.SelfBLEU(END), _TEXT),
    "TokenNLL": (metrics.TokenNLL, [((PROBABILITIES[:, 0].log(), torch.arange(N) % 5), {})]),
}


def _encoder() -> nn.Module:
    embedding = nn.EmbeddingBag(END + 1, F).double()
    with torch.no_grad():
        embedding.weight.copy_(seeded_normal(END + 1, F))
    return embedding


# Functions score what they are given, on the process that calls them: here all of it on each.
FUNCTIONS: dict[str, Callable[[], Tensor]] = {
    "text_frechet": lambda: metrics.text_frechet(_encoder(), TOKENS, OTHERS),
}


def metric_results(name: str, *, alone: bool) -> dict[str, Tensor]:
    """Value and state, of samples that all processes have a share of, or one alone, of each side another one."""
    make, updates = METRICS[name]
    metric = make()
    for half in (0, 1):
        for side, (rows, options) in enumerate(updates):
            holder = (num_processes() - 1 + side) % num_processes()
            own = [each[: len(each) * (process_rank() == holder)] if alone else share(each) for each in rows]
            parts = [each.tensor_split(2)[half] for each in own]
            if len(parts[0]):
                metric.update(*parts, **options)
        if half == 0 and not alone:
            metric.compute()  # must leave each process with its own; one without new samples would not wait for others
    value = metric.compute()
    values = value if isinstance(value, tuple) else (value,)
    with metric.sync_context():
        state = {f"state, {key}": _joined(part) for key, part in metric.metric_state.items()}
    return {**{f"value {index}": part for index, part in enumerate(values)}, **state}


def _joined(state: Tensor | list[Tensor]) -> Tensor:
    return dim_zero_cat(state) if isinstance(state, list) else state.clone()
