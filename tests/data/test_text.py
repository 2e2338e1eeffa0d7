"""Text data sets: the split, lengths, windows, counts of what is left out; and the real files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discrete_gan.data import TextData, Vocabulary, load_text
from discrete_gan.data.equations import draw_equations, is_valid
from discrete_gan.errors import InputError

pytest.importorskip("tokenizers", reason="needs tokenizers")


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_text(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def sentences(number: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{word}" for word in rng.integers(0, 50, 6)) for _ in range(number)]


def assert_consistent(data: TextData) -> None:
    """What holds of every data set."""
    for tokens, lines in ((data.train, data.train_lines), (data.held_out, data.held_out_lines)):
        assert tokens.dtype == torch.int64
        assert tokens.shape == (len(lines), data.max_length)
        assert int(tokens.min()) >= 0
        assert int(tokens.max()) < data.num_categories
        assert data.vocabulary.decode(tokens) == lines
        ends = tokens == data.vocabulary.end
        assert bool((ends[:, 1:] >= ends[:, :-1]).all())  # after an end nothing but ends
        assert not ends[:, 0].any()
    assert not {*data.train_lines} & {*data.held_out_lines}


def test_equations_are_the_default() -> None:
    data = load_text()
    assert_consistent(data)
    assert (data.name, data.max_length, data.num_categories) == ("equations", 8, 15)
    assert (data.train_lines, data.held_out_lines) == tuple(draw_equations())
    assert all(map(is_valid, data.held_out_lines))
    assert load_text("equations").fingerprint() == data.fingerprint()
    assert load_text(seed=1).fingerprint() != data.fingerprint()
    assert data.vocabulary.kind == "char"
    assert data.notes.remarks == ()


def test_equations_may_be_held_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "12+30=42", "50-20=30")
    data = load_text(path, held_out="equations", tokenizer=load_text().vocabulary, seed=3)
    held_out = set(draw_equations(seed=3).held_out)
    assert set(data.held_out_lines) == held_out - {"12+30=42", "50-20=30"}


def test_lines_become_sequences_of_words(tmp_path: Path) -> None:
    lines = ["  one two  two", "", "three", "one two two", "two two"]
    data = load_text(
        write(tmp_path / "a.txt", *lines), held_out=write(tmp_path / "b.txt", "two one", "four  one", "three")
    )
    assert_consistent(data)
    assert data.train_lines == ["one two two", "three", "one two two", "two two"]
    assert data.held_out_lines == ["two one", "<unk> one"]
    one, two, three = (data.vocabulary.tokens[word] for word in ("one", "two", "three"))
    end = 4
    assert data.train.tolist() == [[one, two, two], [three, end, end], [one, two, two], [two, two, end]]
    assert data.held_out.tolist() == [[two, one, end], [0, one, end]]
    notes = data.notes
    assert (notes.lines, notes.empty, notes.undecodable, notes.too_long) == (8, 1, 0, 0)
    assert (notes.duplicates, notes.overlap, notes.unknown_rate) == (1, 1, 0.25)
    assert notes.remarks == (f"{tmp_path / 'b.txt'}: 1 held-out sequences are in the training part too, left out",)


def test_a_tenth_is_held_out_by_a_hash_of_the_line(tmp_path: Path) -> None:
    lines = sentences(2000)
    lines += lines[:500]
    data = load_text(write(tmp_path / "a.txt", *lines))
    assert_consistent(data)
    held_out = set(data.held_out_lines)
    assert 0.07 * 2500 < len(data.held_out) < 0.13 * 2500  # five standard errors of 2,000 draws
    assert len(data.train) + len(data.held_out) == 2500
    assert data.notes.overlap == 0
    # Where a line falls depends on nothing but itself and the seed.
    half = load_text(write(tmp_path / "half.txt", *reversed(lines[:1000])))
    assert set(half.held_out_lines) == held_out & set(lines[:1000])
    other = load_text(tmp_path / "a.txt", seed=1)
    assert 0.02 < len(held_out & set(other.held_out_lines)) / len(held_out) < 0.25
    assert load_text(tmp_path / "a.txt").fingerprint() == data.fingerprint() != other.fingerprint()


def test_two_different_lines_are_enough(tmp_path: Path) -> None:
    path, vocabulary = write(tmp_path / "two.txt", "one", "two", "one"), Vocabulary.learn(["one two"], "word")
    for seed in range(300):  # both fall among the tenth held out, or neither does
        data = load_text(path, tokenizer=vocabulary, seed=seed)
        assert {*data.train_lines, *data.held_out_lines} == {"one", "two"}
        assert_consistent(data)
    path = write(tmp_path / "one.txt", "a single line")
    hint = "none can be held out: expected more lines, or a window of running text"
    assert refusal(path) == f"{path}: there is only one line, {hint}"
    assert refusal(write(path, "twice", "twice")) == f"{path}: all lines are equal, {hint}"
    assert load_text(path, held_out=write(tmp_path / "b.txt", "other")).train_lines == ["twice"] * 2
    same = write(tmp_path / "b.txt", "twice")
    overlap = f"{same}: 1 held-out sequences are in the training part too, left out"
    told = f"{path}: most lines are a single word: taken as characters, tokenizer=char"
    assert refusal(path, held_out=same) == f"{same}: nothing is left to be held out; {told}; {overlap}"


def test_long_sequences_are_left_out_and_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "a b", "", "a b c", "a", "b b c d", "b c")
    held_out = write(tmp_path / "b.txt", "c c c", "a c")
    data = load_text(path, held_out=held_out, max_length=2)
    assert_consistent(data)
    assert (data.train_lines, data.held_out_lines) == (["a b", "a", "b c"], ["a c"])
    assert (data.max_length, data.notes.too_long) == (2, 3)
    assert data.notes.remarks == (
        f"{path}: 2 of 5 lines of over 2 tokens (max_length) left out, first line 3",
        f"{held_out}: 1 of 2 lines of over 2 tokens (max_length) left out, first line 1",
    )
    assert load_text(path, held_out=held_out).max_length == 4
    assert load_text(path, held_out=held_out, max_length=6).train.shape == (5, 6)
    message = refusal(path, held_out=write(tmp_path / "c.txt", "a c b"), max_length=2)
    assert message.startswith(f"{tmp_path / 'c.txt'}: nothing is left to be held out; {path}: 2 of 5 lines of over 2")
    message = refusal(held_out, held_out=path, max_length=1, tokenizer="char")
    assert message.startswith(f"{held_out}: nothing is left for training; {held_out}: 2 of 2 lines of over 1 tokens")


def test_by_default_256_tokens_are_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", *sentences(20), "long " * 256, "x " + "longer " * 256)
    data = load_text(path, held_out=write(tmp_path / "b.txt", "w1"))
    assert (data.max_length, len(data.train), data.notes.too_long) == (256, 21, 1)
    assert data.notes.remarks == (f"{path}: 1 of 22 lines of over 256 tokens (max_length) left out, first line 22",)
    assert load_text(path, held_out=tmp_path / "b.txt", max_length=300).notes.too_long == 0


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_a_line_of_ten_megabytes_is_not_tokenized(tmp_path: Path, tokenizer: str) -> None:
    path = write(tmp_path / "a.txt", *sentences(20), "ab " * 3_500_000, *sentences(5, seed=1))
    data = load_text(path, tokenizer=tokenizer)
    assert_consistent(data)
    assert (len(data.train) + len(data.held_out), data.notes.too_long) == (25, 1)
    assert data.notes.remarks == (f"{path}: 1 of 26 lines of over 100,000 characters left out, first line 21",)


def test_running_text_is_cut_into_pieces(tmp_path: Path) -> None:
    text = "  To be,\n\nor not\nto be: \n that is\n\n\nthe question!"
    path = write(tmp_path / "a.txt", *text.split("\n"))
    data = load_text(path, window=4, tokenizer=Vocabulary.learn([text], "char"))
    assert_consistent(data)
    pieces = [text[start : start + 4] for start in range(0, len(text) - 3, 4)]
    assert len(text) % 4 == 1
    assert data.max_length == 4
    assert sorted(data.train_lines + data.held_out_lines) == sorted(pieces)
    assert [piece for piece in pieces if piece in data.train_lines] == data.train_lines
    words = load_text(path, window=4, tokenizer=Vocabulary.learn([text], "word"))
    assert sorted(words.train_lines + words.held_out_lines) == ["To be, or not", "to be: that is"]
    merged = load_text(path, window=2, tokenizer="bpe")
    assert set(merged.train_lines + merged.held_out_lines) == {"To be,", "or not", "to be:", "that is", "the question!"}
    held_out = load_text(path, window=4, held_out=write(tmp_path / "b.txt", "To bother not"))
    assert held_out.train_lines == pieces
    assert held_out.held_out_lines == ["To b", "othe", "r no"]
    assert held_out.vocabulary.tokens.keys() == {"<unk>", *text} - {"!"}  # in the rest
    count = len(text)
    assert refusal(path, window=count + 1) == f"window {count + 1}: expected at most the {count} characters of {path}"
    assert "expected at most the 10 words of" in refusal(path, window=11, tokenizer="word")
    only = f"{path}: there is only one piece, none can be held out: expected a smaller window"
    assert refusal(path, window=count) == only
    long = write(tmp_path / "long.txt", *sentences(100))
    assert load_text(long, window=300).max_length == 300


def test_lines_that_are_not_utf8_are_refused_or_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\nthr\xe9\nfour\r\n\n\xff\n")
    assert refusal(path).startswith(f"{path}: 2 of 6 lines are not UTF-8 (line 3, 6): ")
    data = load_text(path, corrupt="skip", tokenizer="bpe")
    assert {*data.train_lines, *data.held_out_lines} == {"one", "two", "four"}
    assert (data.notes.lines, data.notes.empty, data.notes.undecodable) == (6, 1, 2)
    assert data.notes.remarks == (f"{path}: 2 of 6 lines are not UTF-8 (line 3, 6), left out",)


def test_the_vocabulary_is_learnt_from_the_training_part(tmp_path: Path) -> None:
    data = load_text(write(tmp_path / "a.txt", *(f"word{number} word{number}" for number in range(300))))
    assert data.num_categories == len(data.train) + 2
    assert data.notes.unknown_rate == 1
    assert set(data.held_out_lines) == {"<unk> <unk>"}
    limited = load_text(
        tmp_path / "a.txt", vocabulary_size=10, held_out=write(tmp_path / "b.txt", "x word7 y", "x y z")
    )
    assert limited.num_categories == 12
    # What the vocabulary lacks is one token to the model: these are equal sequences.
    assert limited.notes.duplicates == 300 - 11
    assert load_text(tmp_path / "a.txt", tokenizer="bpe", vocabulary_size=260).num_categories == 261


def test_tokenizers_of_the_users(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", *sentences(40))
    learnt = load_text(path, tokenizer="bpe")
    learnt.vocabulary.save(tmp_path / "own.json")
    for tokenizer in (tmp_path / "own.json", str(tmp_path / "own.json"), learnt.vocabulary):
        assert load_text(path, tokenizer=tokenizer).fingerprint() == learnt.fingerprint()
    few = Vocabulary.learn(["w1 w2"], "word")
    data = load_text(path, tokenizer=few)
    assert data.num_categories == 4
    assert data.notes.unknown_rate > 0.8
    message = refusal(path, tokenizer=few, vocabulary_size=10)
    assert message == "vocabulary_size 10: expected none with a tokenizer that has its tokens already"
    expected = "did you mean 'word'? expected one of FILE.json, bpe, char, word"
    assert refusal(path, tokenizer="words") == f"unknown tokenizer 'words': {expected}"
    assert refusal(path, tokenizer="gpt2.json").startswith("no tokenizer at 'gpt2.json': ")


def test_lines_without_a_token_are_empty(tmp_path: Path) -> None:
    split = Vocabulary(Vocabulary.learn(["a"], "word").tokenizer, "word", split=lambda line: line.strip("-").split())
    path, held_out = write(tmp_path / "a.txt", "a", "--", "b a"), write(tmp_path / "b.txt", "-", "b")
    data = load_text(path, tokenizer=split, held_out=held_out, max_length=1)
    assert (data.train_lines, data.held_out_lines) == (["a"], ["<unk>"])
    assert (data.notes.lines, data.notes.empty, data.notes.too_long) == (5, 2, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 0}, "max_length: expected at least 1, got 0"),
        ({"window": 0}, "window: expected at least 1, got 0"),
        ({"vocabulary_size": -1}, "vocabulary_size: expected at least 1, got -1"),
        (
            {"corrupt": "skp"},
            "unknown treatment of corrupt lines 'skp': did you mean 'skip'? expected one of refuse, skip",
        ),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    assert refusal("equations", **options) == message


def test_summary_is_json_and_fingerprints_tell_data_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", *sentences(40))
    data = load_text(path)
    summary = json.loads(json.dumps(data.summary()))
    assert summary.pop("counts").keys() == set(data.notes._fields) - {"remarks"}
    assert summary == {
        "name": "a",
        "num_train": len(data.train),
        "num_held_out": len(data.held_out),
        "max_length": 6,
        "num_categories": data.num_categories,
        "tokenizer": "word",
        "fingerprint": data.fingerprint(),
    }
    prints = {data.fingerprint()}
    prints.add(load_text(path, max_length=7).fingerprint())
    # The same indices of other words.
    prints.add(load_text(write(tmp_path / "b.txt", *sentences(40), "w1 w1 w1")).fingerprint())
    renamed = load_text(path, tokenizer=data.vocabulary)
    renamed.vocabulary.tokens = {token.upper(): index for token, index in data.vocabulary.tokens.items()}
    prints.add(renamed.fingerprint())
    assert len(prints) == 4


def test_parts_of_a_hub_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    folder = tmp_path / "captions"
    folder.mkdir()
    for split, lines in (("train", ["a b", " a  b c ", ""]), ("validation", ["b a", "c"])):
        datasets.Dataset.from_dict({"caption": lines}).to_json(str(folder / f"{split}.jsonl"))
    data = load_text(f"hub:{folder}", column="caption")
    assert_consistent(data)
    assert (data.name, data.train_lines, data.held_out_lines) == ("captions", ["a b", "a b c"], ["b a", "c"])
    assert (data.notes.lines, data.notes.empty) == (5, 1)
    other = load_text(write(tmp_path / "a.txt", "one two", "two"), held_out=f"hub:{folder}", column="caption")
    assert other.held_out.shape == (2, 2)
    data = load_text(f"hub:{folder}", column="caption", max_length=2)
    assert data.notes.remarks == (
        "captions, split train: 1 of 2 rows of over 2 tokens (max_length) left out, first row 1",
    )


def sizes(data: TextData) -> tuple[int, ...]:
    assert_consistent(data)
    tokens = int((data.train != data.vocabulary.end).sum())
    return len(data.train), len(data.held_out), tokens, data.num_categories, data.max_length


def test_captions(shared_data: Path) -> None:
    folder = shared_data / "text" / "image_coco"
    data = load_text(folder / "image_coco.txt.gz", held_out=folder / "test_coco.txt.gz")
    assert sizes(data)[:3] == (10_000, 10_000 - 15, 104_685)
    assert (data.max_length, data.notes.overlap, data.notes.lines) == (35, 15, 20_000)
    data = load_text(folder / "gfs_coco_train.txt.gz", held_out=folder / "gfs_coco_test.txt.gz")
    assert sizes(data) == (10_000, 10_000 - data.notes.overlap, 115_563, 4704 + 2, 37)


def test_news(shared_data: Path) -> None:
    folder = shared_data / "text" / "emnlp_news"
    data = load_text(folder / "emnlp_news_small.txt.gz", held_out=folder / "test_emnlp.txt.gz")
    assert sizes(data) == (10_000, 10_000, 275_590, 5541 + 2, 48)
    data = load_text(folder / "gfs_news_valid.txt.gz", held_out=folder / "test_emnlp.txt.gz")
    assert sizes(data) == (10_000, 10_000, 280_663, 5570 + 2, 49)


def test_shakespeare(shared_data: Path) -> None:
    data = load_text(shared_data / "text" / "char" / "tinyshakespeare.txt.gz", window=64)
    num_train, num_held_out, tokens, categories, length = sizes(data)
    assert num_train + num_held_out == 1_115_394 // 64
    assert (tokens, categories, length) == (64 * num_train, 65 + 2, 64)
    assert data.notes.lines == 40_000


def test_poems(shared_data: Path) -> None:
    data = load_text(shared_data / "text" / "poems" / "shi.txt.gz")
    num_train, num_held_out, tokens, _, length = sizes(data)
    assert num_train + num_held_out == 16_394
    assert (tokens, length) == (24 * num_train, 24)


def test_a_line_that_is_left_out_does_not_set_the_length(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("\n".join([*(f"line {number}" for number in range(40)), "word " * 300]))
    data = load_text(path)
    assert (data.max_length, data.notes.too_long) == (2, 1)


def test_single_words_are_remarked(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"{number}春眠不覺曉" for number in range(40)), encoding="utf-8")
    assert any("tokenizer=char" in remark for remark in load_text(path).notes.remarks)
    assert not load_text(path, tokenizer="char").notes.remarks
