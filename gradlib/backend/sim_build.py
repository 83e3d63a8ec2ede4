"""The toolchain of the sim device: the host's C++ compiler, the runtime it links against, and one build."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from ..errors import KernelError
from .protocol import Unit
from .sim_headers import missing
from .sim_rewrite import clusters, included, rewrite, unclosed

__all__ = ["build", "identity", "runtime"]

_COMMON = ("-std=c++17", "-O2", "-fPIC", "-shared")
# Contraction would make results depend on the host; a GPU's integers wrap, and its kernels reinterpret memory freely.
_KERNEL = (
    *_COMMON,
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fwrapv",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-asynchronous-unwind-tables",
    "-fvisibility=hidden",
    "-Wno-unknown-pragmas",
    "-Wno-narrowing",
    "-Wno-psabi",
    "-DGRADLIB_SIM=1",
)
# Linking without the C++ library takes 10 ms less.
_LIBRARIES = ("-nodefaultlibs", "-lm", "-lc", "-lgcc") if sys.platform == "linux" else ()
_RUNTIME_SOURCES = (
    "fiber.cpp", "runtime.cpp", "warp.cpp", "faults.cpp", "signals.cpp", "knowledge.cpp", "shadow.cpp", "checker.cpp",
    "lifetime.cpp", "asynchronous.cpp", "reports.cpp", "callbacks.cpp", "launch.cpp", "engine.cpp", "mbarrier.cpp",
    "bulk.cpp", "wgmma.cpp", "cluster.cpp", "ptx_calls.cpp", "arithmetic.cpp",
)  # fmt: skip
# The checked build: every access reports itself, as the kernel wrote it (whole vectors, nothing merged), with its line.
_CHECKED = (
    "-fsanitize=thread",
    "-fsanitize=shift-exponent,float-cast-overflow",
    "--param=tsan-distinguish-volatile=1",
    "-fno-tree-sra",
    "-fno-tree-vectorize",
    "-fno-store-merging",
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",
    "-g1",
    "-gdwarf-4",  # addr2line takes one file for another in version 5
    "-Wno-tsan",
    "-DGRADLIB_SIM_CHECKED=1",
)
# The machine's vector units as features, not -march=native: two processors with the same ones share a cache.
_X86_FEATURES = ("avx2", "fma", "f16c", "bmi1", "bmi2")
_INSTALL = """\
the sim device needs a C++ compiler: none of g++, c++, clang++ is on PATH{also}
  need one of: apt install g++ | dnf install gcc-c++ | brew install gcc | xcode-select --install | conda install gxx
  (the cpu device works without a compiler)"""
_ERRORS_SHOWN = 4


@cache
def sources() -> Path:
    """Return the folder of the host runtime, `kernels/sim`."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "kernels" / "sim", package.parent / "kernels" / "sim"):
        if (folder / "sim.h").is_file():
            return folder
    raise KernelError(f"kernels/sim/sim.h is missing beside {package}: the installation is incomplete")


def compiler() -> list[str]:
    """Return the command of the compiler, $CXX first; KernelError if there is none."""
    asked = shlex.split(os.environ.get("CXX", ""))
    for command in [asked] if asked else [["g++"], ["c++"], ["clang++"]]:
        if path := shutil.which(command[0]):
            return [path, *command[1:]]
    raise KernelError(_INSTALL.format(also=f", and CXX={asked[0]} is not there" if asked else ""))


