"""Sums over weighted samples that come chunk by chunk, from several places or processes."""

import torch
from torch import Tensor

from discrete_gan._arguments import check_tensor
from discrete_gan._precision import at_least_float32, weighted_sum
from discrete_gan.distributed import gather, num_processes
from discrete_gan.weights._samples import Samples, samples

# How often each sum is multiplied by the factor that takes weights to a higher level.
_SHRINK = {"total": 1, "squared": 2, "weighted": 1, "first": 2, "second": 2, "plain": 0, "number": 0}


class Accumulator:
    r"""Self-normalized importance-weighted mean of samples that come chunk by chunk, and what else their weights say.

    .. math:: \bar x_b = \sum_{m=1}^{M} \tilde w_{m,b}\, x_{m,b}, \qquad
        \tilde w_{m,b} = \frac{\exp(\log w_{m,b})}{\sum_{m'} \exp(\log w_{m',b})}

    Weights are those that :func:`normalized_weights` gives all M samples at once, in whatever chunks they come, and
    infinities count as there. No chunk is kept: memory does not grow with M. Every weight is kept relative to the
    largest so far, so that no sum overflows or underflows. Half precision is computed in float32, and nothing carries
    gradient.

    Args:
        dim: The axis of the samples, of every chunk.
        errors: Keep two more sums of the size of the mean, for :attr:`standard_error`.

    Attributes:
        count: M, samples so far of each latent, those that ``where`` left out among them.

    References:
        Online normalizer calculation for softmax (Milakov and Gimelshein, 2018), https://arxiv.org/abs/1805.02867
    """

    _batch: tuple[int, ...]  # of the log-weights without the samples; one axis (B,) in what follows
    _event: tuple[int, ...] | None  # of x; None without
    _highest: Tensor  # largest log-ratio so far, (B,)
    _center: Tensor  # what the squares of x are taken about, (B, *event): the mean of the first chunk
    _sums: dict[str, Tensor]  # relative to exp(highest), (B,) or (B, *event)

    def __init__(self, *, dim: int = 0, errors: bool = False) -> None:
        self.count = 0
        self.dim, self.errors = dim, errors

    def update(
        self, log_w: Tensor, x: Tensor | None = None, *, where: Tensor | None = None, check: bool = False
    ) -> None:
        """Take one more chunk in.

        Args:
            log_w: Log-ratios in nats, shape (m, B), or any other with the samples along ``dim``.
            x: Their samples, or any function of them, shape (m, B, *event): that of ``log_w``, and any axes after it.
                Without, there are no means.
            where: Which samples are there, bool, broadcasts to ``log_w``.
            check: Read the values of ``log_w``, and raise where they are NaN or no sample has a weight.

        Raises:
            ValueError: If ``log_w`` or ``where`` does not fit, as in ``normalized_weights``, ``x`` does not begin with
                the shape of ``log_w``, or its rest (B, *event) is not that of the chunks before.
        """
        given = samples(log_w, self.dim, where, check=check)
        given = Samples(given.log_w.detach(), given.dim, given.there)
        event = _event_of(x, given.log_w)
        self._check_like((given.batch_shape, event))
        flat = given.flat()
        log_w, there = flat.log_w, flat.there
        bounds = torch.finfo(log_w.dtype)
        log_w = log_w.clamp(bounds.min, bounds.max)  # as normalized_weights does
        highest = (log_w if there is None else log_w.masked_fill(~there, bounds.min)).amax(dim=0)
        if self.count:
            highest = torch.maximum(self._highest, highest)
        weights = (log_w - highest).exp()
        if there is not None:
            weights = weights.masked_fill(~there, 0.0)
        sums = {"total": weights.sum(dim=0), "squared": weights.square().sum(dim=0)}
        sums["number"] = torch.full_like(highest, len(log_w), dtype=torch.int64) if there is None else there.sum(dim=0)
        if x is not None:
            x = x.detach().movedim(given.dim, 0).reshape(*log_w.shape, *x.shape[given.log_w.dim() :])
            if there is not None:
                x = torch.where(_over_event(there, x), x, 0)
            sums["weighted"], sums["plain"] = weighted_sum(weights, x), at_least_float32(x).sum(dim=0)
            if self.errors:
                if not self.count:
                    self._center = sums["weighted"] / _over_event(sums["total"].clamp(min=1e-30), sums["weighted"])
                sums |= _about(self._center, weights.square(), x)
        self._add(highest, sums)
        self._batch, self._event = given.batch_shape, event
        self.count += len(log_w)

    def merge(self, other: "Accumulator") -> None:
        """Take in all that another one has, as if its chunks had come here.

        Raises:
            ValueError: If it keeps other sums, or its samples are of another shape.
        """
        if other.errors != self.errors:
            raise ValueError(f"other: expected errors={self.errors} as here, got {other.errors}")
        if not other.count:
            return
        self._check_like((other._batch, other._event))
        if not self.count:
            self._batch, self._event = other._batch, other._event
            self._highest, self._sums = other._highest, dict(other._sums)
            if "first" in self._sums:
                self._center = other._center
        else:
            highest = torch.maximum(self._highest, other._highest)
            sums = _moved(other._sums, (other._highest - highest).exp())
            if "first" in sums:
                sums |= _about_another(sums, other._center - self._center)
            self._add(highest, sums)
        self.count += other.count

    def all_reduce(self) -> None:
        """Merge those of every process of ``torch.distributed``, each with at least one chunk; all have the same then.

        Waits for the other processes, and for the device. Nothing happens where there is one process.

        Raises:
            ValueError: If nothing was taken in.
        """
        self._check_begun()
        if num_processes() == 1:
            return
        count = torch.tensor([self.count], device=self._highest.device)
        state = {"highest": self._highest, **self._sums} | ({"center": self._center} if "first" in self._sums else {})
        everyone = {name: gather(value.unsqueeze(-1)) for name, value in state.items()}
        counts = gather(count).tolist()
        total = Accumulator(dim=self.dim, errors=self.errors)
        for rank, one in enumerate(counts):
            part = Accumulator(dim=self.dim, errors=self.errors)
            part._batch, part._event, part.count = self._batch, self._event, one
            part._sums = {name: everyone[name][..., rank] for name in self._sums}
            part._highest = everyone["highest"][..., rank]
            if "center" in everyone:
                part._center = everyone["center"][..., rank]
            total.merge(part)
        vars(self).update(vars(total))

    @property
    def weighted(self) -> Tensor:
        """Mean by the normalized weights, shape (B, *event)."""
        weighted = self._read("weighted")
        return self._shaped(weighted / _over_event(self._sums["total"], weighted))

    @property
    def plain(self) -> Tensor:
        """Mean with equal weights, shape (B, *event)."""
        plain = self._read("plain")
        return self._shaped(plain / _over_event(self._sums["number"], plain))

    @property
    def standard_error(self) -> Tensor:
        """Of :attr:`weighted`, by the delta method as in :func:`expectation`, shape (B, *event); NaN of one sample."""
        second, first = self._read("second"), self._sums["first"]
        total, squared = (_over_event(self._sums[name], second) for name in ("total", "squared"))
        offset = self._sums["weighted"] / total - self._center
        variance = (second - 2 * offset * first + offset.square() * squared).clamp(min=0)
        few = _over_event(self._sums["number"], second) < 2
        return self._shaped((variance.sqrt() / total).masked_fill(few, torch.nan))

    @property
    def effective_sample_size(self) -> Tensor:
        """Kish's, as :func:`effective_sample_size` of all samples, shape (B,)."""
        squared = self._read("squared")
        empty = squared == 0
        size = self._sums["total"].square() / squared.masked_fill(empty, 1.0)
        return self._shaped(size)

    @property
    def log_partition(self) -> Tensor:
        """Log of the mean weight in nats, as :func:`log_partition` of all samples, shape (B,)."""
        return self.log_total - self._shaped(self._read("number").to(self._highest.dtype).log())

    @property
    def log_total(self) -> Tensor:
        """Log of the sum of the weights in nats, shape (B,): M times what :func:`log_partition` takes the log of.

        Finite: where every log-ratio is minus infinity, it is the lowest number of its type.
        """
        total = self._read("total")
        return self._shaped(self._highest + total.log())

    def share_beside(self, log_w: Tensor) -> Tensor:
        r"""What the samples weigh beside others, the sum over them of :func:`union_weights`.

        .. math:: \frac{\sum_m e^{s_{m,b}}}{\sum_m e^{s_{m,b}} + \sum_{r} e^{s_r}}

        Args:
            log_w: Log-ratios of the others in nats, the same ones beside each latent's, shape (R,).

        Returns:
            From 0 to 1, shape (B,).

        Raises:
            ValueError: If ``log_w`` is not (R,).
        """
        total = self._read("total")
        if log_w.dim() != 1:
            raise ValueError(f"log_w: expected shape (R,), got {tuple(log_w.shape)}")
        bounds = torch.finfo(total.dtype)
        others = log_w.detach().to(total.dtype).clamp(bounds.min, bounds.max)
        # Others far above all samples overflow to infinity, and the share is zero, as it should be.
        return self._shaped(total / (total + (others[:, None] - self._highest).exp().sum(dim=0)))

    def _add(self, highest: Tensor, sums: dict[str, Tensor]) -> None:
        """Sums relative to a level that is no lower than before."""
        if self.count:
            before = _moved(self._sums, (self._highest - highest).exp())
            sums = {name: before[name] + value for name, value in sums.items()}
        self._highest, self._sums = highest, sums

    def _read(self, name: str) -> Tensor:
        self._check_begun()
        if name not in self._sums:
            missing = "errors=True" if name == "second" and self._event is not None else "chunks with x"
            raise ValueError(f"Accumulator: expected {missing} before this is read, got none")
        return self._sums[name]

    def _check_begun(self) -> None:
        if not self.count:
            raise ValueError("Accumulator: expected at least one chunk of samples before it is read, got none")

    def _check_like(self, kind: tuple[tuple[int, ...], tuple[int, ...] | None]) -> None:
        """Raise unless batch and event are those of the chunks before."""
        if self.count and kind != (self._batch, self._event):
            before, got = (
                "no x" if event is None else str((*batch, *event))
                for batch, event in ((self._batch, self._event), kind)
            )
            raise ValueError(f"x: expected shape (m, B, *event) with (B, *event) of {before} as before, got {got}")

    def _shaped(self, value: Tensor) -> Tensor:
        """From (B, *event), with all batch axes."""
        return value.view((*self._batch, *value.shape[1:]))


