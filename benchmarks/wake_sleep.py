"""Estimators of the encoder of a sigmoid belief network, at equal evaluations of the decoder, over seeds.

Titsias and Shi's two networks on dynamically binarized MNIST, 200 bits, Adam at 1e-3, batches of 100, two samples; what
is shown is the importance-weighted bound of held-out images at 5,000 samples. Each image of a step costs the decoder
the evaluations of the encoder's estimator and two of its own update, and every run of a network has the same total::

    python benchmarks/wake_sleep.py --data ../shared/data/mnist --seconds 1200
    python benchmarks/wake_sleep.py --data ../shared/data/mnist --steps 20000 --networks linear --estimators vimco rebar
    python benchmarks/wake_sleep.py --show

``--seconds`` is what the slowest estimator of a network may take on this machine, one thread: measured first, noted and
not measured again. Finished runs stand in ``OUT/manifest.jsonl``, a line each; the same command goes on where it was
ended, and ``--show`` prints the tables of what is there. Published numbers have other settings, so tables of their own.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from finished import finished, spread, train

from discrete_gan.estimators import parse_estimator

ESTIMATORS = {
    "reweighted wake-sleep": "boundary-seeking:num_samples=2",
    "vimco": "vimco:num_samples=2",
    "leave-one-out REINFORCE": "reinforce:num_samples=2",
    "disarm": "disarm:num_samples=1",
    "rebar": "rebar",
    "relax": "relax",
    "gumbel-softmax": "gumbel-softmax:num_samples=2,objective=log-ratio",
    "straight-through": "straight-through:num_samples=2,objective=log-ratio",
    "reinmax": "reinmax:num_samples=2,objective=log-ratio",
}
SAMPLES = 2  # of the decoder's own update
BATCH = 100
WARM, TIMED = 20, 80  # steps of a trial: the first are not timed
PUBLISHED = {
    "Yin and Zhou 2019, Table 2a: -log p of a bound, nats, binarized MNIST, their own settings": (
        ("", "linear", "nonlinear", "two layers"),
        ("REINFORCE", "164.0", "114.6", "159.2"),
        ("NVIL", "113.1", "102.2", "99.8"),
        ("Concrete", "107.3", "99.6", "95.6"),
        ("REBAR", "107.7", "101.4", "95.4"),
        ("ARM", "107.2", "98.4", "96.7"),
    ),
    "Jang et al. 2017, Table 1: minus the bound of one sample, nats, VAE of bits, their own settings": (
        ("", "Bernoulli VAE"),
        ("score function", "112.2"),
        ("MuProp", "109.7"),
        ("straight-through", "116.0"),
        ("Gumbel-softmax", "105.0"),
        ("straight-through Gumbel", "111.5"),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--out", type=Path, default=Path("runs/wake_sleep"))
    parser.add_argument("--networks", nargs="+", choices=["linear", "nonlinear"], default=["linear", "nonlinear"])
    parser.add_argument("--estimators", nargs="+", choices=list(ESTIMATORS), default=list(ESTIMATORS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--steps", type=int, help="of an estimator with two evaluations; others get as many evaluations"
    )
    budget.add_argument("--seconds", type=float, help="of the slowest estimator of a network, its scores aside")
    parser.add_argument("--bound-num", type=int, help="held-out images of the bound; all if not given")
    parser.add_argument("--show", action="store_true", help="only print the tables")
    args = parser.parse_args()
    manifest = Manifest(args.out / "manifest.jsonl")
    if not args.show:
        if args.steps is None and args.seconds is None:
            parser.error("expected --steps or --seconds")
        for network in args.networks:
            evaluations = total_evaluations(args, manifest, network)
            for seed in args.seeds:
                for name in args.estimators:
                    run(args, manifest, network, name, seed, evaluations)
    show(manifest.rows)


class Manifest:
    """Lines of JSON, one for each thing that is done; one cut short by a kill is done again."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, list[dict[str, Any]]()
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                self.rows.append(json.loads(line))
            except ValueError:
                continue

    def find(self, **values: Any) -> dict[str, Any] | None:
        """The first line that has all of these."""
        return next((row for row in self.rows if values.items() <= row.items()), None)

    def add(self, **row: Any) -> None:
        """One more line, on the disk at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)


def each_step(name: str) -> int:
    """Evaluations of the decoder for each image of a step."""
    claims: Any = getattr(parse_estimator(ESTIMATORS[name]), "claims")  # noqa: B009
    return claims.evaluations + SAMPLES


def options_of(args: argparse.Namespace, network: str, name: str, steps: int) -> list[str]:
    chosen = ["--estimator", ESTIMATORS[name], "--samples", str(SAMPLES), "--batch-size", str(BATCH)]
    return [*chosen, "--data", args.data, "--network", network, "--steps", str(steps)]


def total_evaluations(args: argparse.Namespace, manifest: Manifest, network: str) -> int:
    """Of the decoder, in every run of a network."""
    if args.steps is not None:
        return args.steps * BATCH * (2 + SAMPLES)
    known = {"kind": "budget", "data": args.data, "network": network, "seconds": args.seconds}
    if (found := manifest.find(**known)) is None:
        speed = {name: seconds_of_a_step(args, network, name) for name in args.estimators}
        least = min(args.seconds / taken * BATCH * each_step(name) for name, taken in speed.items())
        found = {**known, "evaluations": int(least), "seconds_of_a_step": speed}
        manifest.add(**found)
    return found["evaluations"]


def seconds_of_a_step(args: argparse.Namespace, network: str, name: str) -> float:
    folder = args.out / "trials" / f"{network}-{name.replace(' ', '-')}"
    cheap = ["--log-every", str(WARM), "--sample-every", "0", "--bound-latents", "2", "--bound-num", "2"]
    cheap += ["--num-scored", "2"]
    train("wake_sleep", folder, [*options_of(args, network, name, WARM + TIMED + 1), *cheap])
    rows = {row["step"]: row["seconds"] for row in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())}
    return (rows[WARM + TIMED] - rows[WARM]) / TIMED


def run(args: argparse.Namespace, manifest: Manifest, network: str, name: str, seed: int, evaluations: int) -> None:
    """Train one, unless it is in the manifest."""
    steps = max(1, round(evaluations / BATCH / each_step(name)))
    known = {"kind": "run", "data": args.data, "network": network, "estimator": name, "seed": seed, "steps": steps}
    known |= {"bound_num": args.bound_num, "budget": evaluations}
    if manifest.find(**known):
        return
    data = Path(args.data).stem
    folder = args.out / f"{data}-{network}-{name.replace(' ', '-')}-{steps}-{seed}"
    number = [] if args.bound_num is None else ["--bound-num", str(args.bound_num)]
    every = ["--sample-every", "0", "--num-scored", "1000", "--log-every", "100", "--seed", str(seed)]
    train("wake_sleep", folder, [*options_of(args, network, name, steps), *every, *number])
    if (ended := finished(folder)) is None:
        print(f"{folder.with_suffix('.log')}: the run did not end")
        return
    results, score = json.loads((folder / "results.json").read_text()), ended.scores["bound"]
    taken = {"evaluations": results["evaluations"], "run_seconds": results["seconds"]}
    manifest.add(**known, **taken, **{key: score[key] for key in ("value", "low", "high", "protocol")})
    print(f"{network} {name} seed {seed}: {score['value']:.2f} nats after {steps} steps", flush=True)


def show(rows: list[dict[str, Any]]) -> None:
    """A table for each data set, network and cost, then what is published."""
    runs: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        if row["kind"] == "run":
            where = (row["data"], row["network"], row["budget"], row["bound_num"])
            runs.setdefault(where, {}).setdefault(row["estimator"], []).append(row)
    for (data, network, cost, number), of_estimator in runs.items():
        images = "all" if number is None else number
        print(
            f"\n{Path(data).stem}, {network}, {cost:,} evaluations of the decoder, bound of {images} held-out images\n"
        )
        print("| estimator | bound, nats | seeds | steps | evaluations of an image and step | seconds with scores |")
        print("|---|---|---|---|---|---|")
        for name, found in of_estimator.items():
            cells = [spread([row["value"] for row in found], 2), str(len(found)), f"{found[0]['steps']:,}"]
            cells += [str(each_step(name)), spread([row["run_seconds"] for row in found], 0)]
            print(f"| {name} | {' | '.join(cells)} |")
    for title, (head, *lines) in PUBLISHED.items():
        print(f"\nPublished: {title}\n")
        print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))


if __name__ == "__main__":
    main()
