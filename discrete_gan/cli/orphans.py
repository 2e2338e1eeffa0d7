"""A run that ``compare`` started ends when that is gone, however it went: it saves first, as on any request to end."""

import ctypes
import os
import signal
import sys

_PARENT = "DISCRETE_GAN_PARENT"
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def orphans_end() -> dict[str, str]:
    """Variables for a process that is to end with this one."""
    return {_PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM once the parent is gone, if that asked for it; Linux alone can."""
    parent = os.environ.pop(_PARENT, None)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, int(signal.SIGTERM))
    if str(os.getppid()) != parent:  # gone before the kernel was asked
        raise SystemExit(128 + signal.SIGTERM)
