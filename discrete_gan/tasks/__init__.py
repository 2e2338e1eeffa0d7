"""What is learnt: data, batches, and how samples are scored and shown."""

from discrete_gan.tasks.base import Batch, Depth, Task, TensorTask, load_scores, make_task, measure
from discrete_gan.tasks.binary_images import BinaryImages
from discrete_gan.tasks.continuous_images import ContinuousImages
from discrete_gan.tasks.encoded_images import EncodedImages
from discrete_gan.tasks.few_labels import FewLabels
from discrete_gan.tasks.frames import Frames
from discrete_gan.tasks.options import (
    Binarize,
    BinaryImageOptions,
    DataOptions,
    FrameOptions,
    ImageOptions,
    OracleOptions,
    TableOptions,
    TextOptions,
)
from discrete_gan.tasks.oracle import Oracle
from discrete_gan.tasks.palette_images import PaletteImages
from discrete_gan.tasks.score import Score
from discrete_gan.tasks.table import Table
from discrete_gan.tasks.text import Text

__all__ = [
    "Batch",
    "Binarize",
    "BinaryImageOptions",
    "BinaryImages",
    "ContinuousImages",
    "DataOptions",
    "Depth",
    "EncodedImages",
    "FewLabels",
    "FrameOptions",
    "Frames",
    "ImageOptions",
    "Oracle",
    "OracleOptions",
    "PaletteImages",
    "Score",
    "Table",
    "TableOptions",
    "Task",
    "TensorTask",
    "Text",
    "TextOptions",
    "load_scores",
    "make_task",
    "measure",
]
