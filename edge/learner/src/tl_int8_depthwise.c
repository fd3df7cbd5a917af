/* Int8 depthwise convolutions: four output channels at a time. */
#include "tl_int8.h"

#if !TL_DENSE_ONLY

/* The taps of a window that lie inside. */
typedef struct taps {
    const int8_t *x, *w;      /* of the first one */
    uint32_t rows, columns;
    uint32_t x_row, w_row;    /* bytes from one row to the next */
    uint32_t x_column;        /* and from one column to the next; of weights: out.c */
} taps;

static taps taps_of(const tl_layer *layer, const tl_window *at, const int8_t *x)
{
    uint32_t from = (at->row * (uint32_t)layer->kernel_w + at->column) * layer->out.c;
    bool none = at->row >= at->row_end || at->column >= at->column_end;
    taps t = {x, (const int8_t *)layer->weights + from, 0, 0, 0, 0, 0};
    if (!none) {
        t.x += tl_pixel(layer, at, at->row, at->column);
        t.rows = (uint32_t)(at->row_end - at->row);
        t.columns = (uint32_t)(at->column_end - at->column);
    }
    t.x_row = (uint32_t)layer->dilation_h * layer->in.w * layer->in.c;
    t.w_row = (uint32_t)layer->kernel_w * layer->out.c;
    t.x_column = (uint32_t)layer->dilation_w * layer->in.c;
    return t;
}

/* Channels [first, first + 4) of one position, each from an input channel of its own. */
static NOINLINE void four(const tl_layer *layer, const taps *t, uint32_t first, uint32_t sum[4])
{
    uint32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3], next = layer->out.c;
    const int8_t *x_row = t->x + first, *w_row = t->w + first;
#if defined(__ARM_FEATURE_DSP)
    uint32_t offset = ((uint32_t)-layer->in_zero & 0xffffu) * 0x10001u;
#endif
    for (uint32_t i = t->rows; i != 0; i--, x_row += t->x_row, w_row += t->w_row) {
        const int8_t *x = x_row, *w = w_row;
        for (uint32_t j = t->columns; j != 0; j--, x += t->x_column, w += next) {
#if defined(__ARM_FEATURE_DSP)
            uint32_t a, b, even, odd;
            __builtin_memcpy(&a, x, 4);
            __builtin_memcpy(&b, w, 4);
            __asm__("sxtab16 %[even], %[offset], %[a]\n\t"
                    "sxtab16 %[odd], %[offset], %[a], ror #8\n\t"
                    "sxtb16 %[a], %[b]\n\t"
                    "sxtb16 %[b], %[b], ror #8\n\t"
                    "smlabb %[s0], %[even], %[a], %[s0]\n\t"
                    "smlabb %[s1], %[odd], %[b], %[s1]\n\t"
                    "smlatt %[s2], %[even], %[a], %[s2]\n\t"
                    "smlatt %[s3], %[odd], %[b], %[s3]\n\t"
                    : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [a] "+r"(a),
                      [b] "+r"(b), [even] "=&r"(even), [odd] "=&r"(odd)
                    : [offset] "r"(offset));
#else
            int32_t zero = layer->in_zero;
            s0 += (uint32_t)((x[0] - zero) * w[0]);
            s1 += (uint32_t)((x[1] - zero) * w[1]);
            s2 += (uint32_t)((x[2] - zero) * w[2]);
            s3 += (uint32_t)((x[3] - zero) * w[3]);
#endif
        }
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
}

/* Four channels that have one input channel in common; those from `count` on count for nothing. */
static NOINLINE void shared(const tl_layer *layer, const taps *t, uint32_t first, uint32_t count,
                            uint32_t sum[4])
{
    uint32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3], next = layer->out.c;
    uint32_t b = count > 1u, c = count > 2u ? 2u : 0u, d = count > 3u ? 3u : 0u;
    const int8_t *x_row = t->x + first / (next / layer->in.c), *w_row = t->w + first;
    for (uint32_t i = t->rows; i != 0; i--, x_row += t->x_row, w_row += t->w_row) {
        const int8_t *x = x_row, *w = w_row;
        for (uint32_t j = t->columns; j != 0; j--, x += t->x_column, w += next) {
            int32_t value = *x - layer->in_zero;
            s0 += (uint32_t)(value * w[0]);
            s1 += (uint32_t)(value * w[b]);
            s2 += (uint32_t)(value * w[c]);
            s3 += (uint32_t)(value * w[d]);
        }
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
}

static void position(const tl_layer *layer, const int32_t *rescale, const taps *t,
                     uint32_t multiplier, tl_int8_range range, int8_t *y)
{
    uint32_t count;
    for (uint32_t first = 0; first < layer->out.c; first += count) {
        uint32_t left = layer->out.c - first, same = multiplier - first % multiplier;
        uint32_t sum[4] = {0, 0, 0, 0};
        count = multiplier == 1u && left >= 4u ? 4u : same < 4u ? same : 4u;
        for (uint32_t k = 0; k < count; k++) {
            sum[k] = tl_int8_bias(layer, first + k);
        }
        if (multiplier == 1u && count == 4u) {
            four(layer, t, first, sum);
        } else {
            shared(layer, t, first, count, sum);
        }
        if (count == 4u) {
            tl_int8_results(sum, rescale + 2u * first, range, y + first);
            continue;
        }
        for (uint32_t k = 0; k < count; k++) {
            const int32_t *by = rescale + 2u * (first + k);
            y[first + k] = tl_int8_clamp(tl_int8_rescale(sum[k], by), range);
        }
    }
}

void tl_int8_depthwise(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y)
{
    tl_int8_range range = tl_int8_range_of(layer);
    uint32_t multiplier = layer->out.c / layer->in.c;
    for (uint32_t row = 0; row < layer->out.h; row++) {
        for (uint32_t column = 0; column < layer->out.w; column++, y += layer->out.c) {
            tl_window at = tl_window_at(layer, row, column);
            taps t = taps_of(layer, &at, x);
            position(layer, rescale, &t, multiplier, range, y);
        }
    }
}

#endif
