"""Ctrl-C and requests to end, in the middle of a step."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from tqdm import tqdm

from discrete_gan.distributed import num_processes

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1") if hasattr(signal, name)
]
_SAME, _AT_ONCE = 5.0, 0.5  # seconds


@contextmanager
def interrupts_collected() -> Iterator[list[int]]:
    """Collect a first signal to end in a list instead of obeying it; a second one ends the process at once.

    A signal that the process was told to ignore, as nohup does with a hang-up, stays ignored; Ctrl-C never is. Of
    several processes each may get one twice, as torchrun passes on what they have got already: within five seconds that
    is no second one. Nor is a SIGTERM right after another: a process that asked the kernel for one at its parent's end
    gets one for each thread that the parent had.
    """
    received: list[int] = []
    several, since = num_processes() > 1, 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal since
        if received:
            same = _SAME if several else _AT_ONCE if number == received[0] == signal.SIGTERM else 0.0
            if time.monotonic() < since + same:
                return
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        received.append(number)
        since = time.monotonic()
        if several:  # which say so once they have agreed
            return
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
