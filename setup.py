"""The part of the build that pyproject.toml cannot describe: the C code, which may fail to build."""

from pathlib import Path
from tempfile import TemporaryDirectory

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

KERNELS = "src/onward/layers/kernels"
HEADERS = ("kernels.inc", "scalars.h", "products.h", "draw.h", "team.h")
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
# A mistake in the kernels then ends the process, instead of running an attacker's code. Each flag is used if
# the compiler accepts it. benchmarks/kernel_builds.py measures their cost.
HARDENING = [
    "-fstack-protector-strong",
    "-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3",
    "-Wl,-z,relro,-z,now",
    "-Wl,-z,noexecstack",
]


class BuildKernels(build_ext):
    """Builds a C library for ctypes. It is not a Python module, so it exports no PyInit function."""

    def build_extensions(self) -> None:
        """Adds the flags that the compiler accepts."""
        accepted = [flag for flags in HARDENING if self._accepts(flags.split()) for flag in flags.split()]
        for extension in self.extensions:
            extension.extra_compile_args = [
                *extension.extra_compile_args,
                *(flag for flag in accepted if not flag.startswith("-Wl,")),
            ]
            extension.extra_link_args += [flag for flag in accepted if flag.startswith("-Wl,")]
        super().build_extensions()

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return []

    def _accepts(self, flags: list[str]) -> bool:
        with TemporaryDirectory() as folder:
            source = Path(folder, "test.c")
            source.write_text("int test(void) { return 0; }\n")
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=["-Werror", "-O3", *flags]
                )
                self.compiler.link_shared_object(objects, str(Path(folder, "test.so")), extra_postargs=flags)
            except (CompileError, LinkError):
                return False
        return True


setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=[
        Extension(
            "onward.layers.kernels._kernels",
            sources=[f"{KERNELS}/{name}.c" for name in ("kernels", "step", "products", "draw", "team")],
            depends=["setup.py", *(f"{KERNELS}/{name}" for name in HEADERS)],
            extra_compile_args=FLAGS,
            extra_link_args=["-pthread"],
            libraries=["m"],
            optional=True,  # without a compiler, onward uses the PyTorch reference, which is slower
        ),
        Extension(
            "onward.inference.novelty._automaton",
            sources=["src/onward/inference/novelty/automaton.c"],
            depends=["setup.py"],
            extra_compile_args=FLAGS,
            optional=True,  # without a compiler, Python does the same, slower
        ),
        Extension(
            "onward.memory._memory",
            sources=["src/onward/memory/memory.c"],
            depends=["setup.py"],
            extra_compile_args=FLAGS,
            libraries=["m"],
            optional=True,  # without a compiler, Python does the same, slower
        ),
    ],
)
