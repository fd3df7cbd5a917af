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

/* x > 0, by its bits: a comparison of floats is a call where there is no FPU. */
static bool positive(float x)
{
    int32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits > 0;
}

static float smooth(uint8_t activation, float z)
{
    return activation == TL_TANH ? tl_tanh(z) : 1.0f / (1.0f + tl_exp(-z));
}

void tl_activate(uint8_t activation, float *z, uint32_t n)
{
    if (activation == TL_SOFTMAX) {
        softmax(z, n);
    } else if (activation == TL_TANH || activation == TL_LOGISTIC) {
        for (uint32_t i = 0; i < n; i++) {
            z[i] = smooth(activation, z[i]);
        }
    } else if (activation != TL_LINEAR) {
        for (uint32_t i = 0; i < n; i++) {
            z[i] = positive(z[i]) ? z[i] : 0.0f;
        }
    }
    for (uint32_t i = 0; activation == TL_RELU6 && i < n; i++) {
        z[i] = z[i] < 6.0f ? z[i] : 6.0f;
    }
}

static float slope(uint8_t activation, float y)
{
    switch (activation) {
    case TL_RELU6:
        return y > 0.0f && y < 6.0f ? 1.0f : 0.0f;
    case TL_TANH:
        return 1.0f - y * y;
    case TL_LOGISTIC:
        return y * (1.0f - y);
    default:
        return 1.0f;
    }
}

void tl_activate_back(uint8_t activation, const float *y, float *d, uint32_t n)
{
    if (activation == TL_RELU) {
        for (uint32_t i = 0; i < n; i++) {
            d[i] = positive(y[i]) ? d[i] : 0.0f;
        }
        return;
    }
    for (uint32_t i = 0; activation != TL_LINEAR && i < n; i++) {
        d[i] = d[i] * slope(activation, y[i]);
    }
}
