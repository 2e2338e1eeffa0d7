"""A stand-in for a second process, for metrics that gather tensors."""

from torch import Tensor
from torchmetrics import Metric


def on_two_processes(here: Metric, there: Metric) -> Metric:
    """The first metric, made to gather the states of the second: all_gather needs equal types and dimensions."""
    sent: list[Tensor] = []

    def send(state: Tensor, group: object = None) -> list[Tensor]:
        sent.append(state)
        return [state]

    def gather(state: Tensor, group: object = None) -> list[Tensor]:
        other = sent.pop(0)
        assert (state.dtype, state.ndim) == (other.dtype, other.ndim)
        return [state, other]

    there.sync(dist_sync_fn=send, distributed_available=lambda: True)
    here.dist_sync_fn, here.distributed_available_fn = gather, lambda: True
    return here
