"""SeqGAN's synthetic text: sequences of an oracle LSTM, judged by likelihood there and by that of others of its own."""

import functools
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.data.oracle import load_oracle
from discrete_gan.errors import InputError
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.models import RecurrentGenerator
from discrete_gan.models.oracle import oracle_generator, random_oracle
from discrete_gan.sampling import generate
from discrete_gan.seeds import seeded
from discrete_gan.tasks.base import Depth, Rows
from discrete_gan.tasks.options import OracleOptions
from discrete_gan.tasks.output import write_samples
from discrete_gan.tasks.score import Score
from discrete_gan.tasks.text import MOST_BOUNDED, held_out_likelihood

_ROWS = 512  # sequences whose log-probability is computed at a time
_POINT = 2000  # held-out sequences of a point over temperatures


class Oracle(Rows):
    """Sequences of D tokens drawn from a generator that is known.

    Args:
        options: Names the oracle, or the seed that it is drawn by.
    """

    num_compared = 1000
    held_out_score = "nll_test"
    axes = ("nll_test", "nll_oracle")
    """Scores of diversity and of quality that span the picture of temperatures."""

    def __init__(self, options: OracleOptions) -> None:
        self.options = options
        self.max_length = options.length
        self.end: int | None = None

    @functools.cached_property
    def oracle(self) -> RecurrentGenerator:
        """A generator without latents, of sequences of exactly D tokens."""
        options = self.options
        weights = random_oracle(options.oracle_seed) if options.oracle is None else load_oracle(Path(options.oracle))
        try:
            return oracle_generator(weights, options.length)
        except ValueError as error:
            raise InputError(f"--oracle {options.oracle}: {error}") from None

    @functools.cached_property
    def _drawn(self) -> tuple[Tensor, Tensor]:
        """Sequences for training, and others held out, int64, shape (N, D) each."""
        oracle, num = self.oracle, self.options.num_train
        with seeded("oracle", self.options.seed), torch.no_grad():  # others with every seed, as published
            text = oracle(oracle.latents(1)).sample((2 * num,))[:, 0]
        return text[:num], text[num:]

    @property
    def num_categories(self) -> int:
        """K."""
        return self.oracle.num_categories

    @functools.cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=8)
        for part in self._drawn:
            digest.update(part.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def summary(self) -> dict[str, object]:
        """What config.json says of the data."""
        train, held_out = self._drawn
        return {
            "name": "oracle",
            "num_train": len(train),
            "num_held_out": len(held_out),
            "max_length": self.max_length,
            "num_categories": self.num_categories,
            "tokenizer": None,
            "fingerprint": self._fingerprint,
        }

    def parts(self) -> tuple[Tensor, Tensor]:
        """For training and held out, int64, shape (N, D) each."""
        return self._drawn

    def to(self, device: torch.device) -> None:
        """Move oracle and sequences there."""
        self.oracle.to(device)
        super().to(device)

    def decode(self, x: Tensor) -> list[str]:
        """Token numbers with blanks between."""
        return [" ".join(map(str, row)) for row in x.tolist()]

    @torch.no_grad()
    def oracle_nll(self, tokens: Tensor) -> Tensor:
        """Negative log-likelihood under the oracle, nats per token, of sequences (N, D), float64 on the CPU, (N,)."""
        g = self.oracle(self.oracle.latents(1))
        log_prob = torch.cat([g.log_prob(part[:, None])[:, 0] for part in tokens.split(_ROWS)])
        return -log_prob.cpu().double() / self.max_length

    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
        temperature: float | None = None,
    ) -> list[Score]:
        """Likelihood of samples under the oracle, and of held-out sequences under the generator, nats per token.

        Args:
            generator: To draw from.
            discriminator: Not asked.
            num: Samples; 10,000 if not given, as published, and in full 2,000.
            depth: How much to measure.
            seed: Of latents and samples.
            temperature: Divides the logits; where it is given, at most 2,000 held-out sequences are used.
        """
        quick, full = depth == "line", depth == "full"
        num = 1000 if quick else num or (2000 if full else 10_000)
        most = 500 if quick else None if temperature is None else _POINT
        temperature = temperature or 1.0
        nll = self.oracle_nll(generate(generator, num, seed=seed, temperature=temperature))
        try:
            held_out = held_out_likelihood(generator, self.test[:most], temperature=temperature)
        except NotImplementedError:  # a generator without a density
            held_out = {}
        count = len(self.test[:most])
        count = min(count, MOST_BOUNDED) if "nll_gap" in held_out else count
        of_data = float(self.oracle_nll(self.test).mean())
        unit, protocol = "nats per token", f"length:{self.max_length}|data:{self._fingerprint}"
        of_samples, of_held_out = f"n:{num}|seed:{seed}|{protocol}", f"n:{count}|{protocol}"
        label = "NLL under the oracle"
        error = f"standard error {float(nll.std() / math.sqrt(len(nll))):.2g}"
        first = Score(
            "nll_oracle", float(nll.mean()), label, unit, "less", None, of_data, protocol=of_samples, note=error
        )
        first = first.within(mean_interval(nll)) if full else first
        if not held_out:
            return [first]
        found = [
            first,
            Score(
                "nll_test",
                held_out["nll_token"],
                "held-out NLL",
                unit,
                "less",
                of_data,
                of_data,
                protocol=of_held_out,
            ),
        ]
        if "nll_gap" in held_out:
            gap, label = held_out["nll_gap"] / self.max_length, "held-out NLL too high by"
            found.append(Score("nll_test_gap", gap, label, unit, "less", 0, protocol=of_held_out))
        return found

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> Path:
        """64 samples as numbers, one sequence per line."""
        return write_samples(path.with_suffix(".txt"), self.decode(generate(generator, 64)))
