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

/* log(sum(exp(z))) - z[class]: no logarithm of a probability that is 0. */
float tl_loss_cross_entropy(float *z, uint32_t n, uint32_t class_index, float *d)
{
    float largest = z[0];
    for (uint32_t i = 1; i < n; i++) {
        largest = z[i] > largest ? z[i] : largest;
    }
    float distance = z[class_index] - largest;
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        z[i] = tl_exp(z[i] - largest);
        sum += z[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        z[i] /= sum;
        if (d != 0) {
            d[i] = i == class_index ? z[i] - 1.0f : z[i];
        }
    }
    return tl_log(sum) - distance;
}
