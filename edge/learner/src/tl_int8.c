/*
 * Int8 inference. Sums are exact in int32; the sum is rescaled with one float32 product and
 * rounded half away from zero, which is the same on every target and within one step of a
 * fixed-point rescale.
 */
#include "tl_internal.h"

static float scale_of(const tl_layer *layer, uint32_t channel)
{
    float scale;
    __builtin_memcpy(&scale, layer->scales + 4u * (layer->per_channel ? channel : 0u), 4);
    return scale;
}

static int32_t bias_of(const tl_layer *layer, uint32_t o)
{
    int32_t bias = 0;
    if (layer->bias != 0) {
        __builtin_memcpy(&bias, layer->bias + 4u * o, 4);
    }
    return bias;
}

static int32_t round_away(float x)
{
    if (x > 1e9f || x < -1e9f) {
        return x > 0.0f ? 1000000000 : -1000000000;
    }
    return (int32_t)(x + (x < 0.0f ? -0.5f : 0.5f));
}

static int8_t clamp(int32_t value, int32_t lowest)
{
    value = value < lowest ? lowest : value;
    return (int8_t)(value > 127 ? 127 : value);
}

int8_t tl_quantise(float x, float scale, int32_t zero)
{
    return clamp(round_away(x / scale) + zero, -128);
}

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

void tl_int8_prepare(const tl_layer *layer, int32_t *rescale)
{
    for (uint32_t o = 0; o < 2u * layer->out.c; o++) {
        rescale[o] = 0;
    }
}

void tl_int8_forward(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y)
{
    const int8_t *weights = (const int8_t *)layer->weights;
    int32_t lowest = layer->activation == TL_RELU ? layer->out_zero : -128;
    (void)rescale;
    for (uint32_t o = 0; layer->kind == TL_DENSE && o < layer->out.c; o++) {
        const int8_t *row = weights + o * layer->in.c;
        uint32_t sum = (uint32_t)bias_of(layer, o); /* unsigned: a hostile bias may wrap */
        for (uint32_t i = 0; i < layer->in.c; i++) {
            sum += (uint32_t)((x[i] - layer->in_zero) * row[i]);
        }
        float ratio = layer->in_scale * scale_of(layer, o) / layer->out_scale;
        y[o] = clamp(round_away((float)(int32_t)sum * ratio) + layer->out_zero, lowest);
    }
    for (uint32_t i = 0; layer->kind == TL_ACTIVATE && i < layer->out.c; i++) {
        y[i] = x[i];
    }
}
