"""Vocabularies of torchtext, in its old form (0.6) and its new one; torchtext itself is not imported."""

from collections.abc import Callable, Sequence
from typing import Any

from discrete_gan.data.extras import require
from discrete_gan.data.vocabulary import UNKNOWN, Vocabulary


def from_torchtext(vocab: Any, tokenizer: Callable[[str], Sequence[str]] | None = None) -> Vocabulary:
    """Wraps a vocabulary with its indices as they are; special tokens such as ``<pad>`` stay categories.

    Args:
        vocab: A ``torchtext.vocab.Vocab``, or anything with a list ``itos`` or a method ``get_itos``.
        tokenizer: Cuts a line into tokens, such as ``torchtext.data.utils.get_tokenizer("basic_english")``; white
            space does if not given. It is not saved with the vocabulary.

    Returns:
        A vocabulary that encodes a line as ``[vocab.stoi[token] for token in tokenizer(line)]`` and joins tokens by
        blanks. Its unknown token is the one of ``vocab``, and None if that has none.

    Raises:
        ValueError: If ``vocab`` has no list of tokens, or an empty one.
    """
    if not hasattr(vocab, "itos") and not hasattr(vocab, "get_itos"):
        raise ValueError(f"vocab: expected a torchtext Vocab with itos or get_itos(), got {type(vocab).__name__}")
    tokens = list(vocab.itos if hasattr(vocab, "itos") else vocab.get_itos())
    if not tokens:
        raise ValueError("vocab: expected at least one token, got none")
    require("tokenizers", "tokenizers", "text")
    from tokenizers import Tokenizer, models, pre_tokenizers

    table = {token: index for index, token in enumerate(tokens)}
    unknown = _unknown_index(vocab)
    # The library wants a name for the unknown token even where there is none.
    name = UNKNOWN if unknown is None else tokens[unknown]
    wrapped = Tokenizer(models.WordLevel(table, unk_token=name))
    wrapped.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Vocabulary(wrapped, "word", split=tokenizer or str.split)


def _unknown_index(vocab: Any) -> int | None:
    if hasattr(vocab, "get_default_index"):
        return vocab.get_default_index()
    return getattr(vocab, "unk_index", None)