def _event_of(x: Tensor | None, log_w: Tensor) -> tuple[int, ...] | None:
    if x is None:
        return None
    check_tensor("x", x)
    if x.shape[: log_w.dim()] != log_w.shape:
        raise ValueError(f"x: expected shape (m, B, *event), of log_w {tuple(log_w.shape)}, got {tuple(x.shape)}")
    return tuple(x.shape[log_w.dim() :])


def _moved(sums: dict[str, Tensor], shrink: Tensor) -> dict[str, Tensor]:
    """The same sums relative to a level that is higher by one over ``shrink``, shape (B,)."""
    factor = {0: None, 1: shrink, 2: shrink.square()}
    moved = {}
    for name, value in sums.items():
        by = factor[_SHRINK[name]]
        moved[name] = value if by is None else _over_event(by, value) * value
    return moved


def _about(center: Tensor, squares: Tensor, x: Tensor) -> dict[str, Tensor]:
    """Sums of squared weights (m, B) times x about a center, and its square."""
    apart = at_least_float32(x) - center
    return {"first": weighted_sum(squares, apart), "second": weighted_sum(squares, apart.square())}


def _about_another(sums: dict[str, Tensor], offset: Tensor) -> dict[str, Tensor]:
    """The same sums about a center that is lower by ``offset``."""
    first, second, squared = sums["first"], sums["second"], _over_event(sums["squared"], offset)
    return {
        "first": first + offset * squared,
        "second": second + 2 * offset * first + offset.square() * squared,
    }


def _over_event(value: Tensor, mean: Tensor) -> Tensor:
    """A value with axes of size one for those that ``mean`` has more, to multiply it."""
    return value.view(*value.shape, *[1] * (mean.dim() - value.dim()))
