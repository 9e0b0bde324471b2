/* The elementwise kernels of onward for a CPU: plain C without Python or torch, called through ctypes.
 *
 * reference.py has the equations, under the same names. Arrays are contiguous. The suffixes `_f32` and `_bf16` state
 * the type of the activations. All arithmetic, states, sums and the weights of elementwise products are float32.
 *
 * Loops over features are written so that the compiler vectorises them. Each function is compiled for three
 * instruction sets, and the loader picks the best one for the processor. Results do not depend on the number of
 * threads.
 */

#include "scalars.h"

enum { CHUNK = 64 }; /* number of features that a thread computes together along time */

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
