"""Random streams of a run, each a pure function of what it is for."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(*parts: int | str) -> int:
    """A seed from, say, (seed, rank, step): a hash, so that no two streams are shifted copies of each other."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # torch takes 63 bits


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Draw from the stream of ``parts`` inside, and go on outside as if nothing had been drawn."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(derive_seed(*parts))
        yield
