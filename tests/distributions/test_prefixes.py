"""Sequences under way, drawn token by token and exchanged for one another."""

import torch

from discrete_gan.distributions import Prefixes
from discrete_gan.models import RecurrentGenerator


def test_sequences_that_are_kept_go_on_from_their_own_latents_and_tokens() -> None:
    torch.manual_seed(0)
    generator = RecurrentGenerator(7, 8, end=2, latent_dim=3, hidden=6, num_layers=2)
    with torch.no_grad():
        generator.output.weight.mul_(5)
        z = generator.latents(40)
        rows = torch.randint(40, (40,))
        prefixes = Prefixes(generator(z), 1, temperature=1.0)
        for _ in range(3):
            prefixes.extend()
        begun = prefixes.tokens[rows, :3]
        prefixes.keep(rows)
        prefixes.temperature = 1e-6
        while not prefixes.complete:
            prefixes.extend()
    # The likeliest continuation: nothing else is drawn at that temperature.
    expected = generator(z[rows]).sample(prefix=begun, temperature=1e-6)
    assert torch.equal(prefixes.tokens, expected)
    assert len(prefixes.tokens.unique(dim=0)) > 5 and (begun == 2).any()
    assert not torch.equal(expected, generator(z).sample(prefix=begun, temperature=1e-6))


def test_they_end_where_all_have_ended() -> None:
    generator = RecurrentGenerator(3, 5, end=1)
    with torch.no_grad():
        generator.output.bias[1] = 50
    prefixes = Prefixes(generator(generator.latents(4)), 2, prefix=torch.tensor([0, 2]))
    assert (prefixes.length, prefixes.given, prefixes.complete) == (0, 2, False)
    with torch.no_grad():
        while not prefixes.complete:
            prefixes.extend()
    assert prefixes.length == 3 and prefixes.tokens.tolist() == [[0, 2, 1, 1, 1]] * 8
