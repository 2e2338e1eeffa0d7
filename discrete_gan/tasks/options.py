"""Options of a recipe that say what is learnt from, and how it is read. The first line of each is its heading."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from discrete_gan.data.table_schema import Schema, TableReading
from discrete_gan.ranges import AtLeastTwo, Count, CountOrZero, Weight

Binarize = Literal["threshold", "stochastic", "none"]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Data."""

    data: str
    """What is learnt from, or a task of your own as FILE.py:CLASS."""
    batch_size: AtLeastTwo = 64
    """Real samples, and latents, per step."""
    num_scored: AtLeastTwo | None = 10_000
    """Samples to score at the end."""
    seed: int = 0
    """Seed of every random draw; a resumed run equals an unbroken one bit for bit on a CPU."""


@dataclass(frozen=True, kw_only=True)
class ImageOptions(DataOptions):
    """Data."""

    data: str = "digits"
    """{IMAGE_FORMATS}; or a task of your own as FILE.py:CLASS."""
    image_size: Count | None = None
    """Side in pixels that the square in the middle of each image is resized to; as the data is if not given."""
    crop: Count | None = None
    """Side in pixels of that square; the shorter side of the image if not given. For CelebA 108, resized to 64."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """What to do with pictures of a folder that cannot be decoded: refuse the data, or skip them and say how many."""


@dataclass(frozen=True, kw_only=True)
class BinaryImageOptions(ImageOptions):
    """Data."""

    binarize: Binarize = "stochastic"
    """Pixels to bits: stochastic (drawn anew in each batch), threshold at half, or none for 0/1 data."""


@dataclass(frozen=True, kw_only=True)
class SequenceDataOptions(DataOptions):
    """Data."""

    batch_size: Count = 64
    """Real sequences, and latents, per step."""
    num_scored: AtLeastTwo | None = None
    """Samples to score at the end; if not given 10,000, but 2,000 equations, of which there are 6,480."""


@dataclass(frozen=True, kw_only=True)
class TextOptions(SequenceDataOptions):
    """Data."""

    data: str = "equations"
    """{TEXT_FORMATS}, a sample per line; or a task of your own as FILE.py:CLASS."""
    tokenizer: str | None = None
    """char, word, bpe, or a JSON file of the tokenizers library; char for equations and running text, else word."""
    column: str | None = None
    """Column of the text, in data with columns; if not given, the one named text, or the only one."""
    conditional: bool = False
    """Labels into both networks: samples of the class that is asked for. In --label-column, of a file of lines before
    the first tab; of equations their sign."""
    label_column: str | None = None
    """Column of the labels, in data with columns."""
    label_bins: AtLeastTwo | None = None
    """Cut labels that are numbers into so many classes, equally frequent in the training part."""
    held_out: str | None = None
    """Another file or name whose lines are held out; a tenth of the lines if not given."""
    max_length: Count | None = None
    """Longest sequence in tokens; the longest of at most 256 if not given."""
    window: Count | None = None
    """Take the file as running text, cut into pieces of so many characters, or words."""
    vocabulary_size: Count | None = None
    """Most frequent characters or words to keep, or tokens of bpe."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """What a training does with lines that are not UTF-8: refuse the file, or skip them."""


def reading(options: Any) -> dict[str, Any]:
    """What ``load_text`` takes beside the text itself, of :class:`TextOptions`."""
    names = ("tokenizer", "column", "conditional", "label_column", "label_bins")
    names += ("held_out", "max_length", "window", "vocabulary_size", "corrupt")
    return {name: getattr(options, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class OracleOptions(SequenceDataOptions):
    """Data."""

    data: str = "oracle"
    """oracle, or a task of your own as FILE.py:CLASS."""
    oracle: str | None = None
    """SeqGAN's weights as .npz, or the folder of that file; drawn anew by --oracle-seed if not given."""
    oracle_seed: int = 0
    """Seed of an oracle without a file."""
    length: AtLeastTwo = 20
    """Tokens of a sequence; 20 and 40 are published."""
    num_train: AtLeastTwo = 10_000
    """Sequences drawn from the oracle for training, and as many others held out."""


@dataclass(frozen=True, kw_only=True)
class TableOptions(DataOptions):
    """Data."""

    data: str = "wine"
    """wine, breast_cancer, {TABLE_FORMATS}; or a task of your own as FILE.py:CLASS."""
    held_out: str | None = None
    """Another table whose rows are held out; if not given a split named test or validation, or a fifth of the rows."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    categorical: tuple[str, ...] = ()
    """Columns whose values are categories, whatever they look like."""
    keep: tuple[str, ...] = ()
    """Identifiers, columns of values that are all different, to learn all the same."""
    schema: Path | None = None
    """What the columns are, as check --out writes it and you edited it; what it leaves open is found in the data."""
    bins: AtLeastTwo = 60
    """Most bins of a number, and most single values beside them."""
    rare: CountOrZero = 0
    """Values of a column in fewer rows than this are joined into one category; 0 keeps every value."""


@dataclass(frozen=True, kw_only=True)
class FrameOptions(DataOptions):
    """Data."""

    data: str = "chords"
    """{FRAME_FORMATS}; or a task of your own as FILE.py:CLASS."""
    window: AtLeastTwo | None = None
    """Cut sequences into pieces of so many frames."""
    bits: bool = False
    """Take whatever is above 0 as set, as of velocities; of arrays named rolls it is so anyway."""
    rate: Weight = 4.0
    """Frames per second of MIDI files."""
    batch_size: AtLeastTwo = 32
    """Real sequences, and latents, per step."""
    num_scored: AtLeastTwo | None = None
    """Samples to score at the end; 1,000 if not given."""


def table_reading(options: Any) -> TableReading:
    """How a table is read, of :class:`TableOptions`."""
    schema = None if options.schema is None else Schema.load(options.schema)
    return TableReading(options.drop, options.categorical, options.keep, schema, options.bins, options.rare)
