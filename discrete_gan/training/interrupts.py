"""Ctrl-C and requests to end, in the middle of a step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from tqdm import tqdm

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1") if hasattr(signal, name)
]


@contextmanager
def interrupts_collected() -> Iterator[list[int]]:
    """Collect a first signal to end in a list instead of obeying it; a second one ends the process at once.

    A signal that the process was told to ignore, as nohup does with a hang-up, stays ignored; Ctrl-C never is.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        received.append(number)
        with suppress(OSError, ValueError):  # a terminal that has hung up
            tqdm.write("finishing this step and saving; press Ctrl-C again to stop at once")

    previous = {}
    try:
        for number in SIGNALS:
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                previous[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: leave signals alone
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
