"""Tokens: round trips of any text, unknown tokens, padding, and tokenizers of the user's own."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discrete_gan.data import Vocabulary
from discrete_gan.data.vocabulary import Learnt
from discrete_gan.errors import InputError

tokenizers = pytest.importorskip("tokenizers", reason="needs tokenizers")

LINES = ["a cat , a dog", "a b\na  c", "日本語 \u0301e\u0301 \U0001f469\u200d\U0001f4bb", " x\u2028y\x1cz\x85\t"]
# Text of hypothesis is free of surrogates; more of what is odd than it would draw by itself.
TEXT = st.text() | st.text(
    st.sampled_from("ab \n\r\t\x0b\x1c\x1f\x85\xa0\u2028\u3000\ufeff\u0301\u200d\U0001f600e<unk>")
)
quick = settings(derandomize=True, deadline=None, max_examples=150)


def round_trip(vocabulary: Vocabulary, lines: list[str]) -> list[str]:
    ids = vocabulary.encode(lines)
    return vocabulary.decode(vocabulary.pad(ids, max(map(len, ids), default=0) + 1))


@quick
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_characters_come_back(lines: list[str]) -> None:
    vocabulary = Vocabulary.learn(lines, "char")
    assert vocabulary.size == len(set("".join(lines))) + 2
    assert [len(ids) for ids in vocabulary.encode(lines)] == [len(line) for line in lines]
    assert round_trip(vocabulary, lines) == lines


@quick
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_words_come_back_with_single_blanks(lines: list[str]) -> None:
    vocabulary = Vocabulary.learn(lines, "word")
    assert vocabulary.size == len({word for line in lines for word in line.split()} - {"<unk>"}) + 2
    assert [len(ids) for ids in vocabulary.encode(lines)] == [len(line.split()) for line in lines]
    assert round_trip(vocabulary, lines) == [" ".join(line.split()) for line in lines]


def test_bytes_bring_any_text_back() -> None:
    vocabulary = Vocabulary.learn(LINES, "bpe", 260)
    assert (vocabulary.size, vocabulary.unknown) == (261, None)

    @quick
    @given(st.lists(TEXT, min_size=1, max_size=4))
    def holds(lines: list[str]) -> None:
        assert round_trip(vocabulary, lines) == lines

    holds()


def test_most_frequent_tokens_are_kept_and_the_rest_is_unknown() -> None:
    lines = ["b b b a a c", "d d c <unk>"]
    vocabulary = Vocabulary.learn(lines, "word", 3)
    assert [vocabulary.tokens[token] for token in ("<unk>", "b", "a", "c")] == [0, 1, 2, 3]
    assert (vocabulary.size, vocabulary.end, vocabulary.unknown) == (5, 4, 0)
    assert vocabulary.encode(["d a  e c"]) == [[0, 2, 0, 3]]
    assert round_trip(vocabulary, ["d a  e c"]) == ["<unk> a <unk> c"]
    assert Vocabulary.learn(["<unk> <unk> a"], "word").tokens == {"<unk>": 0, "a": 1}
    vocabulary = Vocabulary.learn(["aab", "ccc"], "char", 2)
    assert vocabulary.tokens == {"<unk>": 0, "c": 1, "a": 2}
    assert vocabulary.encode(["abc\n"]) == [[2, 0, 1, 0]]
    assert round_trip(vocabulary, ["abc\n"]) == ["a<unk>c<unk>"]
    assert Vocabulary.learn(reversed(lines), "word").tokens == Vocabulary.learn(lines, "word").tokens


def test_byte_pairs_are_merged_as_far_as_there_are_any() -> None:
    vocabulary = Vocabulary.learn(["ab ab ab"], "bpe")
    assert 257 < vocabulary.size < 270
    assert [len(ids) for ids in vocabulary.encode(["ab", "ba"])] == [1, 2]
    lines = [f"word{index} {index % 7}" for index in range(3000)]
    assert Vocabulary.learn(lines, "bpe").size == 2001
    assert (
        Vocabulary.learn(lines, "bpe", 300).tokenizer.to_str() == Vocabulary.learn(lines, "bpe", 300).tokenizer.to_str()
    )


def test_rows_end_and_are_padded() -> None:
    vocabulary = Vocabulary.learn(["abc"], "char")
    rows = vocabulary.pad([[1, 2], [], [3, 3, 1]], 3)
    assert rows.dtype == torch.int64
    assert rows.tolist() == [[1, 2, 4], [4, 4, 4], [3, 3, 1]]
    assert vocabulary.pad([], 2).shape == (0, 2)
    with pytest.raises(ValueError, match=r"^ids: expected sequences of at most length = 2 tokens, got 3$"):
        vocabulary.pad([[1], [1, 2, 3]], 2)
    # What comes after the first end is not text.
    assert vocabulary.decode(torch.tensor([[1, 2, 4, 3], [4, 1, 1, 1], [1, 2, 3, 0]])) == ["ab", "", "abc<unk>"]
    assert vocabulary.decode(rows[:0]) == []


@pytest.mark.parametrize("kind", get_args(Learnt))
def test_files_are_those_of_the_library(tmp_path: Path, kind: Learnt) -> None:
    vocabulary = Vocabulary.learn(LINES, kind)
    path = tmp_path / "tokenizer.json"
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert (loaded.kind, loaded.size, loaded.unknown) == (kind, vocabulary.size, vocabulary.unknown)
    lines = [*LINES, "quite unknown ß"]
    assert loaded.encode(lines) == vocabulary.encode(lines)
    assert round_trip(loaded, lines) == round_trip(vocabulary, lines)
    plain = tokenizers.Tokenizer.from_file(str(path))
    assert [plain.encode(line).ids for line in lines] == vocabulary.encode(lines)


def own_tokenizer(path: Path) -> Path:
    """A tokenizer with everything that must not take part: special tokens, padding, truncation, a gap in the ids."""
    words = {"[UNK]": 0, "[CLS]": 1, "hello": 2, "world": 7}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["[CLS]", "[UNK]"])
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("[CLS] $A", special_tokens=[("[CLS]", 1)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(pad_id=1, pad_token="[CLS]", length=9)
    tokenizer.save(str(path))
    return path


def test_a_tokenizer_of_the_users(tmp_path: Path) -> None:
    vocabulary = Vocabulary.load(own_tokenizer(tmp_path / "own.json"))
    assert (vocabulary.kind, vocabulary.unknown, vocabulary.size, vocabulary.end) == ("other", 0, 9, 8)
    assert vocabulary.encode(["Hello World, hello you hello", ""]) == [[2, 7, 0, 2, 0, 2], []]
    assert vocabulary.decode(torch.tensor([[2, 0, 7, 8], [1, 5, 2, 2]])) == ["hello [UNK] world", "[CLS] hello hello"]


def test_a_tokenizer_that_drops_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    for model in (tokenizers.models.BPE({"a": 0}, []), tokenizers.models.WordLevel({"a": 0}, unk_token="<unk>")):
        tokenizers.Tokenizer(model).save(str(path))
        vocabulary = Vocabulary.load(path)
        assert vocabulary.decode(torch.tensor([[0, 1]])) == ["a"]
        with pytest.raises(InputError, match=r"^the tokenizer drops what it lacks: expected one with an unknown token"):
            vocabulary.encode(["a b"])
    unigram = tokenizers.models.Unigram([("?", -9.0), ("a", -1.0)], unk_id=0)
    tokenizers.Tokenizer(unigram).save(str(path))
    vocabulary = Vocabulary.load(path)
    assert (vocabulary.encode(["ab"]), vocabulary.unknown) == ([[1, 0]], 0)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda folder: Vocabulary.learn(["a"], "chr"),  # pyright: ignore[reportArgumentType]
            "unknown tokenizer 'chr': did you mean 'char'? expected one of bpe, char, word",
        ),
        (lambda folder: Vocabulary.learn(["a"], "word", 0), "vocabulary_size: expected at least 1 with tokenizer"),
        (lambda folder: Vocabulary.learn(["a"], "bpe", 255), "vocabulary_size: expected at least 256 with tokenizer"),
        (lambda folder: Vocabulary.load(folder / "ow.json"), "no tokenizer at "),
        (lambda folder: Vocabulary.load(folder), "no tokenizer at "),
        (lambda folder: Vocabulary.load(folder / "bad.json"), "bad.json: expected a JSON file of tokenizers: "),
        (lambda folder: Vocabulary.load(folder / "none.json"), "none.json: the tokenizer has no tokens"),
    ],
)
def test_refusals(tmp_path: Path, action: Any, message: str) -> None:
    own_tokenizer(tmp_path / "own.json")
    (tmp_path / "bad.json").write_text(json.dumps({"model": "none"}))
    tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(tmp_path / "none.json"))
    with pytest.raises(InputError) as caught:
        action(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_nearest_file_is_named(tmp_path: Path) -> None:
    own = own_tokenizer(tmp_path / "own.json")
    with pytest.raises(InputError, match=r"did you mean '.*own\.json'\? expected a JSON file of tokenizers$"):
        Vocabulary.load(own.with_name("ow.json"))


def test_two_hundred_thousand_words() -> None:
    lines = [" ".join(f"w{index}" for index in range(start, start + 20)) for start in range(0, 200_000, 20)]
    vocabulary = Vocabulary.learn(lines, "word")
    assert vocabulary.size == 200_002
    assert round_trip(vocabulary, lines) == lines
