#include "tl_internal.h"

float tl_loss_mse(const float *y, const float *target, uint32_t n, float *d)
{
    float scale = 2.0f / (float)n;
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        float error = y[i] - target[i];
        sum += error * error;
        if (d != 0) {
            d[i] = scale * error;
        }
    }
    return sum / (float)n;
}

/* log(sum(exp(z))) - z[class], from y = softmax(z): no logarithm of a probability that is 0. */
float tl_loss_cross_entropy(const float *logits, const float *y, uint32_t n, uint32_t class_index,
                            float *d)
{
    float largest = logits[0];
    for (uint32_t i = 1; i < n; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        sum += tl_exp(logits[i] - largest);
    }
    for (uint32_t i = 0; d != 0 && i < n; i++) {
        d[i] = i == class_index ? y[i] - 1.0f : y[i];
    }
    return tl_log(sum) - (logits[class_index] - largest);
}
