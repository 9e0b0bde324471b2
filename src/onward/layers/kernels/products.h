/* Products of a matrix and the vectors of a few lanes.
 *
 * A matrix (R, C) is float, bf16, or int8 with a scale for each row. Its rows come in panels of 64, so that 64
 * sums go on side by side; the last panel is filled up with zeros. Float comes column by column. Narrower
 * types come in words of 32 bits, of which a panel has 16 or more side by side:
 *
 *     bf16   one column: words of rows 0 and 16, 1 and 17 ..., then of rows 32 and 48 ...: a shift widens 16
 *     int8   four columns, the last ones filled up: a word holds those of one row, each plus 128, as the
 *            instruction that adds four products at once wants it
 */

#ifndef ONWARD_PRODUCTS_H
#define ONWARD_PRODUCTS_H

#include <stdint.h>

enum { FLOAT, BF16, INT8, INT8_DOT }; /* of which the last two read the same matrix */

/* Bytes that a lane needs at `workplace`, for a matrix with so many columns. */
#define WORKPLACE(columns) (16 + 2 * (((columns) + 15) / 16 * 16))

/* y (B, R) = scale * (matrix x) + bias, or y += that, for x (B, C); scale and bias may be null.
 * INT8_DOT, only where onward_has_dot(), writes at `workplace`, WORKPLACE(C) bytes a lane. */
void multiply(
    int64_t product, int64_t B, int64_t R, int64_t C, const void *matrix, const float *scale, const float *bias,
    const float *x, float *y, int add, void *workplace);

/* Whether this processor adds products of bytes in one instruction (AVX-512 VNNI). */
int onward_has_dot(void);

#endif
