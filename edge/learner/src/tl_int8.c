/*
 * Int8 inference. Sums are exact in int32; the sum is rescaled with one float32 product and
 * rounded half away from zero, which is the same on every target and within one step of a
 * fixed-point rescale.
 */
#include "tl_internal.h"

static float scale_of(const tl_layer *layer, uint32_t channel)
{
    float scale;
    __builtin_memcpy(&scale, layer->scales + 4u * (layer->n_scales > 1 ? channel : 0u), 4);
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

void tl_int8_dense(const tl_layer *layer, const int8_t *x, int8_t *y)
{
    const int8_t *weights = (const int8_t *)layer->weights;
    int32_t lowest = layer->activation == TL_RELU ? layer->out_zero : -128;
    for (uint32_t o = 0; o < layer->n_out; o++) {
        const int8_t *row = weights + o * layer->n_in;
        uint32_t sum = (uint32_t)bias_of(layer, o); /* unsigned: a hostile bias may wrap */
        for (uint32_t i = 0; i < layer->n_in; i++) {
            sum += (uint32_t)((x[i] - layer->in_zero) * row[i]);
        }
        float ratio = layer->in_scale * scale_of(layer, o) / layer->out_scale;
        y[o] = clamp(round_away((float)(int32_t)sum * ratio) + layer->out_zero, lowest);
    }
}

static void int8_tanh(const tl_layer *layer, int8_t *y)
{
    for (uint32_t i = 0; i < layer->n_out; i++) {
        float z = (float)(y[i] - layer->out_zero) * layer->out_scale;
        y[i] = tl_quantise(tl_tanh(z), layer->act_scale, layer->act_zero);
    }
}

static void int8_softmax(const tl_layer *layer, int8_t *y)
{
    int32_t largest = y[0];
    for (uint32_t i = 1; i < layer->n_out; i++) {
        largest = y[i] > largest ? y[i] : largest;
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < layer->n_out; i++) {
        sum += tl_exp((float)(y[i] - largest) * layer->out_scale);
    }
    for (uint32_t i = 0; i < layer->n_out; i++) {
        float p = tl_exp((float)(y[i] - largest) * layer->out_scale) / sum;
        y[i] = tl_quantise(p, layer->act_scale, layer->act_zero);
    }
}

void tl_int8_activate(const tl_layer *layer, int8_t *y)
{
    if (layer->activation == TL_TANH) {
        int8_tanh(layer, y);
    } else if (layer->activation == TL_SOFTMAX) {
        int8_softmax(layer, y);
    }
}
