"""Libraries of the ``train`` extra, imported where they are used: all else needs torch and numpy only."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def train_extra(what: str) -> Iterator[None]:
    """Imports for ``what``: where a library is missing, an ImportError of one line says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{what} needs {error.name}: pip install 'discrete-gan[train]'"
        raise ImportError(message, name=error.name) from error
