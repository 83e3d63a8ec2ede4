"""Floors against numbers counted by hand."""

from __future__ import annotations

import pytest

from gradlib.bench.case import SIZES, Work, noise
from gradlib.bench.suites import SUITES, conv, dense, step


def test_dense_counts_by_hand():
    # x (2, 3), w (3, 4), b (4,), y (2, 4): 2 x 4 outputs of 3 multiply-adds
    work = dense.work(2, 3, 4, "relu", 4)
    assert work["forward"] == Work(48, 4 * (6 + 12 + 4 + 8))
    # two products; reads x, w, g, y and writes dx, dw, db
    assert work["backward"] == Work(96, 4 * (6 + 12 + 8 + 8 + 6 + 12 + 4))
    assert dense.work(2, 3, 4, None, 4)["backward"].bytes == 4 * (6 + 12 + 8 + 6 + 12 + 4)


def test_conv_counts_by_hand():
    # one 4x4 image of 2 channels, stride 2, padding 1: 2x2 positions of 3 filters, 3x3x2 multiply-adds each
    layer = conv.Layer(1, 4, 2, 3, stride=2)
    assert layer.out == 2
    work = conv.work(layer, 2)
    assert work["forward"] == Work(2 * 12 * 18, 2 * (32 + 54 + 3 + 12))
    assert work["backward"] == Work(4 * 12 * 18, 2 * (32 + 54 + 12 + 12 + 32 + 54 + 3))


def test_depthwise_conv_counts_one_channel_per_filter():
    assert conv.work(conv.Layer(1, 3, 5, 5, groups=5), 4)["forward"].flops == 2 * 3 * 3 * 5 * 9


def test_resnet50_stem_is_the_published_size():
    # 118 million multiply-adds an image: 112 x 112 x 64 outputs of 7 x 7 x 3
    stem = conv.Layer(1, 224, 3, 64, kernel=7, stride=2, padding=3)
    assert conv.work(stem, 4)["forward"].flops == 2 * 112 * 112 * 64 * 147


def test_step_counts_three_products_but_two_for_the_first_layer():
    network = step.Network("n", 2, (3,), (step.Dense(3, 4), step.Dense(4, 5, None)))
    assert network.flops == 2 * 2 * 12 * 2 + 2 * 2 * 20 * 3
    pooled = step.Network("n", 1, (4, 4, 1), (step.Conv(1, 2), step.Pool(), step.Conv(2, 1)))
    assert pooled.flops == 2 * (16 * 9 * 2) * 2 + 2 * (4 * 9 * 2) * 3


def test_floor_is_the_slower_of_computing_and_moving():
    machine = {"copy_bytes": 10.0, "float32_flops": 100.0}
    assert Work(200, 5).floor(machine, "float32") == 2.0
    assert Work(200, 50).floor(machine, "float32") == 5.0
    assert Work(0, 50).floor(machine, "float16") == 5.0
    assert Work(200, 50).floor(machine, "float16") is None  # its rate was not measured
    assert Work(0, 0).floor(machine, "float32") is None
    assert Work(200, 50).floor({}, "float32") is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("suite", SUITES)
def test_every_size_of_every_suite_has_distinct_cases(suite, size):
    cases = SUITES[suite](size, "float32")
    assert cases
    assert len({case.name for case in cases}) == len(cases)
    assert all(case.work and "gradlib" in case.entries for case in cases)


def test_noise_repeats_by_seed_and_fills_big_shapes():
    first, again, other = noise((3, 5), "float32"), noise((3, 5), "float32"), noise((3, 5), "float32", seed=1)
    assert (first == again).all()
    assert (first != other).any()
    assert noise((1001, 1001), "bfloat16").dtype.name == "bfloat16"
    assert noise((1001, 1001), "float32").std() == pytest.approx(1, abs=0.01)
