/* The elementwise kernels of onward on a CPU: C ABI, no Python and no torch in it, called through ctypes.
 *
 * Each function states its equations in reference.py; the names are the same. Arrays are contiguous, in
 * the order of their shapes; `_f32` and `_bf16` say the type of the activations. Arithmetic is float32
 * throughout, and so are states, weights of elementwise products and everything that is summed.
 *
 * Every loop over features is written so that the compiler vectorises it, and every function is compiled
 * for three instruction sets, of which the loader picks the best that the processor has. Work is divided
 * so that no result depends on the number of threads.
 */

#include "scalars.h"

enum { CHUNK = 64 }; /* features one thread carries along time at once */

/* The random bits of feature i under a seed: the integer hash "lowbias32" (C. Wellons, 2018). */
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
