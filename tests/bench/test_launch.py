"""The suite that measures what Python does for a launch, and the device without a GPU that it runs on."""

from __future__ import annotations

import numpy as np
import pytest

from gradlib.backend import available, backend_of, get
from gradlib.bench.libraries import Gradlib
from gradlib.bench.stub import stub
from gradlib.bench.suites import SUITES


@pytest.mark.parametrize("case", SUITES["launch"]("tiny", "float32"), ids=lambda case: case.name)
def test_what_python_does_for_a_launch_can_be_measured(case):
    passes = case.entries["gradlib"](Gradlib("cpu"), case.inputs())
    assert set(passes) == set(case.work)
    for which, run in passes.items():
        run()
        before = stub().xp.launches
        run()
        assert stub().xp.launches - before == case.work[which].ops


def test_the_stub_stands_for_cuda_but_is_not_it():
    made = stub()
    x = made.asarray(np.ones(3, np.float32))
    assert backend_of(x) is made
    assert (made.name, made.limits.name) == ("cuda", "stub")
    assert available("cuda")[0] is False or get("cuda") is not made
