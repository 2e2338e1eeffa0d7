"""A stranger's files: whatever they claim or unpack to, they are refused in one line, soon, and in little memory."""

import gzip
import io
import json
import lzma
import os
import resource
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from discrete_gan.data import Vocabulary, load_images, load_text
from discrete_gan.data.limits import VARIABLE
from discrete_gan.errors import InputError
from discrete_gan.metrics.classifier import train_classifier

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"


def idx(images: np.ndarray) -> bytes:
    """An idx file."""
    return struct.pack(">4I", 0x803, *images.shape) + images.tobytes()


def zeros(opener: Callable[..., object], path: Path, megabytes: int, start: bytes = b"") -> None:
    """A packed file of many zero bytes."""
    with opener(path, "wb") as file:  # pyright: ignore[reportGeneralTypeIssues]
        file.write(start)
        for _ in range(megabytes):
            file.write(bytes(1 << 20))


def refused(read: Callable[[], object], *, megabytes: int = 300) -> str:
    """The line that reading ends with, in two seconds and little more memory than before."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(InputError) as caught:
        read()
    assert time.monotonic() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < megabytes * 1024
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


def test_an_npz_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (2, 9000, 9000)})
        for _ in range(162):
            file.write(bytes(10**6))
    assert VARIABLE in refused(lambda: load_images(path))


@pytest.mark.parametrize("archive", [False, True])
def test_a_header_of_more_items_than_there_are(tmp_path: Path, archive: bool) -> None:
    content = io.BytesIO()
    shape = (1 << 20, 1 << 10, 1 << 10)
    np.lib.format.write_array_header_1_0(content, {"descr": "|u1", "fortran_order": False, "shape": shape})
    path = tmp_path / ("a.npz" if archive else "a.npy")
    if archive:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x.npy", content.getvalue() + bytes(100))
    else:
        path.write_bytes(content.getvalue() + bytes(100))
    assert "expected 1099511627904 bytes" in refused(lambda: load_images(path))


def test_a_member_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", b"no header")
    assert "array x: expected plain arrays" in refused(lambda: load_images(path))


@pytest.mark.parametrize(("suffix", "size"), [("", "1099511627792"), (".gz", "1,099,511,627,776")])
def test_an_idx_header_of_too_many_items(tmp_path: Path, suffix: str, size: str) -> None:
    lying = struct.pack(">4I", 0x803, 1 << 20, 1 << 10, 1 << 10) + bytes(100)
    for name in (TRAIN, TEST):
        (tmp_path / f"{name}{suffix}").write_bytes(gzip.compress(lying) if suffix else lying)
    assert size in refused(lambda: load_images(tmp_path))


def test_an_idx_file_is_unpacked_no_further_than_its_header_says(tmp_path: Path) -> None:
    zeros(gzip.open, tmp_path / f"{TRAIN}.gz", 200, idx(IMAGES))
    (tmp_path / TEST).write_bytes(idx(IMAGES))
    assert "found more" in refused(lambda: load_images(tmp_path), megabytes=20)


def test_an_idx_file_in_two_gzip_members(tmp_path: Path) -> None:
    whole = idx(IMAGES)
    (tmp_path / f"{TRAIN}.gz").write_bytes(gzip.compress(whole[:50]) + gzip.compress(whole[50:]))
    (tmp_path / TEST).write_bytes(whole)
    assert load_images(tmp_path).train_images.tolist() == IMAGES.reshape(20, -1).tolist()


@pytest.mark.parametrize(("suffix", "opener"), [(".gz", gzip.open), (".xz", partial(lzma.open, preset=0))])
def test_a_bomb_of_text(tmp_path: Path, suffix: str, opener: Callable[..., object]) -> None:
    path = tmp_path / f"a.txt{suffix}"
    zeros(opener, path, 80)
    assert VARIABLE in refused(lambda: load_text(path))


def test_the_limit_is_told_and_set_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one line\nanother line\n")
    monkeypatch.setenv(VARIABLE, "10")
    assert refused(lambda: load_text(path)) == (
        f"{path}: expected at most 10 bytes, found 22 (the variable {VARIABLE} sets it)"
    )
    monkeypatch.setenv(VARIABLE, "many")
    assert refused(lambda: load_text(path)) == f"{VARIABLE}: expected a number of bytes, got 'many'"


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.txt", "a.txt.gz", "a.json", "0.png", TRAIN, "train.mat"])
def test_pipes_and_devices(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    if name == "train.mat":
        (folder / "test.mat").write_bytes(b"")
    path = folder / name
    for special in ("pipe", "/dev/zero"):
        path.unlink(missing_ok=True)
        if special == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(special)
        if name.endswith(".json"):
            message = refused(lambda: Vocabulary.load(path))
        elif ".txt" in name:
            message = refused(lambda: load_text(path))
        else:
            message = refused(lambda: load_images(path if name.startswith("a.") else folder))
        if not (name == "0.png" and special == "pipe"):  # A pipe among pictures is none.
            assert "expected an ordinary file" in message


def test_a_picture_of_ten_thousand_million_pixels(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">2I5B", 100_000, 100_000, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))
    assert "0.png" in refused(lambda: load_images(tmp_path))


def test_postscript_is_no_picture(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n"
        )
    assert "cannot identify image file" in refused(lambda: load_images(tmp_path))


def test_folders_that_link_to_each_other(tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    folders = [tmp_path / f"class{index}" for index in range(12)]
    for index, folder in enumerate(folders):
        folder.mkdir()
        Image.fromarray(IMAGES[index]).save(folder / "a.png")
    for folder in folders:
        for other in folders:
            (folder / f"to_{other.name}").symlink_to(other)
    start = time.monotonic()
    load_images(tmp_path)
    assert time.monotonic() - start < 2


def test_too_many_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(70_000, dtype=np.uint16).view(np.uint8).reshape(-1, 1, 2), y=range(70_000))
    assert "at most 65,536 classes, found 70,000" in refused(lambda: load_images(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=IMAGES, y=np.array([str(label) * 10**5 for label in range(20)]))
    assert "characters in all at most, found 3,000,000" in refused(lambda: load_images(tmp_path / "a.npz"))


def test_one_labeled_image_trains_no_classifier() -> None:
    torch = pytest.importorskip("torch")
    images, labels = torch.zeros(1, 64), torch.zeros(1, dtype=torch.int64)
    assert "at least 2 labeled images" in refused(lambda: train_classifier(images, labels, (1, 8, 8), 1))


def tokenizer(tmp_path: Path, change: Callable[[dict], object]) -> Path:
    """The file of a small tokenizer, changed."""
    path = tmp_path / "a.json"
    Vocabulary.learn(["one line", "another"], "word").save(path)
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))
    return path


@pytest.mark.parametrize("number", [1 << 31, -1, 1.5, None, 1 << 70])
def test_wild_ids_of_a_tokenizer(tmp_path: Path, number: object) -> None:
    path = tokenizer(tmp_path, lambda state: state["model"]["vocab"].update(one=number))
    assert "with ids from 0 to" in refused(lambda: Vocabulary.load(path))


def test_a_normalizer_that_grows_text(tmp_path: Path) -> None:
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    path = tokenizer(tmp_path, lambda state: state.update(normalizer={"type": "Sequence", "normalizers": [step] * 40}))
    assert "its normalizer makes text over 64 times as long" in refused(lambda: Vocabulary.load(path))


def test_a_tokenizer_nested_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"model": ' + "[" * 10**5 + "]" * 10**5 + "}")
    assert "expected a JSON file of tokenizers" in refused(lambda: Vocabulary.load(path))


@pytest.mark.filterwarnings("ignore")
def test_a_row_of_a_data_set_that_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("datasets")
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    broken = pyarrow.array([b"one", b"\xc0\xc1", b"three"], pyarrow.binary()).view(pyarrow.string())
    (tmp_path / "data").mkdir()
    parquet.write_table(pyarrow.table({"text": broken}), tmp_path / "data" / "train.parquet")
    assert "column text cannot be read" in refused(lambda: load_text(f"hub:{tmp_path / 'data'}"))


def test_names_of_arrays_are_told_on_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for number in range(30):
            archive.writestr(f"line\nbreak{number}.npy", b"")
    with pytest.raises(InputError, match=r"found line\\nbreak0, ") as raised:
        load_images(tmp_path / "a.npz")
    assert "\n" not in str(raised.value) and "break10" not in str(raised.value)
