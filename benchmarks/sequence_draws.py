"""Sampling sequences and their log-probabilities beside the loops of public text-GAN code, with the same weights."""

import torch
from timing import DEVICE, in_turn, place, ratio, told
from torch import Tensor

from discrete_gan.models import RecurrentGenerator

VOCABULARY = 5000
REPEATS = 15


def usual_sampling(generator: RecurrentGenerator, num: int) -> Tensor:
    """An nn.LSTM call per step, log-softmax over the vocabulary, torch.multinomial."""
    token = torch.full((num,), generator.num_categories)
    state = (torch.zeros(1, num, generator.rnn.hidden_size),) * 2
    tokens = []
    for _ in range(generator.num_positions):
        hidden, state = generator.rnn(generator.embedding(token)[:, None], state)
        log_probs = torch.log_softmax(generator.output(hidden[:, 0]), dim=-1)
        token = torch.multinomial(log_probs.exp(), 1)[:, 0]
        tokens.append(token)
    return torch.stack(tokens, dim=1)


def usual_log_prob(generator: RecurrentGenerator, tokens: Tensor) -> Tensor:
    """The same steps over given tokens."""
    previous = torch.full((len(tokens),), generator.num_categories)
    state = (torch.zeros(1, len(tokens), generator.rnn.hidden_size),) * 2
    total = torch.zeros(len(tokens))
    for token in tokens.unbind(dim=1):
        hidden, state = generator.rnn(generator.embedding(previous)[:, None], state)
        log_probs = torch.log_softmax(generator.output(hidden[:, 0]), dim=-1)
        total = total + log_probs.gather(1, token[:, None])[:, 0]
        previous = token
    return total


def products(generator: RecurrentGenerator, num: int) -> None:
    """The matrix products of the steps and nothing else: the limit."""
    inputs, hidden = torch.randn(num, generator.rnn.input_size), torch.randn(num, generator.rnn.hidden_size)
    weights_ih, weights_hh, *_ = generator.rnn.all_weights[0]
    for _ in range(generator.num_positions):
        _ = inputs @ weights_ih.T, hidden @ weights_hh.T, hidden @ generator.output.weight.T


@torch.no_grad()
def main() -> None:
    torch.set_default_device(DEVICE)
    print(f"{place()}, vocabulary {VOCABULARY}, ms (least, most)\n")
    print("| batch | length | units | what | usual loop | this package | usual / this | products alone |")
    print("|---|---|---|---|---|---|---|---|")
    for num, length, units in ((64, 20, 32), (256, 32, 512)):
        torch.manual_seed(0)
        generator = RecurrentGenerator(VOCABULARY, length, end=None, embedding_dim=units, hidden=units)
        g = generator(generator.latents(1))
        tokens = g.sample((num,))
        torch.testing.assert_close(g.log_prob(tokens)[:, 0], usual_log_prob(generator, tokens[:, 0]))
        times = in_turn(
            {
                "usual sampling": lambda: usual_sampling(generator, num),  # noqa: B023
                "sampling": lambda: g.sample((num,)),  # noqa: B023
                "usual log_prob": lambda: usual_log_prob(generator, tokens[:, 0]),  # noqa: B023
                "log_prob": lambda: g.log_prob(tokens),  # noqa: B023
                "products": lambda: products(generator, num),  # noqa: B023
            },
            REPEATS,
        )
        for what in ("sampling", "log_prob"):
            theirs, mine = times[f"usual {what}"], times[what]
            cells = [num, length, units, what, told(theirs), told(mine), f"{ratio(theirs, mine):.1f}"]
            print("| " + " | ".join(map(str, [*cells, told(times["products"])])) + " |")


if __name__ == "__main__":
    main()
