"""The one part of the build that pyproject.toml cannot say: the C code, which may fail to build."""

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "src/onward/layers/kernels"
FLAGS = [
    "-O3",
    "-std=gnu11",
    "-fopenmp",
    "-pthread",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",
    "-freciprocal-math",
    "-ffp-contract=fast",
]


class BuildKernels(build_ext):
    """A library with a C interface: found by its file, loaded by ctypes, so nothing of Python is exported."""

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """No PyInit function."""
        return []


setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=[
        Extension(
            "onward.layers.kernels._kernels",
            sources=[f"{KERNELS}/{name}.c" for name in ("kernels", "step", "products", "draw", "team")],
            depends=[
                f"{KERNELS}/{name}" for name in ("kernels.inc", "scalars.h", "products.h", "draw.h", "team.h")
            ],
            extra_compile_args=FLAGS,
            extra_link_args=["-fopenmp", "-pthread"],
            libraries=["m"],
            optional=True,  # without a compiler onward runs on the PyTorch reference, slower
        ),
        Extension(
            "onward.inference.novelty._automaton",
            sources=["src/onward/inference/novelty/automaton.c"],
            extra_compile_args=FLAGS,
            extra_link_args=["-fopenmp"],
            optional=True,  # without a compiler Python does the same, slower
        ),
    ],
)
