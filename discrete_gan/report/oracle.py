"""What a run on SeqGAN's synthetic text is judged by: likelihood under the oracle, and of held-out sequences."""

import hashlib
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from discrete_gan.distributions import Autoregressive
from discrete_gan.report.curves import Axis
from discrete_gan.report.text import MOST_BOUNDED, generate_text, held_out_likelihood
from discrete_gan.training import generate

_ROWS = 512  # sequences whose log-probability is computed at a time


class OracleReport:
    """Scores of a generator against the oracle that its data came from.

    Args:
        oracle: A generator without latents, of sequences of exactly D tokens.
        train: Sequences drawn from it, int64, shape (N, D).
        held_out: Others, shape (N, D).

    Attributes:
        axes: Scores of a picture of diversity and quality, both the less the better.
        shown: Scores of a table.
        num_samples: How many samples to score if nobody says, as published.
    """

    num_samples = 10_000

    def __init__(self, oracle: nn.Module, *, train: Tensor, held_out: Tensor) -> None:
        self.oracle, self.train, self.held_out = oracle, train, held_out
        self.axes = Axis("nll_test", "NLL of held-out sequences"), Axis("nll_oracle", "NLL of samples under the oracle")
        self.shown = ("nll_oracle", "nll_test")
        self.num_categories = int(oracle.num_categories)  # pyright: ignore[reportArgumentType]
        self.max_length = train.shape[1]

    def to(self, device: torch.device) -> None:
        """Move everything there."""
        self.oracle.to(device)
        self.train, self.held_out = self.train.to(device), self.held_out.to(device)

    def summary(self) -> dict[str, object]:
        """What a run's config.json says of its data."""
        digest = hashlib.blake2b(digest_size=8)
        for part in (self.train, self.held_out):
            digest.update(part.cpu().contiguous().numpy().data)
        return {
            "name": "oracle",
            "num_train": len(self.train),
            "num_held_out": len(self.held_out),
            "max_length": self.max_length,
            "num_categories": self.num_categories,
            "tokenizer": None,
            "fingerprint": digest.hexdigest(),
        }

    def oracle_nll(self, tokens: Tensor) -> tuple[float, float]:
        """Mean negative log-likelihood of sequences (N, D) under the oracle, and its standard error, nats a token."""
        nll = -self.oracle_log_prob(tokens) / self.max_length
        return float(nll.mean()), float(nll.std() / math.sqrt(len(nll)))

    @torch.no_grad()
    def oracle_log_prob(self, tokens: Tensor) -> Tensor:
        """Log-probability of sequences (N, D) under the oracle, nats, float64 on the CPU, shape (N,)."""
        g: Autoregressive = self.oracle(self.oracle.latents(1))  # type: ignore[operator]
        return torch.cat([g.log_prob(part[:, None])[:, 0] for part in tokens.split(_ROWS)]).cpu().double()

    def point(self, generator: nn.Module, temperature: float, *, num_samples: int, seed: int = 0) -> dict[str, float]:
        """Both likelihoods at a temperature, that of at most 2,000 held-out sequences; nats a token."""
        samples = generate(generator, num_samples, seed=seed, temperature=temperature)
        nll_oracle, error = self.oracle_nll(samples)
        held_out = held_out_likelihood(generator, self.held_out[:2000], temperature=temperature)
        return {"nll_oracle": nll_oracle, "nll_oracle_error": error, "nll_test": held_out["nll_token"]}

    def real(self, num_samples: int) -> dict[str, float]:
        """The same scores of the data, which the oracle gives both."""
        nll, _ = self.oracle_nll(self.held_out[:num_samples])
        return {"nll_oracle": nll, "nll_test": nll}

    def protocol(self, num_samples: int) -> str:
        """What the likelihoods depend on besides the generator."""
        return f"n:{num_samples}|length:{self.max_length}|data:{self.summary()['fingerprint']}"

    def quick(self, generator: nn.Module) -> dict[str, float]:
        """Figures for a line of the log, from 1,000 samples and 500 held-out sequences."""
        values = held_out_likelihood(generator, self.held_out[:500])
        return {"nll_oracle": self.oracle_nll(generate(generator, 1000))[0], "nll_test": values["nll_token"]}

    def samples(self, path: Path, generator: nn.Module, *, num: int = 64) -> None:
        """Write samples as numbers, one sequence a line; the same latents at every call."""
        path.write_text("".join(line + "\n" for line in generate_text(generator, None, num)))

    def final(self, folder: Path, generator: nn.Module, *, num_samples: int = 10_000) -> dict[str, Any]:
        """Score samples by the published protocol and print what came out.

        Args:
            folder: Run directory.
            generator: As trained.
            num_samples: Samples to score; 10,000 are published.

        Returns:
            The scores for results.json, nats a token.
        """
        results: dict[str, Any] = {"num_samples": num_samples}
        results["nll_oracle"], results["nll_oracle_error"] = self.oracle_nll(generate(generator, num_samples))
        results["nll_oracle_of_data"], _ = self.oracle_nll(self.held_out)
        held_out = held_out_likelihood(generator, self.held_out)
        results |= {"nll_test": held_out["nll_token"], "nll_test_of_oracle": results["nll_oracle_of_data"]}
        if "nll_gap" in held_out:
            results["nll_test_gap"] = held_out["nll_gap"] / self.max_length
        print(
            f"NLL oracle        {results['nll_oracle']:.3f} \u00b1 {results['nll_oracle_error']:.3f} nats a token of "
            f"{num_samples:,} samples (of data {results['nll_oracle_of_data']:.3f})"
        )
        print(f"{'':<18}{self.protocol(num_samples)}")
        num_held_out = min(len(self.held_out), MOST_BOUNDED) if "nll_gap" in held_out else len(self.held_out)
        print(f"NLL test          {results['nll_test']:.3f} nats a token of {num_held_out:,} held-out sequences")
        print(f"{'':<18}{self.protocol(num_held_out)}")
        print(f"run               {folder}")
        counts = {name: num_held_out if name.startswith("nll_test") else num_samples for name in results}
        counts["nll_oracle_of_data"] = counts["nll_test_of_oracle"] = len(self.held_out)
        counts.pop("num_samples")
        results["signatures"] = {name: f"{name}|{self.protocol(count)}" for name, count in counts.items()}
        return results
