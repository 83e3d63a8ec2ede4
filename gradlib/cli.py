"""The command ``gradlib``: info, check, train, bench, tune."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from . import backend as backends
from ._version import __version__
from .errors import GradlibError


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 where the work failed, 2 for a wrong call."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["bench"]:  # has options of its own
        from . import bench

        return bench.main(arguments[1:])
    if arguments[:1] == ["tune"]:
        from .bench import tune_command

        return tune_command.main(arguments[1:])
    if arguments[:1] == ["check"]:
        from .testing import check_command

        return check_command.main(arguments[1:])
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except (GradlibError, OSError, ValueError) as error:
        print(f"gradlib {chosen.command}: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"gradlib {chosen.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    from .train.digits import SIM_LIMIT, Recipe

    default = Recipe()
    parser = argparse.ArgumentParser(prog="gradlib", description="Deep learning on NumPy and CuPy.")
    parser.add_argument("--version", action="version", version=f"gradlib {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    info = commands.add_parser("info", help="what this machine offers: devices, compilers, the kernel cache")
    info.set_defaults(run=_info)

    train = commands.add_parser("train", help="train a network on data that comes with gradlib")
    train.add_argument("what", choices=["digits"], help="digits: a convolutional network on the optical digits")
    train.add_argument(
        "--device", default=None, help=f"{', '.join(backends.DEVICES)} (default: $GRADLIB_DEVICE, or cpu)"
    )
    train.add_argument("--epochs", type=int, default=default.epochs, help="passes over the data (%(default)s)")
    train.add_argument("--batch-size", type=int, default=default.batch_size, help="images in a step (%(default)s)")
    train.add_argument("--lr", type=float, default=default.lr, help="learning rate at the start (%(default)s)")
    train.add_argument("--seed", type=int, default=default.seed, help="decides every random number (%(default)s)")
    train.add_argument("--dtype", default=default.dtype, help="of weights and images (%(default)s)")
    train.add_argument(
        "--limit",
        type=int,
        default=None,
        help=f"train on the first N images only (all; on sim {SIM_LIMIT})",
        metavar="N",
    )
    train.add_argument("--out", type=Path, default=Path("runs/digits"), help="folder of the results (%(default)s)")
    train.set_defaults(run=_train)

    commands.add_parser("check", help="compile a .cu file and run its samples (gradlib check --help)", add_help=False)
    commands.add_parser("bench", help="measure gradlib beside other libraries (gradlib bench --help)", add_help=False)
    commands.add_parser("tune", help="find the fastest kernels on this GPU (gradlib tune --help)", add_help=False)
    return parser


def _train(chosen: argparse.Namespace) -> int:
    from .core import current_device
    from .train import digits

    recipe = digits.Recipe(
        device=chosen.device or current_device(),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        lr=chosen.lr,
        seed=chosen.seed,
        dtype=chosen.dtype,
        limit=chosen.limit,
    )
    recipe.check()
    chosen.out.mkdir(parents=True, exist_ok=True)
    _check_writable(chosen.out)
    training, _ = digits.loaders(recipe)
    print(
        f"training on {training.examples} images of optical digits, device {recipe.device}, {recipe.dtype}", flush=True
    )
    if recipe.device == "sim" and recipe.limit is None:
        print(
            "sim runs the CUDA kernels on the CPU, slowly: a part of the images is used; --limit changes that",
            flush=True,
        )
    result = digits.train(recipe)
    weights, picture = result.save(chosen.out)
    print(f"{weights}\n{picture}" if result.history.steps else f"{weights}")
    print(f"trained in {result.seconds:.1f} s")
    print(f"test accuracy {100 * result.accuracy:.2f} %")
    return 0


def _check_writable(folder: Path) -> None:
    """Find out before the training, not after it."""
    probe = folder / ".gradlib-probe"
    probe.touch()
    probe.unlink()


def _info(chosen: argparse.Namespace) -> int:
    import numpy as np

    from .kernel import cache, folder

    rows = [
        ("gradlib", f"{__version__}, Python {platform.python_version()}, NumPy {np.__version__}, {platform.platform()}")
    ]
    for name in backends.DEVICES:
        usable, reason = _usable(name)
        rows.append((f"device {name}", "available" if usable else f"not available: {_first(reason)}"))
    rows += [("driver", _driver()), ("NVRTC", _nvrtc()), ("headers", _headers()), ("compiler", _compiler())]
    rows.append(("kernels", str(folder())))
    kept = cache.info()
    rows.append(("kernel cache", f"{kept.folder}, {kept.kernels} kernels, {kept.bytes / 1e6:.1f} MB"))
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {text}" for name, text in rows))
    return 0


def _first(text: str) -> str:
    """Return a message's first line, without the name of the device that stands beside it already."""
    return text.strip().splitlines()[0].removeprefix("device cuda cannot be used: ")


def _usable(name: str) -> tuple[bool, str]:
    """Return whether a device can be used, its compiler included, and the reason if not."""
    usable, reason = backends.available(name)
    if usable and backends.get(name).runs_kernels:
        try:
            backends.get(name).toolchain()
        except GradlibError as error:
            return False, str(error)
    return usable, reason


def _driver() -> str:
    if backends.available("cuda")[0]:
        cupy = backends.get("cuda").xp
        number = cupy.cuda.runtime.driverGetVersion()
        name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
        return f"serves CUDA {number // 1000}.{number % 1000 // 10}; {name}, CuPy {cupy.__version__}"
    try:  # a driver without CuPy
        return Path("/proc/driver/nvidia/version").read_text().splitlines()[0].strip()
    except (OSError, IndexError):
        return "none"


def _nvrtc() -> str:
    from .backend import nvrtc

    try:
        return ".".join(map(str, nvrtc.version()))
    except GradlibError as error:
        return f"not available: {_first(str(error)).removeprefix('NVRTC cannot be used: ')}"


def _headers() -> str:
    from .backend import nvrtc

    try:
        folder = nvrtc.headers()
    except GradlibError:
        return "not looked for without NVRTC"
    return str(folder) if folder is not None else "not found"


def _compiler() -> str:
    """Describe the C++ compiler of the sim device."""
    try:
        return str(backends.get("sim").toolchain()).split(" | ")[1]
    except GradlibError as error:
        return f"none: {_first(str(error))}"
