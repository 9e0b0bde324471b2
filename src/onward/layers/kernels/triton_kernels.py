"""The kernels in Triton, for a GPU. Names, arguments and equations are those of kernels.inc.

A program computes a block of features: for one lane if the kernel runs along time, else for some rows. The
kernels are experimental (see `triton_backend`).
"""

import triton
import triton.language as tl


@triton.jit
def gated_scan_forward(T, B, E, zvg, h0, y, states, FEATURES: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * FEATURES + tl.arange(0, FEATURES)
    real = i < E
    h = tl.load(h0 + b * E + i, mask=real, other=0.0)
    for t in range(T):
        row = t * B + b
        at = zvg + row * 3 * E + i
        z = tl.load(at, mask=real, other=0.0).to(tl.float32)
        v = tl.load(at + E, mask=real, other=0.0).to(tl.float32)
        g = tl.load(at + 2 * E, mask=real, other=0.0).to(tl.float32)
        h += tl.sigmoid(z) * (v - h)
        tl.store(states + row * E + i, h, mask=real)
        tl.store(y + row * E + i, (h * g * tl.sigmoid(g)).to(y.dtype.element_ty), mask=real)


@triton.jit
def gated_scan_backward(T, B, E, zvg, h0, states, dy, dzvg, dh, FEATURES: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * FEATURES + tl.arange(0, FEATURES)
    real = i < E
    d = tl.load(dh + b * E + i, mask=real, other=0.0)
    for back in range(T):
        t = T - 1 - back
        row = t * B + b
        at = zvg + row * 3 * E + i
        take = tl.sigmoid(tl.load(at, mask=real, other=0.0).to(tl.float32))
        v = tl.load(at + E, mask=real, other=0.0).to(tl.float32)
        g = tl.load(at + 2 * E, mask=real, other=0.0).to(tl.float32)
        up = tl.load(dy + row * E + i, mask=real, other=0.0).to(tl.float32)
        now = tl.load(states + row * E + i, mask=real, other=0.0)
        later = i * 0 + t > 0
        first = tl.load(h0 + b * E + i, mask=real & (later == 0), other=0.0)
        before = first + tl.load(states + (row - B) * E + i, mask=real & later, other=0.0)
        opened = tl.sigmoid(g)
        total = d + up * g * opened
        to = dzvg + row * 3 * E + i
        kind = dzvg.dtype.element_ty
        tl.store(to, (total * (v - before) * take * (1.0 - take)).to(kind), mask=real)
        tl.store(to + E, (total * take).to(kind), mask=real)
        tl.store(to + 2 * E, (up * now * opened * (1.0 + g * (1.0 - opened))).to(kind), mask=real)
        d = total * (1.0 - take)
    tl.store(dh + b * E + i, d, mask=real)


@triton.jit
def gated_unit_forward(N, F, ab, y, ELEMENTS: tl.constexpr):
    n = tl.program_id(0).to(tl.int64) * ELEMENTS + tl.arange(0, ELEMENTS)
    real = n < N * F
    at = ab + n // F * 2 * F + n % F
    a = tl.load(at, mask=real, other=0.0).to(tl.float32)
    b = tl.load(at + F, mask=real, other=0.0).to(tl.float32)
    tl.store(y + n, (a * tl.sigmoid(a) * b).to(y.dtype.element_ty), mask=real)


@triton.jit
def gated_unit_backward(N, F, ab, dy, dab, ELEMENTS: tl.constexpr):
    n = tl.program_id(0).to(tl.int64) * ELEMENTS + tl.arange(0, ELEMENTS)
    real = n < N * F
    place = n // F * 2 * F + n % F
    a = tl.load(ab + place, mask=real, other=0.0).to(tl.float32)
    b = tl.load(ab + place + F, mask=real, other=0.0).to(tl.float32)
    up = tl.load(dy + n, mask=real, other=0.0).to(tl.float32)
    s = tl.sigmoid(a)
    kind = dab.dtype.element_ty
    tl.store(dab + place, (up * b * s * (1.0 + a * (1.0 - s))).to(kind), mask=real)
    tl.store(dab + place + F, (up * a * s).to(kind), mask=real)


@triton.jit
def rms_norm_forward(N, D, epsilon, x, scale, y, inverse, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, WIDTH)
    real = i < D
    value = tl.load(x + row * D + i, mask=real, other=0.0)
    r = 1.0 / tl.sqrt(tl.sum(value * value) / D + epsilon)
    tl.store(inverse + row, r)
    gain = tl.load(scale + i, mask=real, other=0.0)
    tl.store(y + row * D + i, (value * r * gain).to(y.dtype.element_ty), mask=real)


@triton.jit
def rms_norm_backward(N, D, parts, x, scale, inverse, dy, dx, partial, WIDTH: tl.constexpr):
    part = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, WIDTH)
    real = i < D
    gain = tl.load(scale + i, mask=real, other=0.0)
    dscale = tl.zeros([WIDTH], tl.float32)
    for row in range(N * part // parts, N * (part + 1) // parts):
        r = tl.load(inverse + row)
        unit = tl.load(x + row * D + i, mask=real, other=0.0) * r
        up = tl.load(dy + row * D + i, mask=real, other=0.0).to(tl.float32)
        dscale += up * unit
        along = tl.sum(up * gain * unit) / D
        tl.store(dx + row * D + i, r * (up * gain - unit * along), mask=real)
    tl.store(partial + part * D + i, dscale, mask=real)


@triton.jit
def causal_convolution_forward(T, B, D, x, tail, kernel, y, K: tl.constexpr, FEATURES: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * FEATURES + tl.arange(0, FEATURES)
    real = i < D
    t, b = row // B + i * 0, row % B
    total = tl.zeros([FEATURES], tl.float32)
    for k in tl.static_range(K):
        gain = tl.load(kernel + k * D + i, mask=real, other=0.0)
        newer = tl.load(x + (row - k * B) * D + i, mask=real & (t >= k), other=0.0).to(tl.float32)
        place = (b * (K - 1) + K - 1 + t - k) * D + i
        older = tl.load(tail + place, mask=real & (t < k), other=0.0)
        total += gain * (newer + older)
    tl.store(y + row * D + i, total.to(y.dtype.element_ty), mask=real)


@triton.jit
def causal_convolution_backward_x(T, B, D, kernel, dy, dx, dtail, K: tl.constexpr, FEATURES: tl.constexpr):
    """Computes the gradients of all positions, from the oldest of the tail (t = 1 - K) to the newest of x."""
    row = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * FEATURES + tl.arange(0, FEATURES)
    real = i < D
    t, b = row // B - (K - 1) + i * 0, row % B
    total = tl.zeros([FEATURES], tl.float32)
    for k in tl.static_range(K):
        gain = tl.load(kernel + k * D + i, mask=real, other=0.0)
        reached = (t + k >= 0) & (t + k < T)
        up = tl.load(dy + ((t + k) * B + b) * D + i, mask=real & reached, other=0.0)
        total += gain * up.to(tl.float32)
    tl.store(dx + (t * B + b) * D + i, total.to(dx.dtype.element_ty), mask=real & (t >= 0))
    tl.store(dtail + (b * (K - 1) + K - 1 + t) * D + i, total, mask=real & (t < 0))


@triton.jit
def causal_convolution_backward_kernel(
    T, B, D, parts, x, tail, dy, partial, K: tl.constexpr, FEATURES: tl.constexpr, ROWS: tl.constexpr
):
    """Computes a partial sum for each range of rows: partial (parts, K, D)."""
    k, part = tl.program_id(0), tl.program_id(2).to(tl.int64)
    first, end = T * B * part // parts, T * B * (part + 1) // parts
    i = (tl.program_id(1) * FEATURES + tl.arange(0, FEATURES))[None, :]
    total = tl.zeros([ROWS, FEATURES], tl.float32)
    for start in range(first, end, ROWS):
        row = (start + tl.arange(0, ROWS).to(tl.int64))[:, None]
        t, b = row // B, row % B
        real = (row < end) & (i < D)
        up = tl.load(dy + row * D + i, mask=real, other=0.0).to(tl.float32)
        newer = tl.load(x + (row - k * B) * D + i, mask=real & (t >= k), other=0.0).to(tl.float32)
        place = (b * (K - 1) + K - 1 + t - k) * D + i
        older = tl.load(tail + place, mask=real & (t < k), other=0.0)
        total += up * (newer + older)
    features = tl.program_id(1) * FEATURES + tl.arange(0, FEATURES)
    tl.store(partial + (part * K + k) * D + features, tl.sum(total, 0), mask=features < D)


@triton.jit
def add_dropped(N, threshold, seed, scale, x, branch, y, ADDS: tl.constexpr, ELEMENTS: tl.constexpr):
    """y = kept(branch), plus x if `ADDS`; the hash is "lowbias32" (C. Wellons, 2018), as in kernels.c."""
    n = tl.program_id(0).to(tl.int64) * ELEMENTS + tl.arange(0, ELEMENTS)
    real = n < N
    bits = n.to(tl.uint32) ^ seed.to(tl.uint32)
    bits = bits ^ (bits >> 16)
    bits = bits * tl.full([], 0x7FEB352D, tl.uint32)
    bits = bits ^ (bits >> 15)
    bits = bits * tl.full([], 0x846CA68B, tl.uint32)
    bits = bits ^ (bits >> 16)
    factor = tl.where(bits >= threshold.to(tl.uint32), scale, 0.0)
    value = factor * tl.load(branch + n, mask=real, other=0.0).to(tl.float32)
    if ADDS:
        value += tl.load(x + n, mask=real, other=0.0)
    tl.store(y + n, value.to(y.dtype.element_ty), mask=real)
