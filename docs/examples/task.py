"""A data set of your own with what judges its samples: bars and stripes, of which every one can be checked.

discrete-gan train digits --data docs/examples/task.py:BarsAndStripes --steps 500
"""

import itertools

import torch
from torch import Tensor

from discrete_gan.sampling import generate
from discrete_gan.tasks import Score, TensorTask

SIDE = 4


class BarsAndStripes(TensorTask):
    """Squares of whole rows or whole columns: batches, summary and pictures follow from the two tensors."""

    def __init__(self, options) -> None:
        rows = torch.tensor(list(itertools.product((0.0, 1.0), repeat=SIDE)))[:, :, None].expand(-1, -1, SIDE)
        every = torch.cat([rows, rows.transpose(1, 2)]).flatten(1).unique(dim=0)
        self.valid = {tuple(row) for row in every.tolist()}
        chosen = torch.randint(len(every), (2000,), generator=torch.Generator().manual_seed(options.seed))
        train, held_out = every[chosen[:1500]], every[chosen[1500:]]
        super().__init__("bars", train, held_out, batch_size=options.batch_size, seed=options.seed)

    def scores(self, generator, discriminator, *, num=None, depth="run", seed=0) -> list[Score]:
        """How many samples are bars or stripes, and how many different ones come out."""
        num = 500 if depth == "line" else num or 2000
        drawn = [tuple(row) for row in generate(generator, num, seed=seed).tolist()]
        valid = [row for row in drawn if row in self.valid]
        found, protocol = len(set(valid)), f"n:{num}|seed:{seed}"
        return [
            Score("valid", len(valid) / num, "valid", "of samples", "more", 1.0, protocol=protocol),
            Score(
                "found", found, "different ones", f"of {len(self.valid)}", "more", len(self.valid), protocol=protocol
            ),
        ]

    def decode(self, x: Tensor) -> Tensor:
        """As pictures."""
        return x.unflatten(1, (1, SIDE, SIDE)) > 0.5
