"""Damage to bytes, drawn at random: what every fuzzing run here does to a valid file."""

import random

_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 64) - 1)
_MOST_CHANGES = 4


def mutated(content: bytes, random_state: random.Random) -> bytes:
    """The bytes after one to four changes: flipped bits, odd numbers, pieces cut, doubled, moved or made up."""
    result = bytearray(content)
    for _ in range(random_state.randint(1, _MOST_CHANGES)):
        # Headers decide most, so half of the changes fall on the first 256 bytes.
        end = min(len(result), 256) if random_state.random() < 0.5 else len(result)
        at = random_state.randrange(end) if end else 0
        length = random_state.choice((1, 2, 4, 8, 16, 64))
        change = random_state.randrange(7)
        if change == 0 and result:
            result[at] ^= 1 << random_state.randrange(8)
        elif change == 1:
            number = random_state.choice(_NUMBERS)
            size = random_state.choice([size for size in (1, 2, 4, 8) if number < 1 << 8 * size])
            result[at : at + size] = number.to_bytes(size, random_state.choice(("little", "big")))
        elif change == 2:
            del result[at : at + length]
        elif change == 3:
            del result[at:]
        elif change == 4:
            result[at:at] = result[at : at + length] * random_state.choice((1, 2, 100))
        elif change == 5:
            result[at : at + length] = random_state.randbytes(length)
        else:
            other = random_state.randrange(len(result)) if result else 0
            result[at : at + length] = result[other : other + length]
    return bytes(result)