@cache
def _features() -> tuple[str, ...]:
    """Return the options for this processor's vector units; none where they are not known."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    has_all = all(feature in flags for feature in _X86_FEATURES)
    return ("-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2") if has_all else ()


@cache
def _platform_flags() -> tuple[str, ...]:
    if sys.platform == "darwin":
        return ("-undefined", "dynamic_lookup")  # the runtime's symbols are found when a kernel is loaded
    # A large frame touches each page of itself, and so cannot step over the guard below a fiber's stack.
    guarded = ("-fstack-clash-protection",) if sys.platform == "linux" else ()
    if platform.libc_ver()[0] == "glibc":
        # threadIdx in one instruction instead of a call.
        return (*guarded, "-ftls-model=initial-exec")
    return guarded


@cache
def _described(command: tuple[str, ...], stamp: float) -> str:
    """Return version and target of a compiler; `stamp`, its date, makes an upgraded one be asked again."""
    answers = []
    for option in ("--version", "-dumpmachine"):
        done = subprocess.run([*command, option], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KernelError(f"the C++ compiler {shlex.join(command)} does not run: {done.stderr.strip()[:300]}")
        answers.append(done.stdout.splitlines()[0].strip())
    return " ".join(answers)


@cache
def _sources_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(sources().rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def identity(checked: bool = False) -> str:
    """Return all that a built file depends on besides its unit: compiler, target, flags, the sim headers."""
    command, described = compiler(), _compiler_described()
    if checked and not ("g++" in described or "gcc" in described.lower()):
        raise KernelError(f"the checked build of sim needs GCC; {command[0]} is {described}\n  need CXX=g++")
    flags = " ".join([*command[1:], *_options(checked), *_features(), *_platform_flags(), *_LIBRARIES])
    return f"sim | {described} | {flags} | {_sources_digest()}"


def _compiler_described() -> str:
    command = compiler()
    return _described(tuple(command), os.stat(command[0]).st_mtime)


def _divisions() -> tuple[str, ...]:
    """Return options for divisions that are signals on x86, which would end the process: by zero, and INT_MIN / -1."""
    if sys.platform != "linux":
        return ()
    # With the second, which GCC takes for divisions alone under -fwrapv, Clang would refuse sums that wrap too.
    least = "" if "clang" in _compiler_described() else ",signed-integer-overflow"
    return (f"-fsanitize=integer-divide-by-zero{least}",)


def _options(checked: bool) -> tuple[str, ...]:
    return (*_KERNEL, *_divisions(), *(_CHECKED if checked else ()))


def _compile(arguments: list[str], folder: Path, what: str) -> str:
    """Run the compiler in `folder` and return its log; KernelError with its first errors if it fails."""
    command = [*compiler(), *arguments]
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    if done.returncode == 0:
        return log
    lines, errors = [], 0
    for line in log.splitlines():
        errors += "error:" in line
        if errors > _ERRORS_SHOWN:
            lines.append("(more errors follow)")
            break
        lines.append(line)
    raise KernelError(f"{what}: the host's C++ compiler ({Path(command[0]).name}) cannot build it\n" + "\n".join(lines))


def _unclosed(name: str, text: str, error: KernelError) -> KernelError:
    """Return the error of a failed build, or a plainer one where the text ends inside a function."""
    line = unclosed(text) if f"<entries of {name}>" in str(error) else None
    return error if line is None else KernelError(f"{name}:{line}: this brace is never closed\n  need a }} for each {{")


def _key(*options: str, checked: bool = False) -> str:
    return hashlib.sha256("\0".join([identity(checked), *options]).encode()).hexdigest()[:16]


def _header(folder: Path, checked: bool) -> Path:
    """Return the header that stands before every kernel, precompiled on its first use: 0.1 s less a build."""
    plain, clang = sources() / "sim.h", "clang" in _compiler_described()
    header = folder / f"sim-{_key(str(plain), checked=checked)}.h"
    compiled = header.with_suffix(".h.gch")  # the name under which both compilers look for it
    if not compiled.exists():
        with tempfile.TemporaryDirectory(prefix=".sim-", dir=folder) as temporary:
            stub, built = Path(temporary) / header.name, Path(temporary) / compiled.name
            stub.write_text(f'#include "{plain}"\n', encoding="utf-8")
            os.replace(stub, header)
            options = [*_options(checked), *_features(), *_platform_flags()]
            options.remove("-shared")
            options += ["-x", "c++-header", "-o", str(built), str(header)]
            if clang:  # which else refuses it when a header's date has changed; its contents are in the key
                options += ["-Xclang", "-fno-pch-timestamp"]
            _compile(options, folder, "the header of the sim device")
            os.replace(built, compiled)
    return header


def build(unit: Unit, target: Path, checked: bool = False) -> str:
    """Compile `unit` for the host to the shared object `target` and return the compiler's log."""
    label = f"{unit.name} for sim" + "".join(f" {name}={value}" for name, value in unit.macros)
    with tempfile.TemporaryDirectory(prefix=".sim-", dir=target.parent) as temporary:
        folder = Path(temporary)
        shown = folder / (Path(unit.name).name or "kernel.cu")  # what the compiler quotes in its messages
        shown.write_text(unit.text, encoding="utf-8")
        headers = included(unit.text, unit.includes)
        searched = list(unit.includes)
        if any("__shared__" in text for text in headers.values()):
            searched.insert(0, folder / "include")
            for name, text in headers.items():
                path = folder / "include" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f'#line 1 "{name}"\n{rewrite(text, name)}', encoding="utf-8")
        # Macros are defined after the sim headers, whose own names (T, N, ...) they may be.
        generated = [
            *(f"#define {name} {value}" for name, value in unit.macros),
            f'#line 1 "{shown.name}"',
            rewrite(unit.text, unit.name),
            f'#line 1 "<entries of {shown.name}>"',
            *(f"GRADLIB_SIM_ENTRY({entry})" for entry in unit.entries),
            f'GRADLIB_SIM_EXPORT const char gradlib_sim_source[] = "{shown.name}";',
            *(f"GRADLIB_SIM_CLUSTER({entry}, {dims})" for entry, dims in clusters(unit.text, unit.entries).items()),
            "",
        ]
        source, built = folder / "gradlib-unit.cpp", folder / "gradlib-unit.so"
        source.write_text("\n".join(generated), encoding="utf-8")
        options = [
            *_options(checked),
            *_features(),
            *_platform_flags(),
            *(f"-I{path}" for path in searched),
            f"-isystem{sources() / 'compat'}",
        ]
        header = str(_header(target.parent, checked))
        try:
            log = _compile([*options, "-include", header, "-o", str(built), str(source), *_LIBRARIES], folder, label)
        except KernelError as error:
            raise missing(shown.name, unit.text, headers, str(error)) or _unclosed(
                shown.name, unit.text, error
            ) from None
        os.replace(built, target)
    return log


def runtime(folder: Path) -> Path:
    """Return the runtime built for this toolchain, which lies beside the kernels in `folder`; build it if need be."""
    options = [*_COMMON, "-fvisibility=hidden", "-fno-omit-frame-pointer", "-pthread", *_platform_flags()]
    target = folder / f"sim-runtime-{_key(*options)}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(prefix=".sim-", dir=folder) as temporary:
            whole, built = Path(temporary) / "runtime.cpp", Path(temporary) / "runtime.so"
            # As one file: the standard library's headers are read once instead of once each.
            files = "".join(f'#include "{sources() / name}"\n' for name in _RUNTIME_SOURCES)
            whole.write_text(files, encoding="utf-8")
            _compile([*options, "-o", str(built), str(whole)], Path(temporary), "the runtime of the sim device")
            os.replace(built, target)
    return target
