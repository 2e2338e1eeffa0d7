"""Vocabularies of torchtext, the installed old one and an imitation of the new one."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from discrete_gan.data import Vocabulary, load_text
from discrete_gan.data.torchtext import from_torchtext
from discrete_gan.errors import InputError

pytest.importorskip("tokenizers", reason="needs tokenizers")

LINES = ["A small cat, it's asleep.", "the DOG ; the cat", "nothing  here\tis known", "", "<unk> <pad> cat"]


class NewVocab:
    """The interface of torchtext from 0.10 on."""

    def __init__(self, tokens: list[str], default: int | None) -> None:
        self.tokens, self.default = tokens, default

    def get_itos(self) -> list[str]:
        return self.tokens

    def get_default_index(self) -> int | None:
        return self.default


def build(legacy: Any, tokenizer: Any, **options: Any) -> Any:
    return legacy.vocab.Vocab(Counter(token for line in LINES[:2] for token in tokenizer(line)), **options)


@pytest.mark.parametrize("name", ["basic_english", None])
@pytest.mark.parametrize("options", [{}, {"specials": ["<pad>", "<bos>", "<unk>"]}, {"specials_first": False}])
def test_indices_are_those_of_torchtext(name: str | None, options: dict[str, Any]) -> None:
    legacy = pytest.importorskip("torchtext", reason="needs torchtext 0.6")
    tokenizer = pytest.importorskip("torchtext.data.utils").get_tokenizer(name)
    vocab = build(legacy, tokenizer, **options)
    vocabulary = from_torchtext(vocab, tokenizer)
    size = len(vocab.itos)
    assert (vocabulary.size, vocabulary.end, vocabulary.unknown) == (size + 1, size, vocab.itos.index("<unk>"))
    expected = [[vocab.stoi[token] for token in tokenizer(line)] for line in LINES]
    assert vocabulary.encode(LINES) == expected
    assert vocabulary.unknown in expected[2]
    assert vocabulary.decode(torch.arange(size)[:, None]) == vocab.itos


def test_a_data_set_through_torchtext(tmp_path: Path) -> None:
    legacy = pytest.importorskip("torchtext", reason="needs torchtext 0.6")
    tokenizer = pytest.importorskip("torchtext.data.utils").get_tokenizer("basic_english")
    vocabulary = from_torchtext(build(legacy, tokenizer), tokenizer)
    path = tmp_path / "a.txt"
    path.write_text("\n".join(LINES))
    data = load_text(path, tokenizer=vocabulary)
    assert data.num_categories == vocabulary.size
    lines = {*data.train_lines, *data.held_out_lines}
    assert lines == {
        "a small cat , it ' s asleep .",
        "the dog the cat",
        "<unk> <unk> <unk> <unk>",
        "<unk> <pad> cat",
    }


def test_the_new_interface() -> None:
    vocabulary = from_torchtext(NewVocab(["<pad>", "?", "a"], 1))
    assert vocabulary.encode(["a  b <pad>"]) == [[2, 1, 0]]
    assert vocabulary.decode(torch.tensor([[2, 1, 0, 3, 2]])) == ["a ? <pad>"]
    spaces = from_torchtext(NewVocab(["<pad>", "?", "a"], 1), lambda line: line.split(" "))
    assert spaces.encode(["a  a"]) == [[2, 1, 2]]
    none = from_torchtext(NewVocab(["a", "b"], None))
    assert none.unknown is None
    assert none.encode(["b a"]) == [[1, 0]]
    with pytest.raises(InputError, match=r"^'c' is not in the vocabulary, which has no unknown token$"):
        none.encode(["a c"])


def test_saved_without_the_callable(tmp_path: Path) -> None:
    for default in (1, None):
        vocabulary = from_torchtext(NewVocab(["<pad>", "?", "a"], default), lambda line: line.lower().split("-"))
        vocabulary.save(tmp_path / "vocabulary.json")
        loaded = Vocabulary.load(tmp_path / "vocabulary.json")
        assert (loaded.size, loaded.unknown, loaded.tokens) == (4, default, vocabulary.tokens)
        rows = torch.tensor([[2, 1, 0, 3]])
        assert loaded.decode(rows) == vocabulary.decode(rows) == ["a ? <pad>"]


def test_what_is_no_vocabulary() -> None:
    with pytest.raises(ValueError, match=r"^vocab: expected a torchtext Vocab with itos or get_itos\(\), got dict$"):
        from_torchtext({"a": 0})
    with pytest.raises(ValueError, match=r"^vocab: expected at least one token, got none$"):
        from_torchtext(NewVocab([], None))
