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

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)
#define MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MULTIVERSION
#endif
#define INLINE static inline __attribute__((always_inline))

typedef uint16_t bf16;

enum { CHUNK = 64 }; /* features one thread carries along time at once */

INLINE float load_f32(const float *p) { return *p; }
INLINE void store_f32(float *p, float x) { *p = x; }

INLINE float load_bf16(const bf16 *p)
{
    uint32_t bits = (uint32_t)*p << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Rounds to nearest, ties to even, as torch does; a NaN becomes the quiet NaN. */
INLINE void store_bf16(bf16 *p, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    *p = (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : (bf16)rounded;
}

/* e^x to about 1e-7 relative for |x| <= 87, saturated beyond: 2^n times the Taylor polynomial of the rest. */
INLINE float exponential(float x)
{
    x = x > 87.0f ? 87.0f : x;
    x = x < -87.0f ? -87.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f; /* ln 2 in two parts, so that r keeps its digits */
    float p = 1.98756915e-4f;
    p = p * r + 1.39819995e-3f;
    p = p * r + 8.33345200e-3f;
    p = p * r + 4.16657962e-2f;
    p = p * r + 1.66666655e-1f;
    p = p * r + 5.00000012e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

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
