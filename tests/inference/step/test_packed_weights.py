import re
from importlib.resources import files

import pytest
import torch

from onward.inference.step.packed_weights import PackedWeights, WeightType, workspace_size
from onward.model import LanguageModel, ModelConfig


def small() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(symbols=67, width=10, layers=1))


def read(panels: torch.Tensor, scale: torch.Tensor | None, rows: int, columns: int) -> torch.Tensor:
    """Returns the matrix (rows, columns) that the C code reads from packed panels."""
    flat, matrix = panels.view(-1), torch.empty(rows, columns)
    width = columns if scale is None else 4 * -(-columns // 4)
    values = (flat.view(torch.float32) if scale is None else flat).float()
    for r in range(rows):
        panel, row = divmod(r, 64)
        for c in range(columns):
            place = c * 64 + row if scale is None else (c // 4 * 64 + row) * 4 + c % 4
            matrix[r, c] = values[panel * 64 * width + place]
    return matrix if scale is None else (matrix - 128) * scale[:, None]


def test_matrices_have_the_layout_of_the_c_code() -> None:
    model = small()
    for weights in ("fp32", "int8"):
        matrices = PackedWeights(model, weights)
        for matrix in (model.readout.weight, *(p for p in model.stack.parameters() if p.dim() == 2)):
            found = read(*matrices.of(matrix), *matrix.shape)
            step = matrix.abs().amax(1, keepdim=True) / 127 if weights == "int8" else 0 * matrix
            assert bool(((found - matrix).abs() <= step / 2 + 1e-7).all())


@pytest.mark.parametrize("weights", ["fp32", "bf16", "int8"])
def test_matrices_are_contiguous_and_packed_once(weights: WeightType) -> None:
    model = small()
    matrices, end = PackedWeights(model, weights), None
    for matrix in (p for p in model.parameters() if p.dim() == 2 and p is not model.embedding.weight):
        panels, _ = matrices.of(matrix)
        assert panels.data_ptr() % 64 == 0
        assert end in (None, panels.data_ptr())
        assert matrices.of(matrix)[0] is panels
        end = panels.data_ptr() + panels.numel()


def test_rows_beyond_the_matrix_are_zeros() -> None:
    model = LanguageModel(ModelConfig(symbols=67, width=512, layers=1))
    matrix = model.readout.weight
    panels, _ = PackedWeights(model, "fp32").of(matrix)
    assert panels.data_ptr() % 64 == 0
    found = panels.view(torch.float32).view(-1, 512, 64).transpose(1, 2).flatten(0, 1)
    assert torch.equal(found[:67], matrix.detach())
    assert not found[67:].any()


def test_unknown_types_are_refused() -> None:
    with pytest.raises(Exception, match="int4"):  # beartype raises in the tests, onward otherwise
        PackedWeights(small(), "int4")  # type: ignore[arg-type]


def test_the_workspace_has_the_size_that_the_c_code_needs() -> None:
    header = files("onward.layers.kernels").joinpath("products.h").read_text("utf-8")
    macro = re.search(r"#define WORKSPACE\(columns\) (.+)", header)
    assert macro
    for columns in (1, 15, 16, 17, 250, 512, 65_000):
        wanted = eval(macro[1].replace("/", "//"), {"columns": columns})  # C's division of whole numbers
        assert workspace_size(columns) == wanted
