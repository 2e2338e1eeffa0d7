"""Damaged data files given to every reader: a reader may read or refuse them with an ``InputError``, nothing else.

python benchmarks/faults/fuzz_data.py --seconds 300 --seed 0 --out FOLDER

Each reader works in a child process with a limit on its address space. Exceptions, crashes, tries that take too long
and those that take too much memory are failures; their files are kept in FOLDER/failures. A line of FOLDER/tries.jsonl
per batch adds up over runs, and the same command goes on where they ended.
"""

import argparse
import gzip
import io
import lzma
import multiprocessing
import random
import struct
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from benchmarks.faults.mutations import mutated
from benchmarks.faults.tries import add_to_log, limit_memory, read_log
from discrete_gan.data import Vocabulary, load_images, load_text
from discrete_gan.errors import InputError

_BATCH = 50
_PATIENCE = 10  # seconds a file is given
_MEMORY = 1 << 30  # bytes above those of the process before the batch
Files = dict[str, bytes]


class Reader(NamedTuple):
    """Valid files by their paths in a folder, which of them is damaged, and what reads the folder."""

    files: Files
    damaged: str
    read: Callable[[Path], object]


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def readers() -> dict[str, Reader]:
    """Every reader of data that needs no network."""
    import pyarrow
    from PIL import Image
    from pyarrow import parquet
    from scipy.io import savemat

    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    labels = (np.arange(20) % 2).astype(np.uint8)
    idx = struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
    train, test = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
    rows = (images.reshape(20, 16) > 127).astype(np.uint8)
    lines = "".join(f"{a} + {b} = {a + b}\n" for a in range(6) for b in range(6)).encode()
    found = {
        "idx": Reader({train: idx, test: idx}, train, load_images),
        "idx.gz": Reader({f"{train}.gz": gzip.compress(idx), test: idx}, f"{train}.gz", load_images),
        "npy": Reader(
            {"a.npy": _saved(lambda file: np.save(file, images))}, "a.npy", lambda at: load_images(at / "a.npy")
        ),
        "amat": Reader(
            dict.fromkeys(("train.amat", "test.amat"), "\n".join(" ".join(map(str, row)) for row in rows).encode()),
            "train.amat",
            load_images,
        ),
        "text": Reader({"a.txt": lines}, "a.txt", lambda at: load_text(at / "a.txt")),
        "window": Reader({"a.txt": lines}, "a.txt", lambda at: load_text(at / "a.txt", window=8)),
        "text.gz": Reader({"a.gz": gzip.compress(lines)}, "a.gz", lambda at: load_text(at / "a.gz")),
        "text.xz": Reader({"a.xz": lzma.compress(lines)}, "a.xz", lambda at: load_text(at / "a.xz")),
    }
    for name, save in (("npz", np.savez), ("npz packed", np.savez_compressed)):
        content = _saved(lambda file, save=save: save(file, x=images, y=labels))
        found[name] = Reader({"a.npz": content}, "a.npz", lambda at: load_images(at / "a.npz"))
    for name, packed in (("mat", False), ("mat packed", True)):
        content = _saved(lambda file, packed=packed: savemat(file, {"a": labels, "X": rows}, do_compression=packed))
        found[name] = Reader({"train.mat": content, "test.mat": content}, "train.mat", load_images)
    for suffix, kind in (
        ("png", "PNG"),
        ("jpg", "JPEG"),
        ("gif", "GIF"),
        ("bmp", "BMP"),
        ("tif", "TIFF"),
        ("webp", "WEBP"),
    ):
        content = _saved(lambda file, kind=kind: Image.fromarray(images[0]).save(file, kind))
        plain = _saved(lambda file, kind=kind: Image.fromarray(images[1]).save(file, kind))
        files = {f"{label}/{index}.{suffix}": plain for label in "ab" for index in range(2)}
        name = f"a/0.{suffix}"
        found[suffix] = Reader({**files, name: content}, name, lambda at: load_images(at, image_size=4))
    for kind in ("char", "word", "bpe"):
        content = Vocabulary.learn(lines.decode().splitlines(), kind).tokenizer.to_str().encode()
        found[f"tokenizer {kind}"] = Reader(
            {"a.json": content, "a.txt": lines}, "a.json", lambda at: load_text(at / "a.txt", tokenizer=at / "a.json")
        )
    table = pyarrow.table({"text": lines.decode().splitlines()})
    content = _saved(lambda file: parquet.write_table(table, file))
    found["parquet"] = Reader({"train.parquet": content}, "train.parquet", lambda at: load_text(f"hub:{at}"))
    return found


