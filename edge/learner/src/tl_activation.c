#include "tl_internal.h"

static void softmax(float *z, uint32_t n)
{
    float largest = z[0];
    for (uint32_t i = 1; i < n; i++) {
        largest = z[i] > largest ? z[i] : largest;
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        z[i] = tl_exp(z[i] - largest);
        sum += z[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        z[i] /= sum;
    }
}

void tl_activate(uint8_t activation, float *z, uint32_t n)
{
    if (activation == TL_SOFTMAX) {
        softmax(z, n);
        return;
    }
    for (uint32_t i = 0; activation == TL_RELU && i < n; i++) {
        z[i] = z[i] > 0.0f ? z[i] : 0.0f;
    }
    for (uint32_t i = 0; activation == TL_TANH && i < n; i++) {
        z[i] = tl_tanh(z[i]);
    }
}

void tl_activate_back(uint8_t activation, const float *y, float *d, uint32_t n)
{
    for (uint32_t i = 0; activation == TL_RELU && i < n; i++) {
        d[i] = y[i] > 0.0f ? d[i] : 0.0f;
    }
    for (uint32_t i = 0; activation == TL_TANH && i < n; i++) {
        d[i] = d[i] * (1.0f - y[i] * y[i]);
    }
}
