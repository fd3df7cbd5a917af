/*
 * Drift of a stream of losses: the test of E. S. Page, Biometrika 41 (1954) 100-115, with the
 * running mean of Hinkley (H. Mouss et al., Proc. 5th Asian Control Conference (2004) 815-818). The sum
 * restarted at 0 is their difference to its minimum. Counting in running standard deviations is
 * D. M. Hawkins, The Statistician 36 (1987) 299-315: no scale of the loss has to be known.
 */
#include "tl_internal.h"

#define MONITOR_LIMIT 1e18f /* as for the standardiser's samples */

tl_status tl_monitor_init(tl_monitor *m, uint32_t warm_up, float allowance, float threshold)
{
    bool good = warm_up >= 2 && warm_up <= TL_MOST_COUNTED && allowance >= 0.0f && threshold > 0.0f;
    if (m == 0 || !good || !tl_is_finite(allowance) || !tl_is_finite(threshold)) {
        return TL_E_ARGUMENT;
    }
    m->warm_up = warm_up;
    m->allowance = allowance;
    m->threshold = threshold;
    m->count = 0;
    m->mean[0] = m->mean[1] = m->m2[0] = m->m2[1] = 0.0f;
    m->excess = 0.0f;
    m->state = TL_STABLE;
    return TL_OK;
}

float tl_monitor_score(const tl_monitor *m, float loss)
{
    float mean[2] = {m->mean[0], m->mean[1]}, m2[2] = {m->m2[0], m->m2[1]};
    tl_standardiser seen = {m->count, 1, mean, m2};
    float score;
    tl_standardiser_apply(&seen, &loss, &score);
    return score;
}

/* The excess after one more loss. */
static void accumulate(tl_monitor *m, float loss)
{
    float z = tl_monitor_score(m, loss);
    z = z > TL_MONITOR_CUT ? TL_MONITOR_CUT : z < -TL_MONITOR_CUT ? -TL_MONITOR_CUT : z;
    float excess = (m->excess + z) - m->allowance;
    m->excess = excess > 0.0f ? excess : 0.0f;
}

tl_monitor_state tl_monitor_update(tl_monitor *m, float loss)
{
    if (!(loss <= MONITOR_LIMIT && loss >= -MONITOR_LIMIT)) {
        return (tl_monitor_state)m->state;
    }
    if (m->count >= m->warm_up) {
        accumulate(m, loss);
    }
    if (m->state == TL_DRIFT) {
        m->excess = m->excess > m->threshold ? m->threshold : m->excess;
        m->state = m->excess > 0.0f ? TL_DRIFT : TL_STABLE;
        return (tl_monitor_state)m->state;
    }
    m->state = m->excess > m->threshold ? TL_DRIFT : TL_STABLE;
    if (m->state == TL_STABLE) {
        tl_standardiser seen = {m->count, 1, m->mean, m->m2};
        tl_standardiser_update(&seen, &loss);
        m->count = seen.count;
    }
    return (tl_monitor_state)m->state;
}
