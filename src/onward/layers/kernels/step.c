/* One symbol for each of a few lanes through a whole model, in one call: a list of operations on vectors.
 *
 * inference/stepper.py writes the list; there each operation stands with its equation. A matrix is float, bf16,
 * or int8 with a scale for each row; vectors, states and sums are float. Its rows come in panels of 64, and
 * each panel column by column, so that 64 sums go on side by side; the last panel is filled up with zeros.
 * Where several rows fit a word of 32 bits, those of a word are 16 rows apart: a shift then widens 16 of them.
 * It runs in the thread that calls: a step is shorter than waking a second one.
 */

#include "scalars.h"

enum { EMBED, LINEAR, RMS_NORM, AFFINE, CONVOLVE, GATED_SCAN, GATED_UNIT, ADD, LSTM, GRU, SIMPLE };
enum { FLOAT, BF16, INT8 };

typedef struct {
    int64_t kind, type;       /* of the operation, and of its matrix */
    int64_t rows, columns;    /* of the matrix; elsewhere the size of y and, of a convolution, its taps */
    const float *x;           /* (B, columns) */
    float *y;                 /* (B, rows) */
    float *state, *more;      /* of the layer, (B, ...) */
    const void *matrix;
    const float *scale, *bias; /* of rows; may be null */
    double number;            /* epsilon; whether y is added to; which activation */
} Operation;

enum { PANEL = 64, VECTOR = 16, SIDE = 4 }; /* rows of a panel, of a vector; lanes that share a reading */

typedef float floats __attribute__((vector_size(VECTOR * sizeof(float))));
typedef int32_t integers __attribute__((vector_size(VECTOR * sizeof(int32_t))));
typedef uint32_t words __attribute__((vector_size(VECTOR * sizeof(uint32_t))));

/* Rows 16 k to 16 k + 15 of one column of a panel. */
INLINE void widen_float(const float *column, int k, floats *x) { memcpy(x, column + k * VECTOR, sizeof *x); }

INLINE void widen_bf16(const bf16 *column, int k, floats *x)
{
    words w;
    memcpy(&w, column + k / 2 * 2 * VECTOR, sizeof w);
    *x = (floats)(k % 2 ? w & 0xffff0000u : w << 16);
}

INLINE void widen_int8(const int8_t *column, int k, floats *x)
{
    integers w;
    memcpy(&w, column, sizeof w);
    *x = __builtin_convertvector(w << (24 - 8 * k) >> 24, floats);
}

INLINE float hyperbolic_tangent(float x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

/* y = scale * (matrix x) + bias, or y += that, for x (B, C) and y (B, R). */
#define DEFINE_LINEAR(NAME, TYPE, WIDEN)                                                                       \
    INLINE void NAME##_panel(                                                                                  \
        const int lanes, int64_t C, const TYPE *restrict w, const float *restrict x, float *restrict sums)     \
    {                                                                                                          \
        floats s[SIDE][PANEL / VECTOR] = {0};                                                                  \
        for (int64_t c = 0; c < C; c++)                                                                        \
            for (int k = 0; k < PANEL / VECTOR; k++) {                                                         \
                floats weights;                                                                                \
                WIDEN(w + c * PANEL, k, &weights);                                                             \
                for (int b = 0; b < lanes; b++)                                                                \
                    s[b][k] += weights * x[b * C + c];                                                         \
            }                                                                                                  \
        memcpy(sums, s, lanes * sizeof *s);                                                                    \
    }                                                                                                          \
    MULTIVERSION static void NAME(                                                                             \
        int64_t B, int64_t R, int64_t C, const TYPE *restrict w, const float *restrict scale,                  \
        const float *restrict bias, const float *restrict x, float *restrict y, int add)                       \
    {                                                                                                          \
        float sums[SIDE][PANEL];                                                                               \
        for (int64_t r = 0; r < R; r += PANEL, w += C * PANEL)                                                 \
            for (int64_t b = 0; b < B; b += SIDE) {                                                            \
                int64_t lanes = B - b < SIDE ? B - b : SIDE, rows = R - r < PANEL ? R - r : PANEL;             \
                switch (lanes) {                                                                               \
                case 1: NAME##_panel(1, C, w, x + b * C, *sums); break;                                        \
                case 2: NAME##_panel(2, C, w, x + b * C, *sums); break;                                        \
                case 3: NAME##_panel(3, C, w, x + b * C, *sums); break;                                        \
                default: NAME##_panel(SIDE, C, w, x + b * C, *sums);                                           \
                }                                                                                              \
                for (int64_t l = 0; l < lanes; l++)                                                            \
                    for (int64_t k = 0; k < rows; k++) {                                                       \
                        float sum = scale ? scale[r + k] * sums[l][k] : sums[l][k];                            \
                        float *to = y + (b + l) * R + r + k;                                                   \
                        *to = (add ? *to : 0.0f) + sum + (bias ? bias[r + k] : 0.0f);                          \
                    }                                                                                          \
            }                                                                                                  \
    }

