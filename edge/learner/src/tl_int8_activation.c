/*
 * Int8 activations that stand alone, and rescaling. The curves are computed in float32 by
 * tl_math.c, each value once per element: the same on every target, and within one step of
 * fixed-point kernels.
 */
#include "tl_int8.h"

#if !TL_DENSE_ONLY

static float real(const tl_layer *layer, int32_t x)
{
    return (float)(x - layer->in_zero) * layer->in_scale;
}

static float logistic(float z)
{
    return 1.0f / (1.0f + tl_exp(-z));
}

static void softmax(const tl_layer *layer, const int8_t *x, int8_t *y, uint32_t n)
{
    int32_t largest = x[0];
    for (uint32_t i = 1; i < n; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        sum += tl_exp((float)(x[i] - largest) * layer->in_scale);
    }
    for (uint32_t i = 0; i < n; i++) {
        float p = tl_exp((float)(x[i] - largest) * layer->in_scale) / sum;
        y[i] = tl_quantise(p, layer->out_scale, layer->out_zero);
    }
}

/* ReLU and ReLU6 are bounds of the output; the rest is a change of scale. */
void tl_int8_requantise(const tl_layer *layer, const int8_t *x, int8_t *y)
{
    tl_int8_range range = tl_int8_range_of(layer);
    int32_t rescale[2];
    tl_int8_ratio(layer->in_scale, 0, layer->out_scale, false, rescale);
    for (uint32_t i = 0; i < tl_elements(layer->out); i++) {
        uint32_t value = (uint32_t)(x[i] - layer->in_zero);
        y[i] = tl_int8_clamp(tl_int8_rescale(value, rescale), range);
    }
}

void tl_int8_activate(const tl_layer *layer, const int8_t *x, int8_t *y)
{
    uint32_t n = tl_elements(layer->out);
    if (layer->activation == TL_SOFTMAX) {
        softmax(layer, x, y, n);
        return;
    }
    if (layer->activation != TL_TANH && layer->activation != TL_LOGISTIC) {
        tl_int8_requantise(layer, x, y);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        float z = real(layer, x[i]);
        z = layer->activation == TL_TANH ? tl_tanh(z) : logistic(z);
        y[i] = tl_quantise(z, layer->out_scale, layer->out_zero);
    }
}

#endif