def _work(name: str, seed: str, folder: Path, start: int, said: Connection) -> None:
    """Tries a batch, telling of each try before and after it."""
    reader = readers()[name]
    limit_memory(_MEMORY)
    for number in range(start, start + _BATCH):
        content = mutated(reader.files[reader.damaged], random.Random(f"{seed} {name} {number}"))
        (folder / reader.damaged).write_bytes(content)
        said.send((number, ""))
        problem = ""
        try:
            reader.read(folder)
        except InputError as error:
            problem = "message of several lines" if "\n" in str(error) else ""
        except BaseException:
            problem = traceback.format_exc()
        said.send((number, problem or "fine"))


def batch(name: str, reader: Reader, seed: str, start: int, out: Path) -> tuple[int, list[str]]:
    """Tries up to fifty files; how many were tried, and what failed."""
    folder = out / "tried" / name.replace(" ", "_")
    for path, content in reader.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    heard, said = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_work, args=(name, seed, folder, start, said))
    child.start()
    said.close()
    tried, failures, number = 0, [], start
    try:
        while heard.poll(_PATIENCE):
            number, problem = heard.recv()
            if problem:
                tried += 1
            if problem not in ("", "fine"):
                failures.append(problem)
                _keep(folder / reader.damaged, out, f"{name} {number}", problem)
        failures.append(f"over {_PATIENCE} seconds")
    except EOFError:
        child.join()
        if child.exitcode == 0:
            return tried, failures
        failures.append(f"the process ended with {child.exitcode}")
    child.kill()
    child.join()
    _keep(folder / reader.damaged, out, f"{name} {number}", failures[-1])
    return tried + 1, failures


def _keep(path: Path, out: Path, name: str, problem: str) -> None:
    kept = out / "failures" / name.replace(" ", "_")
    kept.mkdir(parents=True, exist_ok=True)
    (kept / path.name).write_bytes(path.read_bytes())
    (kept / "problem.txt").write_text(problem)


def main() -> int:
    """Tries the readers in turn until the time is over; the status is 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--out", type=Path, default=Path("fuzz_data"))
    parser.add_argument("--only", nargs="*", default=[], help="Names of readers.")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = arguments.out / "tries.jsonl"
    tries: dict[str, int] = {}
    failed: dict[str, int] = {}
    following: dict[str, int] = {}
    for line in read_log(log):
        name = line["reader"]
        tries[name] = tries.get(name, 0) + line["tries"]
        failed[name] = failed.get(name, 0) + line["failures"]
        if line["seed"] == arguments.seed:
            following[name] = max(following.get(name, 0), line["start"] + _BATCH)
    chosen = {name: one for name, one in readers().items() if not arguments.only or name in arguments.only}
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        for name, reader in chosen.items():
            start = following.get(name, 0)
            tried, failures = batch(name, reader, arguments.seed, start, arguments.out)
            following[name] = start + _BATCH
            tries[name], failed[name] = tries.get(name, 0) + tried, failed.get(name, 0) + len(failures)
            line = {"reader": name, "seed": arguments.seed, "start": start, "tries": tried, "failures": len(failures)}
            add_to_log(log, line)
            if time.monotonic() > end:
                break
    for name in tries:
        print(f"{name:16}{tries[name]:>10,}{failed[name]:>10,}")
    print(f"{'in all':16}{sum(tries.values()):>10,}{sum(failed.values()):>10,}")
    return int(any(failed.values()))


if __name__ == "__main__":
    sys.exit(main())
