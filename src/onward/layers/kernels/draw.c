/* Samples symbols by inverting the cumulative distribution, in the order of the ids. */

#include "draw.h"

#include "scalars.h"

/* Returns the largest threshold t in [0, 1] for which the weights >= t reach `enough`: in number if `counted`,
 * else in sum. The bit patterns of non-negative floats are ordered like the floats, so bisection over them
 * takes 30 passes for any V, without sorting. */
INLINE float threshold(int64_t V, const float *restrict weights, double enough, int counted)
{
    uint32_t low = 0, high = 0x3f800000u; /* the bits of 0 and of 1, the largest weight */
    while (low < high) {
        uint32_t middle = high - (high - low) / 2;
        float least;
        memcpy(&least, &middle, sizeof least);
        double sum = 0.0;
        for (int64_t i = 0; i < V; i++)
            sum += weights[i] < least ? 0.0 : counted ? 1.0 : (double)weights[i];
        if (sum >= enough)
            low = middle;
        else
            high = middle - 1;
    }
    float found;
    memcpy(&found, &low, sizeof found);
    return found;
}

INLINE void zero_below(int64_t V, float *weights, float least)
{
    for (int64_t i = 0; i < V; i++)
        weights[i] = weights[i] < least ? 0.0f : weights[i];
}

INLINE double sum_of(int64_t V, const float *weights)
{
    double sum = 0.0;
    for (int64_t i = 0; i < V; i++)
        sum += weights[i];
    return sum;
}

/* Returns the largest logit; infinity if a logit is NaN or infinite, or if all are -infinity. */
INLINE float largest(int64_t V, const float *logits)
{
    float top = -INFINITY;
    int numbers = 1;
    for (int64_t i = 0; i < V; i++) {
        top = logits[i] > top ? logits[i] : top;
        numbers &= logits[i] < INFINITY; /* false for NaN too */
    }
    return numbers ? top : INFINITY;
}

/* Computes the weights of the symbols: at most 1, and 0 for symbols that must not be drawn. */
INLINE void weigh(const Drawing *d, int64_t V, const float *restrict logits, float top, float *restrict weights)
{
    for (int64_t i = 0; i < V; i++) {
        float x = (logits[i] - top) / (float)d->temperature;
        weights[i] = x < -87.0f ? 0.0f : exponential(x);
    }
    if (d->top_k < V)
        zero_below(V, weights, threshold(V, weights, (double)d->top_k, 1));
    if (d->top_p < 1.0)
        zero_below(V, weights, threshold(V, weights, d->top_p * sum_of(V, weights), 0));
    if (d->min_p > 0.0)
        zero_below(V, weights, (float)d->min_p);
}

MULTIVERSION int onward_draw(
    const Drawing *drawing, int64_t B, int64_t V, const float *restrict logits, const double *restrict chances,
    float *restrict weights, int64_t *restrict drawn)
{
    for (int64_t b = 0; b < B; b++, logits += V) {
        float top = largest(V, logits);
        if (!(fabsf(top) < INFINITY))
            return 1;
        drawn[b] = 0;
        if (drawing->temperature == 0.0) {
            while (logits[drawn[b]] < top)
                drawn[b]++;
            continue;
        }
        weigh(drawing, V, logits, top, weights);
        double place = chances[b] * sum_of(V, weights);
        for (int64_t i = 0; i < V && place >= 0.0; i++) {
            if (weights[i] > 0.0f)
                drawn[b] = i; /* rounding may leave a remainder after the last symbol */
            place -= weights[i];
        }
    }
    return 0;
}