DEFINE_LINEAR(linear_float, float, widen_float)
DEFINE_LINEAR(linear_bf16, bf16, widen_bf16)
DEFINE_LINEAR(linear_int8, int8_t, widen_int8)

static void linear(const Operation *o, int64_t B)
{
    int add = o->number != 0.0;
    if (o->type == FLOAT)
        linear_float(B, o->rows, o->columns, o->matrix, o->scale, o->bias, o->x, o->y, add);
    else if (o->type == BF16)
        linear_bf16(B, o->rows, o->columns, o->matrix, o->scale, o->bias, o->x, o->y, add);
    else
        linear_int8(B, o->rows, o->columns, o->matrix, o->scale, o->bias, o->x, o->y, add);
}

MULTIVERSION static void rms_norm(
    int64_t B, int64_t D, const float *restrict x, const float *restrict scale, float epsilon, float *restrict y)
{
    for (int64_t b = 0; b < B; b++, x += D, y += D) {
        float sum = 0.0f;
        for (int64_t i = 0; i < D; i++)
            sum += x[i] * x[i];
        float inverse = 1.0f / sqrtf(sum / (float)D + epsilon);
        for (int64_t i = 0; i < D; i++)
            y[i] = x[i] * inverse * scale[i];
    }
}

MULTIVERSION static void affine(
    int64_t B, int64_t D, const float *restrict x, const float *restrict scale, const float *restrict bias,
    float *restrict y)
{
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < D; i++)
            y[b * D + i] = x[b * D + i] * scale[i] + bias[i];
}

/* kernel (K, D), the newest first; tail (B, K - 1, D), the oldest first. */
MULTIVERSION static void convolve(
    int64_t B, int64_t D, int64_t K, const float *restrict kernel, const float *restrict x, float *restrict tail,
    float *restrict y)
{
    for (int64_t b = 0; b < B; b++, x += D, y += D, tail += (K - 1) * D) {
        for (int64_t i = 0; i < D; i++)
            y[i] = kernel[i] * x[i];
        for (int64_t k = 1; k < K; k++)
            for (int64_t i = 0; i < D; i++)
                y[i] += kernel[k * D + i] * tail[(K - 1 - k) * D + i];
        if (K > 1) {
            memmove(tail, tail + D, (K - 2) * D * sizeof *tail);
            memcpy(tail + (K - 2) * D, x, D * sizeof *tail);
        }
    }
}

MULTIVERSION static void gated_scan(
    int64_t B, int64_t E, const float *restrict zvg, float *restrict h, float *restrict y)
{
    for (int64_t b = 0; b < B; b++, zvg += 3 * E, h += E, y += E)
        for (int64_t i = 0; i < E; i++) {
            float gate = zvg[2 * E + i];
            h[i] += sigmoid(zvg[i]) * (zvg[E + i] - h[i]);
            y[i] = h[i] * gate * sigmoid(gate);
        }
}

