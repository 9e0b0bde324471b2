/* Scalar types and functions for all kernels. */

#ifndef ONWARD_SCALARS_H
#define ONWARD_SCALARS_H

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

INLINE float load_f32(const float *p) { return *p; }
INLINE void store_f32(float *p, float x) { *p = x; }

INLINE float load_bf16(const bf16 *p)
{
    uint32_t bits = (uint32_t)*p << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Rounds to nearest, ties to even, as torch does. NaN becomes the quiet NaN. */
INLINE void store_bf16(bf16 *p, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    *p = (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : (bf16)rounded;
}

/* e^x, saturated beyond |x| = 87: 2^n times the Taylor polynomial of the remainder. The relative error is below 3e-7
 * in vectors. In the last elements of a row, where compilers merge the two parts of ln 2, it is below
 * 5e-8 * (2 + |x|). */
INLINE float exponential(float x)
{
    x = x > 87.0f ? 87.0f : x;
    x = x < -87.0f ? -87.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f; /* ln 2 in two parts, so that r stays exact */
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

#endif
