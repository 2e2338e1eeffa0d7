"""Bach's chorales as frames, from the corpus that music21 ships, for ``discrete-gan train frames``.

Each chorale becomes a sequence of frames, one for each quarter note, of the MIDI pitches that sound then, moved to C
major or A minor. Needs music21, which nothing else here does::

    pip install music21
    python benchmarks/chorales.py --out chorales.npz
    discrete-gan train frames --data chorales.npz --estimator mle
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

PITCHES = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("chorales.npz"))
    parser.add_argument("--num", type=int, help="chorales at most")
    args = parser.parse_args()
    from music21 import corpus  # pyright: ignore[reportMissingImports]

    rolls = []
    for chorale in tqdm(corpus.chorales.Iterator(), desc="chorales"):
        if len(chorale.parts) == 4:
            rolls.append(roll_of(chorale))
        if len(rolls) == args.num:
            break
    lengths = np.array([len(roll) for roll in rolls])
    np.savez_compressed(args.out, frames=np.concatenate(rolls), lengths=lengths)
    print(f"{args.out}: {len(rolls)} chorales, {lengths.sum():,} frames")


def roll_of(chorale: Any) -> np.ndarray:
    """Pitches at each quarter note, bits of shape (quarters, 128)."""
    key = chorale.analyze("key")
    tonic = key.tonic.pitchClass if key.mode == "major" else (key.tonic.pitchClass + 3) % 12
    shift = -tonic if tonic <= 6 else 12 - tonic
    quarters = int(chorale.highestTime)
    roll = np.zeros((quarters, PITCHES), dtype=np.uint8)
    for note in chorale.flatten().notes:
        begin, end = float(note.offset), float(note.offset) + float(note.quarterLength)
        for quarter in range(int(np.ceil(begin - 1e-6)), min(quarters, int(np.ceil(end - 1e-6)))):
            roll[quarter, [pitch.midi + shift for pitch in note.pitches]] = 1
    return roll


if __name__ == "__main__":
    main()
