"""Ctrl-C in the middle of a step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tqdm import tqdm


@contextmanager
def interrupts_collected() -> Iterator[list[int]]:
    """Collect a first Ctrl-C in a list instead of raising; a second one raises as usual."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        tqdm.write("finishing this step and saving; press Ctrl-C again to stop at once")

    try:
        previous = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: leave signals alone
        yield received
        return
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, previous)
