/*
 * Int8 inference. Sums are exact in int32 and rescaled in fixed point as TFLite's reference
 * kernels do, so the results are theirs; a sum that does not fit wraps.
 */
#include "tl_int8.h"

/* Rounded half away from zero; bounded, so that no scale makes it overflow. NaN: the lower bound. */
static int32_t round_away(float x)
{
    if (!(x > -1e6f)) {
        return -1000000;
    }
    if (x > 1e6f) {
        return 1000000;
    }
    int32_t whole = (int32_t)x;
    float rest = x - (float)whole; /* exact */
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

int8_t tl_quantise(float x, float scale, int32_t zero)
{
    int32_t value = round_away(x / scale) + zero;
    value = value < -128 ? -128 : value;
    return (int8_t)(value > 127 ? 127 : value);
}

#if !TL_DENSE_ONLY

void tl_quantise_many(const tl_layer *layer, const float *x, int8_t *y)
{
    for (uint32_t i = 0; i < tl_elements(layer->out); i++) {
        y[i] = tl_quantise(x[i], layer->out_scale, layer->out_zero);
    }
}

void tl_dequantise_many(const tl_layer *layer, const int8_t *x, float *y)
{
    for (uint32_t i = 0; i < tl_elements(layer->out); i++) {
        y[i] = (float)(x[i] - layer->in_zero) * layer->in_scale;
    }
}

tl_int8_range tl_int8_range_of(const tl_layer *layer)
{
    tl_int8_range range = {-128 - layer->out_zero, 127 - layer->out_zero, layer->out_zero};
    if (layer->activation == TL_RELU || layer->activation == TL_RELU6) {
        range.low = 0;
    }
    if (layer->activation == TL_RELU6) {
        int32_t six = round_away(6.0f / layer->out_scale);
        range.high = six < range.high ? six : range.high;
        range.high = range.high < range.low ? range.low : range.high;
    }
    return range;
}

void tl_int8_forward(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y)
{
    switch (layer->kind) {
    case TL_DENSE:
        tl_int8_dense(layer, rescale, x, y);
        break;
    case TL_CONV:
        tl_int8_conv(layer, rescale, x, y);
        break;
    case TL_DEPTHWISE:
        tl_int8_depthwise(layer, rescale, x, y);
        break;
    case TL_MAX_POOL:
    case TL_AVERAGE_POOL:
        tl_int8_pool(layer, x, y);
        break;
    case TL_MEAN:
        tl_int8_mean(layer, x, y);
        break;
    case TL_PAD:
        tl_int8_pad(layer, x, y);
        break;
    case TL_ACTIVATE:
        tl_int8_activate(layer, x, y);
        break;
    default:
        tl_int8_requantise(layer, x, y);
        break;
    }
}

#endif
