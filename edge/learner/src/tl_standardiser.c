/*
 * Running mean and variance: B. P. Welford, Technometrics 4 (1962) 419-420, with each sum held in
 * two float32 (error-free sum: D. E. Knuth, The Art of Computer Programming 2, 4.2.2, theorem B;
 * renormalised as T. J. Dekker, Numerische Mathematik 18 (1971) 224-242). One sample's terms are
 * plain float32: their rounding errors are relative to the deviation, not to the mean.
 */
#include "tl_internal.h"

#define SUM_LIMIT 1e38f        /* no term is added beyond it, so no sum overflows */

/* (*high + *low) += term, where |*low| is at most half a unit in the last place of *high. */
static void add_to(float *high, float *low, float term)
{
    float sum = *high + term;
    float kept = sum - *high;
    float lost = (*high - (sum - kept)) + (term - kept);
    lost += *low;
    *high = sum + lost;
    *low = lost - (*high - sum);
}

void tl_standardiser_update(tl_standardiser *s, const float *x)
{
    if (s->count >= TL_MOST_COUNTED) {
        return;
    }
    s->count++;
    float count = (float)s->count;
    float *mean = s->mean, *mean_low = s->mean + s->n;
    float *m2 = s->m2, *m2_low = s->m2 + s->n;
    for (uint32_t i = 0; i < s->n; i++) {
        float before = (x[i] - mean[i]) - mean_low[i];
        add_to(&mean[i], &mean_low[i], before / count);
        float after = (x[i] - mean[i]) - mean_low[i];
        if (m2[i] < SUM_LIMIT) {
            add_to(&m2[i], &m2_low[i], before * after);
        }
    }
}

void tl_standardiser_apply(const tl_standardiser *s, const float *x, float *out)
{
    float count = (float)s->count;
    const float *mean_low = s->mean + s->n;
    for (uint32_t i = 0; i < s->n; i++) {
        float deviation = s->count > 1 ? tl_sqrt(s->m2[i] / count) : 0.0f;
        float centred = (x[i] - s->mean[i]) - mean_low[i];
        out[i] = deviation > 1e-6f ? centred / deviation : centred;
    }
}
