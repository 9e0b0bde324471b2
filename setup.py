"""The part of the build that pyproject.toml cannot describe: the C kernels, which may fail to build."""

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "src/onward/layers/kernels"
FLAGS = [
    "-O3",
    "-std=gnu11",
    "-fopenmp-simd",
    "-pthread",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",
    "-freciprocal-math",
    "-ffp-contract=fast",
]


class BuildKernels(build_ext):
    """Builds a C library for ctypes. It is not a Python module, so it exports no PyInit function."""

    def get_export_symbols(self, ext: Extension) -> list[str]:
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
            extra_link_args=["-pthread"],
            libraries=["m"],
            optional=True,  # without a compiler, onward uses the PyTorch reference, which is slower
        )
    ],
)
