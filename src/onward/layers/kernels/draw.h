/* Drawing symbols as inference/sampling.py says. */

#ifndef ONWARD_DRAW_H
#define ONWARD_DRAW_H

#include <stdint.h>

/* What applies, in this order; a field that is to change nothing has the value after it. */
typedef struct {
    double temperature; /* 1; at 0 the likeliest is taken */
    int64_t top_k;      /* V or more */
    double top_p;       /* 1 */
    double min_p;       /* 0 */
} Drawing;

/* Draws one symbol for each lane into `drawn` (B,), from logits (B, V) and chances (B,); weights (V,) is a
 * workplace. Returns 0, or 1 if logits are not finite numbers. */
int onward_draw(
    const Drawing *drawing, int64_t B, int64_t V, const float *logits, const double *chances, float *weights,
    int64_t *drawn);

#endif
