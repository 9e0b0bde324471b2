/* Matrix products: with vectors of GNU C for any processor, and for int8 with AVX-512 VNNI if available.
 *
 * The weights of a model do not fit into the caches of a core, so reading them limits the speed: about 100 GB/s
 * from the third-level cache (benchmarks/LOG.md). While a core waits for memory, it has time for one or two
 * instructions per vector of weights, but not for the four instructions that widen int8.
 */

#include "products.h"

#include "scalars.h"

enum { PANEL = 64, VECTOR = 16, GROUPS = PANEL / VECTOR }; /* rows per panel; rows per vector; vectors per panel */
enum { SIDE = 4, DOT_SIDE = 2 }; /* lanes that share a read of the weights; their sums fit into registers */
enum { AHEAD = 2048 };           /* bytes to prefetch ahead; the processor itself does not prefetch across pages */

typedef float floats __attribute__((vector_size(VECTOR * sizeof(float))));
typedef int32_t integers __attribute__((vector_size(VECTOR * sizeof(int32_t))));
typedef uint32_t words __attribute__((vector_size(VECTOR * sizeof(uint32_t))));

/* Each widen function reads rows 16 k to 16 k + 15 of column c of a panel as float. */
INLINE void widen_float(const float *panel, int64_t c, int k, floats *x)
{
    memcpy(x, panel + c * PANEL + k * VECTOR, sizeof *x);
}

INLINE void widen_bf16(const bf16 *panel, int64_t c, int k, floats *x)
{
    words w;
    memcpy(&w, panel + c * PANEL + k / 2 * 2 * VECTOR, sizeof w);
    *x = (floats)(k % 2 ? w & 0xffff0000u : w << 16);
}

INLINE void widen_int8(const uint8_t *panel, int64_t c, int k, floats *x)
{
    words w;
    memcpy(&w, panel + c / 4 * 4 * PANEL + k * 4 * VECTOR, sizeof w);
    integers of_column = (integers)((w ^ 0x80808080u) << (24 - 8 * (c % 4))); /* flipping the top bit subtracts 128 */
    *x = __builtin_convertvector(of_column >> 24, floats);
}

/* Computes y = scale * sums + bias for rows r to r + rows - 1 of a lane, or adds it to y if `add`. */
INLINE void finish(
    int64_t r, int64_t rows, const float *restrict sums, const float *restrict scale, const float *restrict bias,
    float *restrict y, int add)
{
    for (int64_t k = 0; k < rows; k++) {
        float sum = scale ? scale[r + k] * sums[k] : sums[k];
        y[r + k] = (add ? y[r + k] : 0.0f) + sum + (bias ? bias[r + k] : 0.0f);
    }
}

#define DEFINE_MULTIPLY(NAME, TYPE, WIDEN, IN_WORD)                                                            \
    INLINE void NAME##_panel(                                                                                  \
        const int lanes, int64_t C, const TYPE *restrict w, const float *restrict x, float *restrict sums)     \
    {                                                                                                          \
        floats s[SIDE][GROUPS] = {0};                                                                          \
        for (int64_t c = 0; c < C; c++) {                                                                      \
            for (int64_t line = 0; line < PANEL * (int64_t)sizeof(TYPE); line += 64)                           \
                __builtin_prefetch((const char *)(w + c * PANEL) + line + AHEAD);                              \
            for (int k = 0; k < GROUPS; k++) {                                                                 \
                floats weights;                                                                                \
                WIDEN(w, c, k, &weights);                                                                      \
                for (int b = 0; b < lanes; b++)                                                                \
                    s[b][k] += weights * x[b * C + c];                                                         \
            }                                                                                                  \
        }                                                                                                      \
        memcpy(sums, s, lanes * sizeof *s);                                                                    \
    }                                                                                                          \
    MULTIVERSION static void NAME(                                                                             \
        int64_t B, int64_t R, int64_t C, const TYPE *restrict w, const float *restrict scale,                  \
        const float *restrict bias, const float *restrict x, float *restrict y, int add)                       \
    {                                                                                                          \
        float sums[SIDE][PANEL];                                                                               \
        int64_t size = (C + IN_WORD - 1) / IN_WORD * IN_WORD * PANEL;                                          \
        for (int64_t r = 0; r < R; r += PANEL, w += size)                                                      \
            for (int64_t b = 0; b < B; b += SIDE) {                                                            \
                int64_t lanes = B - b < SIDE ? B - b : SIDE, rows = R - r < PANEL ? R - r : PANEL;             \
                switch (lanes) {                                                                               \
                case 1: NAME##_panel(1, C, w, x + b * C, *sums); break;                                        \
                case 2: NAME##_panel(2, C, w, x + b * C, *sums); break;                                        \
                case 3: NAME##_panel(3, C, w, x + b * C, *sums); break;                                        \
                default: NAME##_panel(SIDE, C, w, x + b * C, *sums);                                           \
                }                                                                                              \
                for (int64_t l = 0; l < lanes; l++)                                                            \
                    finish(r, rows, sums[l], scale, bias, y + (b + l) * R, add);                               \
            }                                                                                                  \
    }

