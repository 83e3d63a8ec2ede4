"""Every `Kernel` that the package declares, against the file it names."""

from __future__ import annotations

import importlib
import pkgutil

import gradlib.ops
from gradlib.kernel import Kernel, entries, folder, kernel_files

for _module in pkgutil.iter_modules(gradlib.ops.__path__):
    importlib.import_module(f"gradlib.ops.{_module.name}")
_KERNELS = [kernel for kernel in Kernel.declared() if (folder() / kernel.file).is_file()]


def test_every_declaration_agrees_with_its_file() -> None:
    assert len(_KERNELS) > 20
    for kernel in _KERNELS:
        assert kernel.signature.entry == kernel.entry  # reading it raises on drift


def test_every_entry_of_every_file_is_declared() -> None:
    used = {(kernel.file, kernel.entry) for kernel in _KERNELS}
    there = {(path.name, entry) for path in kernel_files() for entry in entries(path.read_text("utf-8"))}
    assert there - used == set()


def test_every_parameter_can_be_passed_with_the_defaults() -> None:
    for kernel in _KERNELS:
        assert len(kernel.slots({})) == len(kernel.arrays) + len(kernel.scalars)
