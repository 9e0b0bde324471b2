/* Products of a matrix with the vectors of a few lanes.
 *
 * A matrix (R, C) is float, bf16, or int8 with a scale for each row. Its rows are stored in panels of 64, so that
 * 64 sums are computed together. The last panel is padded with zeros. A float panel is stored column by column.
 * Panels of narrower types are stored in words of 32 bits:
 *
 *     bf16   per column, words with rows 0 and 16, 1 and 17 ..., then rows 32 and 48 ...; one shift widens 16 rows
 *     int8   per four columns (the last ones padded), one word for each row, with 128 added to each weight, as the
 *            instruction that adds four products requires
 */

#ifndef ONWARD_PRODUCTS_H
#define ONWARD_PRODUCTS_H

#include <stdint.h>

enum { FLOAT, BF16, INT8, INT8_DOT }; /* the last two use the same stored matrix */

/* Bytes of scratch memory that each lane needs at `workspace`, for a matrix with that many columns. */
#define WORKSPACE(columns) (16 + 2 * (((columns) + 15) / 16 * 16))

/* Computes y (B, R) = scale * (matrix x) + bias for x (B, C), or adds it to y if `add`. Scale and bias may be null.
 * INT8_DOT requires onward_has_dot(), and WORKSPACE(C) bytes per lane at `workspace`. */
void multiply(
    int64_t product, int64_t B, int64_t R, int64_t C, const void *matrix, const float *scale, const float *bias,
    const float *x, float *y, int add, void *workspace);

/* Returns whether this processor multiplies bytes and adds the products in one instruction (AVX-512 VNNI). */
int onward_has_dot(void);

#endif