DEFINE_MULTIPLY(multiply_float, float, widen_float, 1)
DEFINE_MULTIPLY(multiply_bf16, bf16, widen_bf16, 1)
DEFINE_MULTIPLY(multiply_int8, uint8_t, widen_int8, 4)

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>

#define DOT __attribute__((target("arch=x86-64-v4,avx512vnni")))

/* Without this, GCC moves each sum to another register and back in each iteration: 25 % slower for two lanes. */
#ifdef __clang__
#define NO_PRE
#else
#define NO_PRE __attribute__((optimize("no-tree-pre")))
#endif

/* A vector as 16-bit integers times a scale: x = scale * (256 high + low), with signed bytes as digits. The second
 * digit costs little, because the weights are not read again for it. */
typedef struct {
    float scale;
    int32_t high, low; /* -128 * the sum of the digits, to correct for the 128 that is added to each weight */
    int32_t unused;
    int8_t digits[]; /* for every four columns: high, then low */
} Digits;

enum { LARGEST = 127 * 256 };

DOT static void digits_of(int64_t C, const float *restrict x, Digits *restrict to)
{
    float largest = 0.0f, odd = 0.0f;
    for (int64_t i = 0; i < C; i++) {
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
        odd += x[i] * 0.0f; /* NaN if an x is not finite, so that all sums become NaN */
    }
    to->scale = largest / LARGEST + odd;
    __m512 inverse = _mm512_set1_ps(largest > 1e-30f ? LARGEST / largest : 0.0f);
    __m512i highs = _mm512_setzero_si512(), lows = highs;
    for (int64_t i = 0; i < C; i += VECTOR) {
        __mmask16 within = C - i < VECTOR ? (1 << (C - i)) - 1 : 0xffff;
        __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(within, x + i), inverse));
        __m512i high = _mm512_srai_epi32(_mm512_add_epi32(whole, _mm512_set1_epi32(128)), 8);
        __m512i low = _mm512_sub_epi32(whole, _mm512_slli_epi32(high, 8));
        highs = _mm512_add_epi32(highs, high), lows = _mm512_add_epi32(lows, low);
        __m128i h = _mm512_cvtepi32_epi8(high), l = _mm512_cvtepi32_epi8(low);
        _mm_storeu_si128((__m128i *)(to->digits + 2 * i), _mm_unpacklo_epi32(h, l));
        _mm_storeu_si128((__m128i *)(to->digits + 2 * i + 16), _mm_unpackhi_epi32(h, l));
    }
    to->high = -128 * _mm512_reduce_add_epi32(highs);
    to->low = -128 * _mm512_reduce_add_epi32(lows);
}