MULTIVERSION static void gated_unit(int64_t B, int64_t F, const float *restrict ab, float *restrict y)
{
    for (int64_t b = 0; b < B; b++, ab += 2 * F, y += F)
        for (int64_t i = 0; i < F; i++)
            y[i] = ab[i] * sigmoid(ab[i]) * ab[F + i];
}

/* Gates i f g o. */
MULTIVERSION static void lstm(
    int64_t B, int64_t D, const float *restrict gates, float *restrict h, float *restrict c, float *restrict y)
{
    for (int64_t b = 0; b < B; b++, gates += 4 * D, h += D, c += D, y += D)
        for (int64_t i = 0; i < D; i++) {
            c[i] = sigmoid(gates[D + i]) * c[i] + sigmoid(gates[i]) * hyperbolic_tangent(gates[2 * D + i]);
            y[i] = h[i] = sigmoid(gates[3 * D + i]) * hyperbolic_tangent(c[i]);
        }
}

/* Gates r z n, of the input and of the state apart. */
MULTIVERSION static void gru(
    int64_t B, int64_t D, const float *restrict of_x, const float *restrict of_h, float *restrict h,
    float *restrict y)
{
    for (int64_t b = 0; b < B; b++, of_x += 3 * D, of_h += 3 * D, h += D, y += D)
        for (int64_t i = 0; i < D; i++) {
            float r = sigmoid(of_x[i] + of_h[i]), z = sigmoid(of_x[D + i] + of_h[D + i]);
            float n = hyperbolic_tangent(of_x[2 * D + i] + r * of_h[2 * D + i]);
            y[i] = h[i] = n + z * (h[i] - n);
        }
}

MULTIVERSION static void simple(
    int64_t N, int relu, const float *restrict x, float *restrict h, float *restrict y)
{
    for (int64_t i = 0; i < N; i++) {
        float positive = x[i] > 0.0f ? x[i] : 0.0f;
        y[i] = h[i] = relu ? positive : hyperbolic_tangent(x[i]);
    }
}

/* Runs the operations in order, for B lanes whose next symbols are ids (B,), each below `symbols`.
 * Returns 0, or 1 if an id is none of the vocabulary; then nothing was done. */
int onward_step(int64_t count, const Operation *operations, int64_t B, const int64_t *ids, int64_t symbols)
{
    for (int64_t b = 0; b < B; b++)
        if (ids[b] < 0 || ids[b] >= symbols)
            return 1;
    for (const Operation *o = operations; o < operations + count; o++) {
        int64_t rows = o->rows, columns = o->columns;
        switch (o->kind) {
        case EMBED:
            for (int64_t b = 0; b < B; b++)
                memcpy(o->y + b * rows, (const float *)o->matrix + ids[b] * rows, rows * sizeof(float));
            break;
        case LINEAR: linear(o, B); break;
        case RMS_NORM: rms_norm(B, rows, o->x, o->scale, (float)o->number, o->y); break;
        case AFFINE: affine(B, rows, o->x, o->scale, o->bias, o->y); break;
        case CONVOLVE: convolve(B, rows, columns, o->matrix, o->x, o->state, o->y); break;
        case GATED_SCAN: gated_scan(B, rows, o->x, o->state, o->y); break;
        case GATED_UNIT: gated_unit(B, rows, o->x, o->y); break;
        case ADD:
            for (int64_t i = 0; i < B * rows; i++)
                o->y[i] += o->x[i];
            break;
        case LSTM: lstm(B, rows, o->x, o->state, o->more, o->y); break;
        case GRU: gru(B, rows, o->x, o->more, o->state, o->y); break;
        case SIMPLE: simple(B * rows, o->number != 0.0, o->x, o->state, o->y); break;
        }
    }
    return 0;
}
