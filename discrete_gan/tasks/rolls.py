"""Piano rolls as pictures."""

import torch
from torch import Tensor

# Of tracks, apart from each other for color-blind eyes too, bright on black.
_COLORS = (
    (240, 228, 66),
    (86, 180, 233),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (0, 114, 178),
    (255, 255, 255),
)


def rolls_pictured(rolls: Tensor) -> Tensor:
    """Piano rolls as people read them: time to the right, pitch upwards, a color for each track.

    Where tracks sound together the brighter of each primary color shows; after eight tracks colors come again.

    Args:
        rolls: Notes from 0 to 1, shape (N, tracks, T, P), T steps in time and P pitches from the lowest.

    Returns:
        RGB pictures in [0, 1], shape (N, 3, P, T).
    """
    colors = torch.tensor(_COLORS, dtype=torch.float32, device=rolls.device) / 255
    upright = rolls.float().transpose(2, 3).flip(2)
    pictures = torch.zeros(len(rolls), 3, *upright.shape[2:], device=rolls.device)
    for track, notes in enumerate(upright.unbind(1)):
        pictures = torch.maximum(pictures, notes[:, None] * colors[track % len(colors)].view(3, 1, 1))
    return pictures
