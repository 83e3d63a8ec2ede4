"""Testing ops, kernels and derivatives: for gradlib's own suite and for its users'."""

from ..kernel import launches
from .check_op import Report, check_op
from .check_update import check_update
from .gradcheck import gradcheck
from .kernel_arguments import Pixels, Tiles
from .run_kernel import run_kernel
from .samples import KernelSample, samples
from .tolerance import TOLERANCE, assert_close

__all__ = [
    "TOLERANCE",
    "KernelSample",
    "Pixels",
    "Report",
    "Tiles",
    "assert_close",
    "check_op",
    "check_update",
    "gradcheck",
    "launches",
    "run_kernel",
    "samples",
]
