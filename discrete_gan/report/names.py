"""What columns of a log are called on a page and on the terminal."""

from collections.abc import Mapping

from discrete_gan.tasks.score import Score, words

PROBES = {
    "probe/all/variance": "variance of the gradient",
    "probe/all/snr": "signal-to-noise ratio",
    "probe/all/cosine": "cosine to the reference",
}
"""What is probed of all parameters of the generator together."""


def titled(name: str, every: Mapping[str, Score]) -> str:
    """A column of a log or of a table as words; with its unit where another score is called the same."""
    if name not in every:
        return f"gradient probe, {PROBES[name]}" if name in PROBES else words(name)
    score = every[name]
    is_alone = [other.title for other in every.values()].count(score.title) == 1
    return score.title if is_alone or not score.unit else f"{score.title}, {score.unit}"
