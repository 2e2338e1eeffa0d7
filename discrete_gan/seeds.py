"""Random streams, each a pure function of what it is for."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(*parts: int | str) -> int:
    """A seed from, say, (seed, rank, step): a hash, so that no two streams are shifted copies of each other."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # torch takes 63 bits


def word_seed(seed: int) -> int:
    """A seed as NumPy and scikit-learn take it, 32 bits without a sign: itself where it fits, else a hash of it."""
    return seed if 0 <= seed < 2**32 else derive_seed(seed) % 2**32


def generator_of(seed: int) -> torch.Generator:
    """A stream of its own on the CPU, of any whole number; of itself where torch takes it, else of a hash of it."""
    return torch.Generator().manual_seed(seed if -(2**63) <= seed < 2**64 else derive_seed(seed))


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Draw from the stream of ``parts`` inside, and go on outside as if nothing had been drawn."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(derive_seed(*parts))
        yield
