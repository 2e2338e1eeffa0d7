"""The estimator lab's tables of the README, as Markdown: what is claimed of each estimator, measured.

Run all, or some by name (about a quarter of an hour for all on one core)::

    python benchmarks/lab_tables.py bias unbiased temperature baselines control
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators import ESTIMATORS, parse_estimator
from discrete_gan.lab import DISCRIMINATORS, PROBLEMS, Analysis, Problem, analyze
from discrete_gan.weights import normalized_weights

_SEED = 0
_TEMPERATURES = (0.1, 0.25, 0.5, 1.0, 2.0)


def prepared(name: str, mode: str = "network") -> tuple[Problem, nn.Module]:
    problem = PROBLEMS[name](_SEED)
    return problem, DISCRIMINATORS[mode](problem, problem.generator(), seed=_SEED)


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def header(*cells: str) -> None:
    row(*cells)
    print("|" + "---|" * len(cells))


def normalized_only(generator: Conditional, discriminator: Discriminator, z: Tensor, *, num_samples: int = 1) -> Tensor:
    """Boundary-seeking with its plain weights for any M, one among them."""
    g = generator(z)
    x = g.sample((num_samples,))
    with torch.no_grad():
        log_w = discriminator(x)
    return -(normalized_weights(log_w) * g.log_prob(x)).sum(dim=0)


def bias() -> None:
    print("\nBias of self-normalized weights, and what zero-sum weights save, by enumeration.\n")
    for name, samples in (("table", (1, 2, 4, 8)), ("table3", (1, 2, 4, 8, 16))):
        problem, discriminator = prepared(name, "oracle")
        print(f"\n{name}, {len(problem.log_p)} states\n")
        header("M", "relative bias", "times M", "variance, plain weights", "zero-sum weights", "ratio")
        for num in samples:
            plain = analyze(
                normalized_only,
                problem,
                num_samples=num,
                discriminator=discriminator,
                target="reweighted",
            )
            cells = [num, f"{plain.bias:.3f}", f"{num * plain.bias:.2f}", f"{plain.variance:.3f}"]
            if num > 1:
                zero_sum = analyze(f"boundary-seeking:num_samples={num}", problem, discriminator=discriminator)
                cells += [f"{zero_sum.variance:.3f}", f"{plain.variance / zero_sum.variance:.1f}"]
                assert abs(zero_sum.bias - plain.bias) < 1e-12
            row(*cells, *[""] * (6 - len(cells)))


def unbiased() -> None:
    print("\nEvery estimator that claims no bias.\n")
    header("estimator", "largest relative bias, enumerated", "problems", "largest z at 1e6 draws", "standard error")
    names = [name for name in ESTIMATORS if parse_estimator(name).claims.unbiased and name != "exact"]  # type: ignore[attr-defined]
    for name in names:
        enumerated: list[float] = []
        for problem_name in ("table", "table3", "categories", "ising", "parity", "missing-modes"):
            problem, discriminator = prepared(problem_name, "wrong")
            if found := tried(f"{name}:num_samples=2", problem, discriminator, num_draws=200):
                enumerated += [found.bias] if found.method == "enumerated" else []
        if enumerated:
            row(name, f"{max(enumerated):.0e}", len(enumerated), "", "")
            continue
        problem, discriminator = prepared("table", "wrong")
        found = analyze(f"{name}:num_samples=1", problem, discriminator=discriminator, num_draws=10**6)
        row(name, "", "", f"{found.z_score:.2f}", f"{found.bias_error:.4f}")


def temperature() -> None:
    print("\nRelaxed estimators against the temperature, problem `table`, network, M = 1: relative bias (variance).\n")
    header("estimator", *(f"tau = {tau:g}" for tau in _TEMPERATURES))
    problem, discriminator = prepared("table")
    for name in ("gumbel-softmax", "st-gumbel-softmax", "gumbel-rao", "reinmax", "slope-annealed"):
        cells = []
        for tau in _TEMPERATURES:
            options = f"num_samples=1,objective=log-ratio,temperature={tau}"
            if name == "slope-annealed":
                options += ",annealing_rate=0"
            found = analyze(f"{name}:{options}", problem, discriminator=discriminator, num_draws=400_000)
            cells.append(f"{found.bias:.3f} ({found.variance:.2f})")
        row(name, *cells)


def baselines() -> None:
    print("\nVariance with the baseline over the variance without, M = 2 and 4 (below 1: the baseline helps).\n")
    header("problem", "leave-one-out REINFORCE, M = 2", "M = 4", "zero-sum weights, M = 2", "M = 4")
    pairs = (
        ("reinforce:baseline=leave-one-out", "reinforce:baseline=none"),
        ("boundary-seeking:zero_sum=true", "boundary-seeking:zero_sum=false"),
    )
    for name in PROBLEMS:
        problem, discriminator = prepared(name)
        cells = []
        for with_baseline, without in pairs:
            for num in (2, 4):
                variances = [
                    analyze(
                        f"{spec},num_samples={num}",
                        problem,
                        discriminator=discriminator,
                        most_tuples=300_000,
                        num_draws=20_000,
                    ).variance
                    for spec in (with_baseline, without)
                ]
                cells.append(f"{variances[0] / variances[1]:.3f}")
        row(name, *cells)


def control() -> None:
    print("\nMean squared error of boundary-seeking-cv over that of boundary-seeking at equal evaluations.\n")
    evaluations = (4, 8, 16, 32)
    controls = ("tilted", "linear")
    header("problem", *(f"{which}, {num}" for which in controls for num in evaluations))
    for name in PROBLEMS:
        problem, discriminator = prepared(name)
        plain = {num: error(f"boundary-seeking:num_samples={num}", problem, discriminator) for num in evaluations}
        cells = []
        for which in controls:
            for num in evaluations:
                spec = f"boundary-seeking-cv:control={which},num_samples={num - 1}"
                cells.append(f"{error(spec, problem, discriminator) / plain[num]:.2f}")
        row(name, *cells)


def error(spec: str, problem: Problem, discriminator: nn.Module) -> float:
    found = analyze(spec, problem, discriminator=discriminator, most_tuples=300_000, num_draws=20_000)
    return found.mse


def tried(spec: str, problem: Problem, discriminator: nn.Module, *, num_draws: int) -> Analysis | None:
    """None where the estimator does not accept the problem's distribution."""
    try:
        return analyze(spec, problem, discriminator=discriminator, most_tuples=10**6, num_draws=num_draws)
    except TypeError:
        return None


SECTIONS: dict[str, Callable[[], None]] = {
    "bias": bias,
    "unbiased": unbiased,
    "temperature": temperature,
    "baselines": baselines,
    "control": control,
}


def main() -> None:
    """Print the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=[])
    for name in parser.parse_args().sections or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main()
