"""Whether lines are of the class that was asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from discrete_gan.data import TextData

_NGRAMS, _MOST_NGRAMS = (1, 3), 20_000
_MOST_LINES = 20_000


class ClassJudge:
    """Tells the class of a line: of equations by their sign, of others by logistic regression on counts of n-grams.

    Args:
        data: Lines with classes: the training part is learnt from.
        by_word: Count words, else characters.
    """

    def __init__(self, data: TextData, *, by_word: bool) -> None:
        assert data.classes is not None and data.train_labels is not None and data.held_out_labels is not None
        self._names = data.classes.names
        self._signs = data.name == "equations"
        self._model: Any = None
        if not self._signs:
            from sklearn.feature_extraction.text import CountVectorizer
            from sklearn.linear_model import LogisticRegression
            from sklearn.pipeline import make_pipeline

            units: Any = {"analyzer": "word", "token_pattern": r"\S+"} if by_word else {"analyzer": "char"}
            counter = CountVectorizer(**units, ngram_range=_NGRAMS, max_features=_MOST_NGRAMS, lowercase=False)
            self._model = make_pipeline(counter, LogisticRegression(max_iter=1000))
            self._model.fit(data.train_lines[:_MOST_LINES], data.train_labels[:_MOST_LINES].numpy())
        self.of_held_out = float(self.right(data.held_out_lines, data.held_out_labels.numpy()).mean())
        """Part of the held-out lines that is told right."""

    def right(self, lines: Sequence[str], labels: np.ndarray) -> np.ndarray:
        """Whether each line is of its class, bool, shape (N,)."""
        if self._signs:
            return np.array([self._names[label] in line for line, label in zip(lines, labels, strict=True)])
        return self._model.predict(lines) == labels