/* Computes the sums of a panel for one or two lanes, without the scales of its rows. */
DOT INLINE void dot_panel(
    const int lanes, int64_t C, const uint8_t *restrict w, const Digits *const *x, float (*restrict sums)[PANEL])
{
    __m512i high[DOT_SIDE][GROUPS], low[DOT_SIDE][GROUPS];
    for (int b = 0; b < lanes; b++)
        for (int k = 0; k < GROUPS; k++) {
            high[b][k] = _mm512_set1_epi32(x[b]->high);
            low[b][k] = _mm512_set1_epi32(x[b]->low);
        }
    for (int64_t c = 0; c < C; c += 4, w += 4 * PANEL) {
        __m512i first[DOT_SIDE], second[DOT_SIDE]; /* digits of four columns, repeated for every row */
        for (int b = 0; b < lanes; b++) {
            int32_t digits[2];
            memcpy(digits, x[b]->digits + 2 * c, sizeof digits);
            first[b] = _mm512_set1_epi32(digits[0]), second[b] = _mm512_set1_epi32(digits[1]);
        }
        for (int k = 0; k < GROUPS; k++) {
            __m512i weights = _mm512_loadu_si512(w + k * 4 * VECTOR);
            __builtin_prefetch(w + k * 4 * VECTOR + AHEAD);
            for (int b = 0; b < lanes; b++) {
                high[b][k] = _mm512_dpbusd_epi32(high[b][k], weights, first[b]);
                low[b][k] = _mm512_dpbusd_epi32(low[b][k], weights, second[b]);
            }
        }
    }
    for (int b = 0; b < lanes; b++)
        for (int k = 0; k < GROUPS; k++) {
            __m512 sum = _mm512_fmadd_ps(
                _mm512_cvtepi32_ps(high[b][k]), _mm512_set1_ps(256.0f), _mm512_cvtepi32_ps(low[b][k]));
            _mm512_storeu_ps(sums[b] + k * VECTOR, _mm512_mul_ps(sum, _mm512_set1_ps(x[b]->scale)));
        }
}

DOT NO_PRE static void multiply_dot(
    int64_t B, int64_t R, int64_t C, const uint8_t *restrict w, const float *restrict scale,
    const float *restrict bias, const float *restrict x, float *restrict y, int add, char *restrict workspace)
{
    float sums[DOT_SIDE][PANEL];
    for (int64_t b = 0; b < B; b++)
        digits_of(C, x + b * C, (Digits *)(workspace + b * WORKSPACE(C)));
    for (int64_t r = 0; r < R; r += PANEL, w += (C + 3) / 4 * 4 * PANEL)
        for (int64_t b = 0; b < B; b += DOT_SIDE) {
            int64_t lanes = B - b < DOT_SIDE ? B - b : DOT_SIDE, rows = R - r < PANEL ? R - r : PANEL;
            const Digits *digits[DOT_SIDE];
            for (int64_t l = 0; l < lanes; l++)
                digits[l] = (const Digits *)(workspace + (b + l) * WORKSPACE(C));
            if (lanes == 1)
                dot_panel(1, C, w, digits, sums);
            else
                dot_panel(DOT_SIDE, C, w, digits, sums);
            for (int64_t l = 0; l < lanes; l++)
                finish(r, rows, sums[l], scale, bias, y + (b + l) * R, add);
        }
}

int onward_has_dot(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
}

#else

static void multiply_dot(
    int64_t B, int64_t R, int64_t C, const uint8_t *w, const float *scale, const float *bias, const float *x,
    float *y, int add, char *workspace)
{
    (void)workspace;
    multiply_int8(B, R, C, w, scale, bias, x, y, add);
}

int onward_has_dot(void) { return 0; }

#endif

void multiply(
    int64_t product, int64_t B, int64_t R, int64_t C, const void *matrix, const float *scale, const float *bias,
    const float *x, float *y, int add, void *workspace)
{
    switch (product) {
    case FLOAT: multiply_float(B, R, C, matrix, scale, bias, x, y, add); break;
    case BF16: multiply_bf16(B, R, C, matrix, scale, bias, x, y, add); break;
    case INT8: multiply_int8(B, R, C, matrix, scale, bias, x, y, add); break;
    default: multiply_dot(B, R, C, matrix, scale, bias, x, y, add, workspace);
    }
}
