/* Samples symbols in the same way as inference/step/sampling.py. */

#ifndef ONWARD_DRAW_H
#define ONWARD_DRAW_H

#include <stdint.h>

/* Sampling options, applied in this order. Each comment gives the value without effect. */
typedef struct {
    double temperature; /* 1; with 0 the most likely symbol is drawn */
    int64_t top_k;      /* V or more */
    double top_p;       /* 1 */
    double min_p;       /* 0 */
} Drawing;

/* Draws one symbol for each lane into `drawn` (B,), from logits (B, V) and random numbers `chances` (B,) in [0, 1).
 * `weights` (V,) is scratch memory. Returns 0, or 1 if the logits are not finite. */
int onward_draw(
    const Drawing *drawing, int64_t B, int64_t V, const float *logits, const double *chances, float *weights,
    int64_t *drawn);

#endif
