/* What the int8 kernels share. */
#ifndef TL_INT8_H
#define TL_INT8_H

#include "tl_internal.h"

/* For inner loops that shall have all registers to themselves. */
#define NOINLINE __attribute__((noinline))

/* What a layer may give: bounds of a rescaled sum before the output's zero point is added. */
typedef struct tl_int8_range {
    int32_t low, high, zero;
} tl_int8_range;

/* Bounds from the output's zero point and a fused ReLU or ReLU6. */
tl_int8_range tl_int8_range_of(const tl_layer *layer);

/* What tl_int8_rescale takes to multiply by in * weight / out. `weight` of null
 * is 1. The product of the first two may be rounded to a float first, as TFLite does for a dense
 * layer with one scale. Scales that are no positive finite numbers give 0. */
void tl_int8_ratio(float in, const uint8_t *weight, float out, bool rounded, int32_t rescale[2]);

/* Parts of an input that are summed with parts of the weights, for several output channels. There
 * is at least one line and one run, which may have no bytes. */
typedef struct tl_int8_runs {
    const int8_t *x, *w;      /* the first run */
    uint32_t length;          /* bytes of a run */
    uint32_t count;           /* runs in a line */
    uint32_t x_next, w_next;  /* bytes from one run to the next */
    uint32_t lines;
    uint32_t x_line, w_line;  /* bytes from one line to the next */
    uint32_t channel;         /* bytes from the weights of one output channel to the next */
    int32_t zero;             /* zero point of x */
    uint32_t step, second;    /* these are set by tl_int8_channels */
    uint32_t offset;          /* the zero point as it is added to what is loaded */
} tl_int8_runs;

/* y[o] of all output channels of one position of a dense layer or a convolution. */
void tl_int8_channels(const tl_layer *layer, const int32_t *rescale, tl_int8_runs *runs,
                      tl_int8_range range, int8_t *y);

/* Rescale the sums of four channels that lie next to one another, and bound the results. */
void tl_int8_results(const uint32_t sum[4], const int32_t *rescale, tl_int8_range range, int8_t *y);

/* The kinds of layers. */
void tl_int8_dense(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y);
void tl_int8_conv(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y);
void tl_int8_depthwise(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y);
void tl_int8_pool(const tl_layer *layer, const int8_t *x, int8_t *y);
void tl_int8_mean(const tl_layer *layer, const int8_t *x, int8_t *y);
void tl_int8_pad(const tl_layer *layer, const int8_t *x, int8_t *y);
void tl_int8_activate(const tl_layer *layer, const int8_t *x, int8_t *y);
void tl_int8_requantise(const tl_layer *layer, const int8_t *x, int8_t *y);

static inline uint32_t tl_int8_bias(const tl_layer *layer, uint32_t channel)
{
    uint32_t bias = 0;
    if (layer->bias != 0) {
        __builtin_memcpy(&bias, layer->bias + 4u * channel, 4);
    }
    return bias;
}

/* sum * rescale[0] * 2^(shift - 31) with shift = ~rescale[1] in [-31, 30], rounded twice as TFLite's
 * reference kernels do: the product to 31 bits fewer, then the shift half away from zero. A sum that
 * is too large to be shifted left wraps. */
static inline int32_t tl_int8_rescale(uint32_t sum, const int32_t *rescale)
{
    int32_t right = rescale[1];
    int32_t value = (int32_t)(sum << (right < 0 ? ~right : 0));
    int32_t high = (int32_t)(((int64_t)value * rescale[0] + (1 << 30)) >> 31);
    return right < 0 ? high : (((high + (high >> 31)) >> right) + 1) >> 1;
}

static inline int8_t tl_int8_clamp(int32_t value, tl_int8_range range)
{
    value = value < range.low ? range.low : value;
    value = value > range.high ? range.high : value;
    return (int8_t)(value + range.zero);
}

#endif
