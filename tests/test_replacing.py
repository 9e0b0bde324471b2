from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.artefacts import rewrite, small

from onward.artefact import save
from onward.errors import InputError
from onward.replacing import refuse_to_replace


def test_models_of_ours_alone_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "m.onward"
    save(small(), file)
    refuse_to_replace(file, [])
    refuse_to_replace(tmp_path / "missing", [])
    rewrite(file, lambda header: header.update(format=2))  # of a later version
    refuse_to_replace(file, [])
    with pytest.raises(InputError, match="is a source"):
        refuse_to_replace(file, [file])
    zeros, text, foreign = (tmp_path / name for name in ("zeros", "text", "foreign"))
    zeros.write_bytes(bytes(1000))
    text.write_text("some text that took long to write")
    save_file({"w": torch.zeros(3)}, foreign, {"format": "pt"})
    for path in (zeros, text, foreign):
        with pytest.raises(InputError, match="is no model of onward"):
            refuse_to_replace(path, [])
