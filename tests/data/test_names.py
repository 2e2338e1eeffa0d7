"""Data sets by a short name: what is asked of the Hub, and what is said where it does not answer."""

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discrete_gan.data import load_images, load_text
from discrete_gan.errors import InputError

datasets = pytest.importorskip("datasets", reason="needs datasets")
hub_utils = pytest.importorskip("huggingface_hub.utils", reason="needs huggingface_hub")
PIL_Image = pytest.importorskip("PIL.Image", reason="needs Pillow")

GREY = np.random.default_rng(0).integers(0, 256, (10, 4, 5), dtype=np.uint8)
WITHOUT = "expected a network, or what works without one: digits, or a folder of idx files"


class Session:
    """Stands in for the connection to the Hub; ``requests`` are the addresses that were asked for."""

    def __init__(self, answers: bool) -> None:
        self.answers = answers
        self.requests: list[str] = []

    def head(self, url: str, *, timeout: float) -> None:
        self.requests.append(url)
        assert 1 <= timeout <= 15
        if not self.answers:
            raise RuntimeError("Name or service\nnot known")  # as any library for requests may put it


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what the library prepares out of the user's home folder, and its bars off the screen."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    datasets.disable_progress_bars()
    monkeypatch.chdir(tmp_path)  # no file or folder here is called mnist


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session(answers=True)
    monkeypatch.setattr(hub_utils, "get_session", lambda: session)
    return session


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session(answers=False)
    monkeypatch.setattr(hub_utils, "get_session", lambda: session)
    return session


def refusal(spec: str) -> str:
    """The one line that the name is refused with."""
    with pytest.raises(InputError) as caught:
        load_images(spec)
    message = str(caught.value)
    assert "\n" not in message
    return message


def split() -> Any:
    pictures = [PIL_Image.fromarray(image) for image in GREY]
    made = datasets.Dataset.from_dict({"image": pictures, "label": [index % 3 for index in range(10)]})
    return made.cast_column("label", datasets.ClassLabel(num_classes=3))


@pytest.mark.parametrize(
    ("name", "on_hub"), [("mnist", "ylecun/mnist"), ("fashion_mnist", "zalando-datasets/fashion_mnist")]
)
def test_a_name_is_asked_of_the_hub(name: str, on_hub: str, monkeypatch: pytest.MonkeyPatch, online: Session) -> None:
    calls: list[tuple[Any, ...]] = []
    offline_mode: list[bool] = []

    def load_dataset(*arguments: Any) -> Any:
        calls.append(arguments)
        offline_mode.append(datasets.config.HF_HUB_OFFLINE)
        return {"train": split(), "test": split().select(range(2))}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    data = load_images(name)
    assert calls == [(on_hub, None)]
    assert offline_mode == [False]
    assert len(online.requests) == 1
    assert (data.name, data.image_shape, data.num_classes) == (name, (1, 4, 5), 3)
    assert data.train_images.tolist() == GREY.reshape(10, -1).tolist()
    assert data.test_images.tolist() == GREY[:2].reshape(2, -1).tolist()
    assert load_images(name, image_size=3, crop=2).image_shape == (1, 3, 3)
    with pytest.raises(InputError, match=f"^{name}, split train: row 0: a crop of 9 x 9 pixels"):
        load_images(name, crop=9)


def test_a_folder_or_file_called_so_is_taken(tmp_path: Path, offline: Session) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    assert refusal("mnist").startswith("mnist: the folder is empty: ")
    for part in ("train", "test"):
        (folder / f"{part}.amat").write_text("0 1 1 0 1 0 0 0 1\n1 1 1 0 0 1 0 1 0\n")
    assert load_images("mnist").maximum == 1
    (tmp_path / "fashion_mnist").touch()
    assert refusal("fashion_mnist").startswith("fashion_mnist: files of type 'no suffix' are not read: ")
    assert offline.requests == []


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_without_a_network_one_line_at_once(name: str, offline: Session, capfd: pytest.CaptureFixture[str]) -> None:
    start = time.monotonic()
    assert refusal(name) == f"{name}: cannot be downloaded (no connection to huggingface.co): {WITHOUT}"
    assert time.monotonic() - start < 10  # the library by itself takes 23 seconds, and writes to stderr
    assert capfd.readouterr() == ("", "")
    assert offline.requests == ["https://huggingface.co"]
    assert datasets.config.HF_HUB_OFFLINE is False


