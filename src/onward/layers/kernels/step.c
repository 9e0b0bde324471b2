/* Runs one step of a whole model, with one symbol for each lane, in one call. A step is a list of operations.
 *
 * inference/step/program.py builds the list, and has the equations. Matrices are stored as in products.h; vectors,
 * states and sums are float. Lanes are independent, so many lanes are divided into shares for several threads. Few
 * lanes form a single share, which the calling thread computes, because waking another thread would take longer.
 */

#include "draw.h"
#include "products.h"
#include "scalars.h"
#include "team.h"

#include <stdatomic.h>

enum { EMBED, LINEAR, RMS_NORM, AFFINE, CONVOLVE, GATED_SCAN, GATED_UNIT, ADD, LSTM, GRU, SIMPLE };

typedef struct {
    int64_t kind, product;    /* kind of the operation; kind of its matrix product (products.h) */
    int64_t rows, columns;    /* size of the matrix; else size of y, and taps of a convolution */
    const float *x;           /* (B, columns) */
    float *y;                 /* (B, rows) */
    float *state, *more;      /* states of the layer, (B, ...); for a product, `more` is its workspace */
    const void *matrix;
    const float *scale, *bias; /* per row; may be null */
    double number;            /* epsilon; or whether to add to y; or whether the activation is ReLU */
} StepOperation;

typedef struct {
    int64_t count, lanes, symbols; /* number of operations; B; V */
    const StepOperation *operations;
    int64_t *ids;                  /* (B,), below V */
    float *logits;                 /* (B, V), the result of the operations */
    const double *chances;         /* (B,), random numbers for drawing */
    float *weights;                /* (V,), scratch memory for drawing */
} Step;

typedef struct {
    int64_t count, threads; /* number of shares; maximum number of threads */
    const Step *steps;      /* one per share */
} Shares;

typedef struct {
    const Shares *shares;
    const Drawing *drawing; /* null if no symbols are drawn */
    int64_t never;
    atomic_int failed; /* whether a logit is not finite */
} Call;

INLINE float hyperbolic_tangent(float x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

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

/* kernel (K, D) has the newest position first, tail (B, K - 1, D) the oldest. */
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

/* Gate order i f g o. */
MULTIVERSION static void lstm(
    int64_t B, int64_t D, const float *restrict gates, float *restrict h, float *restrict c, float *restrict y)
{
    for (int64_t b = 0; b < B; b++, gates += 4 * D, h += D, c += D, y += D)
        for (int64_t i = 0; i < D; i++) {
            c[i] = sigmoid(gates[D + i]) * c[i] + sigmoid(gates[i]) * hyperbolic_tangent(gates[2 * D + i]);
            y[i] = h[i] = sigmoid(gates[3 * D + i]) * hyperbolic_tangent(c[i]);
        }
}

/* Gate order r z n; the products with the input and with the state are separate. */
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

static void run(const StepOperation *o, int64_t B, const int64_t *ids)
{
    int64_t rows = o->rows, columns = o->columns;
    switch (o->kind) {
    case EMBED:
        for (int64_t b = 0; b < B; b++)
            memcpy(o->y + b * rows, (const float *)o->matrix + ids[b] * rows, rows * sizeof(float));
        break;
    case LINEAR:
        multiply(
            o->product, B, rows, columns, o->matrix, o->scale, o->bias, o->x, o->y, o->number != 0.0, o->more);
        break;
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

/* Runs the operations of a share in order, and then draws its symbols if requested. */
static void run_share(void *argument, int64_t number)
{
    Call *call = argument;
    const Step *step = call->shares->steps + number;
    for (int64_t i = 0; i < step->count; i++)
        run(step->operations + i, step->lanes, step->ids);
    if (!call->drawing)
        return;
    for (int64_t b = 0; b < step->lanes; b++)
        for (int64_t i = 0; i < call->never; i++)
            step->logits[b * step->symbols + i] = -INFINITY;
    if (onward_draw(
            call->drawing, step->lanes, step->symbols, step->logits, step->chances, step->weights, step->ids))
        atomic_store(&call->failed, 1);
}

static int run_call(Call *call)
{
    const Shares *shares = call->shares;
    for (const Step *step = shares->steps; step < shares->steps + shares->count; step++)
        for (int64_t b = 0; b < step->lanes; b++)
            if (step->ids[b] < 0 || step->ids[b] >= step->symbols)
                return 1;
    share_out(run_share, call, shares->count, shares->threads);
    return 2 * atomic_load(&call->failed);
}

/* Runs a step that reads one id in each lane.
 * Returns 0, or 1 if an id is outside the vocabulary; then nothing was computed. */
int onward_step(const Shares *shares)
{
    Call call = {.shares = shares};
    return run_call(&call);
}

/* Runs a step like onward_step, and draws the next ids; the first `never` ids are not drawn.
 * Returns 2 if the logits are not finite. */
int onward_write(const Shares *shares, const Drawing *drawing, int64_t never)
{
    Call call = {.shares = shares, .drawing = drawing, .never = never};
    return run_call(&call);
}
