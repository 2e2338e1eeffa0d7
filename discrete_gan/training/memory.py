r"""Memory that a training step on sequences takes, from its sizes alone, and how much there is.

Counted are float32 numbers. N = M B sequences of D positions over K categories; R rollouts; A = E + 20 H L numbers that
a recurrent network of L layers keeps of each token for its backward pass (as measured of PyTorch's LSTM on a CPU).

==============  ======================================================================================
family          numbers beside those of the parameters
==============  ======================================================================================
likelihood      N D K log-probabilities + 2 min(N D K, 2^21) logits and gradients, made in parts + N D A
score function  likelihood + N D A of the discriminator
rollouts        score function + R N D D (4 E + 4), tokens and their vectors in the discriminator, all at once
relaxation      5 N D K (log-probabilities, samples, those cut at the end, their stack and its gradient)
                + N D E (samples times embedding) + N D A
==============  ======================================================================================

Every family has its P parameters, their gradient and Adam's two moments as well: 4 P.
"""

import re
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from discrete_gan.errors import InputError

Family = Literal["likelihood", "score function", "rollouts", "relaxation"]
_FLOAT = 4  # bytes
_LOGITS_AT_A_TIME = 2**21
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class SequenceData(Protocol):
    """What of a data set decides on memory."""

    @property
    def max_length(self) -> int:
        """D."""
        ...

    @property
    def num_categories(self) -> int:
        """K."""
        ...


def sequence_memory(
    *,
    batch_size: int,
    num_samples: int,
    max_length: int,
    num_categories: int,
    hidden: int,
    embedding: int,
    num_layers: int = 1,
    num_rollouts: int = 16,
    num_parameters: int | None = None,
) -> dict[str, int]:
    """Bytes that one training step takes with each family of estimators, within a factor of about 3.

    Args:
        batch_size: B, latents or real sequences.
        num_samples: M, samples per latent.
        max_length: D, tokens of a sequence.
        num_categories: K, with the one that ends a sequence.
        hidden: H, width of the recurrent layers of generator and discriminator.
        embedding: E, width of a token's embedding.
        num_layers: L, recurrent layers of each.
        num_rollouts: R, continuations of each prefix.
        num_parameters: P, of both networks; if not given, that of LSTM layers between embedding and output.

    Returns:
        Bytes under the names of ``Family``.
    """
    tokens = num_samples * batch_size * max_length
    logits = tokens * num_categories
    kept = tokens * (embedding + 20 * hidden * num_layers)
    if num_parameters is None:
        layers = 4 * hidden * (embedding + hidden + 2) + (num_layers - 1) * 4 * hidden * (2 * hidden + 2)
        num_parameters = 2 * (num_categories * embedding + layers) + num_categories * (hidden + 1)
    likelihood = logits + 2 * min(logits, _LOGITS_AT_A_TIME) + kept
    numbers = {
        "likelihood": likelihood,
        "score function": likelihood + kept,
        "rollouts": likelihood + kept + num_rollouts * tokens * max_length * (4 * embedding + 4),
        "relaxation": 5 * logits + tokens * embedding + kept,
    }
    return {family: _FLOAT * (number + 4 * num_parameters) for family, number in numbers.items()}


def available_memory(device: torch.device | str = "cpu") -> int | None:
    """Bytes that are free: on a GPU, or on Linux those that programs can get, within the container's limit.

    Returns:
        None where it is unknown.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    return _least_of_limits(_meminfo().get("MemAvailable"))


def limit_memory() -> None:
    """Have Linux refuse this process what the machine, or its container, does not have, swap included.

    What takes too much then fails with an error that can be told of, where else the kernel kills some process. On other
    systems nothing is done, nor beside a GPU, whose driver may map more than it uses.
    """
    if torch.cuda.is_available():
        return
    info = _meminfo()
    most = _least_of_limits(info["MemTotal"] + info.get("SwapTotal", 0)) if "MemTotal" in info else None
    if most is None:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = min(limit for limit in (most, soft, hard) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _meminfo() -> dict[str, int]:
    """Bytes by their names in /proc/meminfo; empty where there is none."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return {}
    return {name: 1024 * int(number) for name, number in re.findall(r"(?m)^(\w+): +(\d+) kB$", text)}


def _least_of_limits(number: int | None) -> int | None:
    limits = [limit for path in _LIMITS if (limit := _read_limit(Path(path))) is not None]
    return min([*limits, *([] if number is None else [number])], default=None)


def _read_limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" is none.


def check_text_fits(data: SequenceData, options: Any, estimator: object, device: torch.device | str = "cpu") -> None:
    """Refuses sizes that need more memory than there is, before anything is trained.

    Args:
        data: Its D and K count.
        options: Of a recipe on sequences: its batch, widths and layers count.
        estimator: Its samples and rollouts count, and :func:`family_of` it.
        device: Where the training runs.

    Raises:
        InputError: If the estimate for the estimator's family exceeds what is available.
    """
    family, num_samples = family_of(estimator), getattr(estimator, "num_samples", 1)
    needed = sequence_memory(
        batch_size=options.batch_size,
        num_samples=num_samples,
        max_length=data.max_length,
        num_categories=data.num_categories,
        hidden=options.hidden,
        embedding=options.embedding,
        num_layers=options.num_layers,
        num_rollouts=getattr(estimator, "num_rollouts", 1),
    )[family]
    available = available_memory(device)
    if available is not None and needed > available:
        raise InputError(
            f"a step ({family}) of {options.batch_size} x {num_samples} sequences of {data.max_length} tokens over "
            f"{data.num_categories:,} categories takes about {gigabytes(needed)}, but {gigabytes(available)} are free "
            f"on {device}: use a smaller --batch-size, --max-length or --vocabulary-size, or fewer samples"
        )


def gigabytes(number: int) -> str:
    """Bytes as text, such as 12.3 GB."""
    return f"{number / 1e9:.3g} GB"


def family_of(estimator: object) -> Family:
    """The family of an estimator, by what it has: rollouts, a temperature, samples, or none of them."""
    if hasattr(estimator, "num_rollouts"):
        return "rollouts"
    if hasattr(estimator, "temperature"):
        return "relaxation"
    return "score function" if hasattr(estimator, "num_samples") else "likelihood"
