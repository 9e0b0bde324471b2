import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from onward.layers.kernels import triton_backend
print(triton_backend.available, "triton" in sys.modules)
"""


@pytest.mark.parametrize("value", [None, "", "0"])
@pytest.mark.slow
def test_triton_is_off_by_default(value: str | None) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "ONWARD_TRITON"}
    environment |= {"TRITON_INTERPRET": "1"} | ({} if value is None else {"ONWARD_TRITON": value})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
