"""CUDA kernels: found, checked against their `.cu` files, compiled once, cached, launched and logged."""

from __future__ import annotations

from . import cache, tuned
from .build import compile_many
from .kernel import Kernel
from .log import LaunchRecord, debug_level, launches, set_debug_level
from .plan import Plan, Planner, plans_at_once, without_plans
from .record import Record
from .settings import settings
from .signature import ctype, entries
from .source import folder, include_folder, kernel_files, load
from .table import CHUNK, Table
from .variants import architectures, variants

__all__ = [
    "CHUNK",
    "Kernel",
    "LaunchRecord",
    "Plan",
    "Planner",
    "Record",
    "Table",
    "architectures",
    "cache",
    "compile_many",
    "ctype",
    "debug_level",
    "entries",
    "folder",
    "include_folder",
    "kernel_files",
    "launches",
    "load",
    "plans_at_once",
    "set_debug_level",
    "settings",
    "tuned",
    "variants",
    "without_plans",
]
