"""The device and the processes of a run."""

import os
import warnings
from typing import TYPE_CHECKING, Literal

import torch

from discrete_gan.distributed import num_launched
from discrete_gan.errors import InputError
from discrete_gan.training.options import RunOptions

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the best there is.

    Raises:
        InputError: If the name is unknown or the machine has no such device.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise InputError(f"--device {name}: expected auto, cpu, cuda, cuda:INDEX or mps")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[kind] or (index and kind == "cuda" and int(index) >= torch.cuda.device_count()):
        raise InputError(f"--device {name}: there is none on this machine, expected another device")
    return torch.device(kind, int(index)) if index and kind == "cuda" else torch.device(kind)


def launch(options: RunOptions) -> "Fabric":
    """Fabric on the device asked for, one process unless torchrun started several.

    Raises:
        InputError: If there is no such device, or none for each process.
    """
    from lightning_fabric import Fabric

    device, processes = find_device(options.device), num_launched()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if processes > 1 else 1
    there = {"cpu": here, "cuda": torch.cuda.device_count(), "mps": 1}[device.type] if device.index is None else 1
    if here > there:
        raise InputError(f"--device {options.device}: expected a device for each of {here} processes, found {there}")
    # Of a machine with Slurm, on which most runs are rightly begun without its launcher.
    warnings.filterwarnings("ignore", "The `srun` command is available")
    fabric = Fabric(
        accelerator=device.type,
        devices=here if device.index is None else [device.index],
        num_nodes=processes // here,
        strategy="ddp" if processes > 1 else "auto",
        precision=_fast_precision(device.type) if options.precision == "auto" else options.precision,
    )
    fabric.launch()
    return fabric


def _fast_precision(kind: str) -> Literal["32-true", "bf16-mixed"]:
    """Mixed bfloat16 where there are matrix units for it; elsewhere it is emulated and slower."""
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    has_units = torch.cuda.is_bf16_supported(including_emulation=False) if kind == "cuda" else kind == "cpu" and amx()
    return "bf16-mixed" if has_units else "32-true"
