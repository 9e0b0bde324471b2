/* The elementwise kernels of onward for a CPU: plain C without Python or torch, called through ctypes.
 *
 * reference.py has the equations, under the same names. Arrays are contiguous. The suffixes `_f32` and `_bf16` state
 * the type of the activations. All arithmetic, states, sums and the weights of elementwise products are float32.
 *
 * A call of a kernel computes one share of the work, and onward_run divides the shares among threads. A share is a
 * range of rows, elements or features, and each of these has the same value in any share. So results do not depend on
 * the number of threads.
 *
 * Loops over features are written so that the compiler vectorises them. Each function is compiled for three
 * instruction sets, and the loader picks the best one for the processor.
 */

#include "scalars.h"
#include "team.h"

enum { CHUNK = 64 }; /* number of features that are computed together along time */

/* An argument of a kernel: an integer, a number, or an array. */
typedef union {
    int64_t n;
    double f;
    void *p;
} Argument;

typedef void Kernel(const Argument *arg, int64_t share, int64_t shares);

typedef struct {
    int64_t first, end;
} Range;

/* Returns range `i` of those that divide `count` rows into `ranges` ranges, as evenly as possible. */
INLINE Range range_of(int64_t i, int64_t ranges, int64_t count)
{
    return (Range){count * i / ranges, count * (i + 1) / ranges};
}

/* Returns the random bits of element i under a seed: the integer hash "lowbias32" (C. Wellons, 2018). */
INLINE uint32_t hash32(uint32_t i, uint32_t seed)
{
    uint32_t x = i ^ seed;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

#define REAL float
#define LOAD load_f32
#define STORE store_f32
#define NAME(name) name##_f32
#include "kernels.inc"
#undef REAL
#undef LOAD
#undef STORE
#undef NAME

#define REAL bf16
#define LOAD load_bf16
#define STORE store_bf16
#define NAME(name) name##_bf16
#include "kernels.inc"

typedef struct {
    Kernel *kernel;
    const Argument *arguments;
    int64_t shares;
} Run;

static void run_share(void *argument, int64_t share)
{
    const Run *run = argument;
    run->kernel(run->arguments, share, run->shares);
}

/* Computes all shares of a kernel's work on at most `threads` threads. */
void onward_run(Kernel *kernel, const Argument *arguments, int64_t shares, int64_t threads)
{
    Run run = {kernel, arguments, shares};
    share_out(run_share, &run, shares, threads);
}
