/* Running mean and variance: B. P. Welford, Technometrics 4 (1962) 419-420. */
#include "tl_internal.h"

#define COUNT_LIMIT (1u << 24) /* beyond it a float32 count would not grow */

void tl_standardiser_update(tl_standardiser *s, const float *x)
{
    if (s->count >= COUNT_LIMIT) {
        return;
    }
    s->count++;
    float count = (float)s->count;
    for (uint32_t i = 0; i < s->n; i++) {
        float before = x[i] - s->mean[i];
        s->mean[i] += before / count;
        float after = x[i] - s->mean[i];
        s->m2[i] += before * after;
    }
}

void tl_standardiser_apply(const tl_standardiser *s, const float *x, float *out)
{
    float count = (float)s->count;
    for (uint32_t i = 0; i < s->n; i++) {
        float deviation = s->count > 1 ? tl_sqrt(s->m2[i] / count) : 0.0f;
        float centred = x[i] - s->mean[i];
        out[i] = deviation > 1e-6f ? centred / deviation : centred;
    }
}
