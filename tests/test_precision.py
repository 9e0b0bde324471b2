from collections.abc import Iterator

import pytest
import torch

from onward import precision as module
from onward.precision import in_precision, measured_precision, quick_precision


@pytest.fixture(autouse=True)
def uncached() -> Iterator[None]:
    """Each test measures, and leaves no measurement behind."""
    measured_precision.cache_clear()
    yield
    measured_precision.cache_clear()


@pytest.mark.parametrize(("seconds", "found"), [(0.5, "bf16"), (0.75, "bf16"), (0.85, "fp32"), (2.0, "fp32")])
def test_bfloat16_is_chosen_if_it_is_a_quarter_faster(
    seconds: float, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0

    def linear(x: torch.Tensor, weight: torch.Tensor) -> None:
        nonlocal clock
        clock += seconds if x.dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock)
    assert quick_precision(torch.device("cpu")) == found


def test_products_have_the_requested_precision() -> None:
    x = torch.ones(2, 2)
    with in_precision(x.device, "bf16"):
        assert torch.mm(x, x).dtype == torch.bfloat16
    with in_precision(x.device, "fp32"):
        assert torch.mm(x, x).dtype == torch.float32
