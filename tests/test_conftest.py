"""The suite's own rules."""

from __future__ import annotations

import pytest


@pytest.mark.gpu
def test_a_gpu_test_that_never_reached_a_gpu_does_not_end_its_worker() -> None:
    """Nor does one that skips from within: without a GPU, none can be broken (see `_alone_with_its_fault`)."""
