"""Generated music whose every frame can be checked."""

import numpy as np

from discrete_gan.data.frame_files import Sequences


def draw_chords(seed: int = 0, num: int = 400, num_frames: int = 16) -> Sequences:
    """Generated music in four voices on 24 pitches: in every frame a triad of one key and its bass, all or nothing.

    Chords last one to four frames and move to a neighbor on the circle of fifths; pieces have 8 to 16 frames.

    Args:
        seed: Any whole number.
        num: Sequences.
        num_frames: Most of each.
    """
    generator = np.random.default_rng(abs(seed))
    rows, lengths = [], []
    for _ in range(num):
        length = int(generator.integers(num_frames // 2, num_frames + 1))
        degree, left = int(generator.integers(7)), 0
        for _ in range(length):
            if left == 0:
                degree = (degree + int(generator.choice([-3, 3, 1]))) % 7
                left = int(generator.integers(1, 5))
            left -= 1
            rows.append(chord_of(degree))
        lengths.append(length)
    return Sequences(np.array(rows), np.array(lengths))


def chord_of(degree: int) -> np.ndarray:
    """A triad of C major on 24 pitches, its root an octave below the rest: 24 bits of which four are set."""
    scale = (0, 2, 4, 5, 7, 9, 11)
    row = np.zeros(24, dtype=np.int64)
    row[scale[degree]] = 1
    for step in (0, 2, 4):
        row[12 + scale[(degree + step) % 7]] = 1
    return row
