/* Int8 depthwise convolutions: four output channels at a time. */
#include "tl_int8.h"

#if !TL_DENSE_ONLY

/* Channels [first, first + 4) of one position, each from an input channel of its own. */
static void four(const tl_layer *layer, const tl_window *at, const int8_t *x, uint32_t first,
                 uint32_t sum[4])
{
    const int8_t *weights = (const int8_t *)layer->weights + first;
    for (uint32_t row = at->row; row < at->row_end; row++) {
        for (uint32_t column = at->column; column < at->column_end; column++) {
            const int8_t *from = x + tl_pixel(layer, at, row, column) + first;
            const int8_t *w = weights + (row * layer->kernel_w + column) * layer->out.c;
#if defined(__ARM_FEATURE_DSP)
            uint32_t offset = (uint32_t)-layer->in_zero & 0xffffu, a, b, even, odd;
            __builtin_memcpy(&a, from, 4);
            __builtin_memcpy(&b, w, 4);
            offset |= offset << 16;
            __asm__("sxtab16 %[even], %[offset], %[a]\n\t"
                    "sxtab16 %[odd], %[offset], %[a], ror #8\n\t"
                    "sxtb16 %[a], %[b]\n\t"
                    "sxtb16 %[b], %[b], ror #8\n\t"
                    "smlabb %[s0], %[even], %[a], %[s0]\n\t"
                    "smlabb %[s1], %[odd], %[b], %[s1]\n\t"
                    "smlatt %[s2], %[even], %[a], %[s2]\n\t"
                    "smlatt %[s3], %[odd], %[b], %[s3]\n\t"
                    : [s0] "+r"(sum[0]), [s1] "+r"(sum[1]), [s2] "+r"(sum[2]), [s3] "+r"(sum[3]),
                      [a] "+r"(a), [b] "+r"(b), [even] "=&r"(even), [odd] "=&r"(odd)
                    : [offset] "r"(offset));
#else
            for (uint32_t k = 0; k < 4u; k++) {
                sum[k] += (uint32_t)((from[k] - layer->in_zero) * w[k]);
            }
#endif
        }
    }
}

/* Channels [first, first + count) of one position, that have one input channel in common. */
static void shared(const tl_layer *layer, const tl_window *at, const int8_t *x, uint32_t first,
                   uint32_t count, uint32_t sum[4])
{
    const int8_t *weights = (const int8_t *)layer->weights + first;
    x += first / (layer->out.c / layer->in.c);
    for (uint32_t row = at->row; row < at->row_end; row++) {
        for (uint32_t column = at->column; column < at->column_end; column++) {
            int32_t value = x[tl_pixel(layer, at, row, column)] - layer->in_zero;
            const int8_t *w = weights + (row * layer->kernel_w + column) * layer->out.c;
            for (uint32_t k = 0; k < count; k++) {
                sum[k] += (uint32_t)(value * w[k]);
            }
        }
    }
}

static void position(const tl_layer *layer, const int32_t *rescale, const tl_window *at,
                     const int8_t *x, tl_int8_range range, int8_t *y)
{
    uint32_t multiplier = layer->out.c / layer->in.c, count;
    for (uint32_t first = 0; first < layer->out.c; first += count) {
        uint32_t left = layer->out.c - first, same = multiplier - first % multiplier, sum[4];
        count = multiplier == 1u && left >= 4u ? 4u : same < 4u ? same : 4u;
        for (uint32_t k = 0; k < count; k++) {
            sum[k] = tl_int8_bias(layer, first + k);
        }
        if (multiplier == 1u && count == 4u) {
            four(layer, at, x, first, sum);
        } else if (count == 4u) {
            shared(layer, at, x, first, 4, sum);
        } else {
            shared(layer, at, x, first, count, sum);
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
    for (uint32_t row = 0; row < layer->out.h; row++) {
        for (uint32_t column = 0; column < layer->out.w; column++, y += layer->out.c) {
            tl_window at = tl_window_at(layer, row, column);
            position(layer, rescale, &at, x, range, y);
        }
    }
}

#endif
