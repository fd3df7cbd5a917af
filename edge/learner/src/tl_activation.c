#include "tl_internal.h"

/* Zero for what is negative; NaN stays, so that the loss shows it. By its bits: a comparison of
 * floats is a call where there is no FPU. */
static inline void rectify(float *z)
{
    uint32_t bits;
    __builtin_memcpy(&bits, z, sizeof bits);
#if defined(__arm__)
    bits &= (bits >> 31) - 1u; /* an invalid operation gives a NaN with a plus here */
#else
    bits = bits >> 31 != 0 && bits <= 0xff800000u ? 0u : bits;
#endif
    __builtin_memcpy(z, &bits, sizeof bits);
}

static void relu(float *z, uint32_t n)
{
    for (; !TL_DENSE_ONLY && n >= 4; n -= 4, z += 4) {
        rectify(z);
        rectify(z + 1);
        rectify(z + 2);
        rectify(z + 3);
    }
    for (; n > 0; n--) {
        rectify(z++);
    }
}

/* d where y > 0, else 0: y comes out of a ReLU, so it is not negative. */
static void relu_back(const float *y, float *d, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        __builtin_memcpy(&bits, &y[i], sizeof bits);
        if (bits == 0) {
            d[i] = 0.0f;
        }
    }
}

#if !TL_DENSE_ONLY

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

static float smooth(uint8_t activation, float z)
{
    return activation == TL_TANH ? tl_tanh(z) : 1.0f / (1.0f + tl_exp(-z));
}

static void activate_otherwise(uint8_t activation, float *z, uint32_t n)
{
    if (activation == TL_SOFTMAX) {
        softmax(z, n);
        return;
    }
    if (activation == TL_RELU6) {
        relu(z, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        z[i] = activation != TL_RELU6 ? smooth(activation, z[i]) : z[i] > 6.0f ? 6.0f : z[i];
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

static void otherwise_back(uint8_t activation, const float *y, float *d, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        d[i] = d[i] * slope(activation, y[i]);
    }
}

#endif

void tl_activate(uint8_t activation, float *z, uint32_t n)
{
    if (activation == TL_RELU) {
        relu(z, n);
    }
#if !TL_DENSE_ONLY
    if (activation != TL_RELU && activation != TL_LINEAR) {
        activate_otherwise(activation, z, n);
    }
#endif
}

void tl_activate_back(uint8_t activation, const float *y, float *d, uint32_t n)
{
    if (activation == TL_RELU) {
        relu_back(y, d, n);
    }
#if !TL_DENSE_ONLY
    if (activation != TL_RELU && activation != TL_LINEAR) {
        otherwise_back(activation, y, d, n);
    }
#endif
}