def test_hub_names_without_a_network(offline: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = "cannot be downloaded (no connection to mirror.org): expected a network, or what works without one: "
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "https://mirror.org")
    assert refusal("hub:someone/tiny:small") == f"hub:someone/tiny:small: {expected}hub:FOLDER"
    with pytest.raises(InputError) as caught:
        load_text("hub:someone/text")
    assert str(caught.value) == f"hub:someone/text: {expected}hub:FOLDER"


def test_local_folders_ask_nothing_of_the_hub(tmp_path: Path, offline: Session) -> None:
    (tmp_path / "tiny").mkdir()
    split().to_parquet(str(tmp_path / "tiny" / "train.parquet"))
    assert load_images("hub:tiny").num_classes == 3
    assert offline.requests == []


def test_what_was_downloaded_before_needs_no_network(tmp_path: Path, offline: Session) -> None:
    folder = tmp_path / "made" / "mnist"
    folder.mkdir(parents=True)
    split().to_parquet(str(folder / "train.parquet"))
    datasets.load_dataset(str(folder))
    # As the library keeps it that was downloaded: named by its owner, its configuration without a hash.
    (prepared,) = (path for path in (tmp_path / "cache" / "mnist").glob("default*/*/*") if path.is_dir())
    kept = tmp_path / "cache" / "ylecun___mnist" / "default" / "0.0.0" / prepared.name
    shutil.copytree(prepared, kept)
    data = load_images("mnist")
    assert (data.name, len(data.train_images), data.num_classes) == ("mnist", 7, 3)
    assert datasets.config.HF_HUB_OFFLINE is False


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            datasets.exceptions.DatasetNotFoundError("Dataset 'ylecun/mnist' doesn't exist on the Hub."),
            "Dataset 'ylecun/mnist' doesn't exist on the Hub",
        ),
        (ConnectionError("Couldn't reach 'ylecun/mnist'\nretry"), "Couldn't reach 'ylecun/mnist'"),
        (hub_utils.OfflineModeIsEnabled("offline"), "offline"),
        (hub_utils.LocalEntryNotFoundError("nothing kept"), "nothing kept"),
    ],
)
def test_whatever_the_library_raises_is_one_line(
    error: Exception, reason: str, online: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fails)
    assert refusal("mnist") == f"mnist: cannot be loaded: {reason}: {WITHOUT}"
    online.answers = False
    assert refusal("mnist") == f"mnist: cannot be downloaded (no connection to huggingface.co): {WITHOUT}"


def test_offline_mode_is_respected(online: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    assert refusal("mnist") == f"mnist: cannot be downloaded (offline mode is set): {WITHOUT}"
    assert online.requests == []
    assert datasets.config.HF_HUB_OFFLINE is True


def test_splits_are_named_by_the_short_name(online: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: {"dev": split()})
    assert refusal("mnist") == "mnist: expected a split named train, found dev"


def test_binarized_mnist_says_where_it_is_to_be_had(offline: Session) -> None:
    message = refusal("binarized_mnist")
    assert message.startswith(
        "binarized_mnist: no data set of the Hugging Face Hub is known to hold it: expected mnist"
    )
    for said in (
        "stochastic or threshold",
        "binarized_mnist_train.amat and binarized_mnist_test.amat",
        "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist",
    ):
        assert said in message
    assert offline.requests == []


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    assert refusal("mnist") == "mnist needs datasets: pip install 'discrete-gan[train]'"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "binarized_mnist"])
def test_a_misspelt_name_is_recognized(name: str, tmp_path: Path) -> None:
    wrong = name.replace("mnist", "minst")
    assert refusal(wrong).startswith(f"no data at {wrong!r}: did you mean {name!r}? expected digits, mnist, ")
    (tmp_path / name).mkdir()
    assert refusal(wrong).startswith(f"no data at {wrong!r}: did you mean {str(tmp_path / name)!r}? ")
