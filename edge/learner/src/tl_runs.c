/* The primitives at positions next to one another, one position after the other. */
#include "tl_internal.h"

/* tl_runs_vfp.c stands in for it on Cortex-M cores with an FPU. */
#if !(defined(__arm__) && defined(__thumb2__) && defined(__ARM_FP)) && !TL_DENSE_ONLY

void tl_columns_run(bool fma, const float *w, const float *x, uint32_t n_in, uint32_t n_out,
                    float *z, uint32_t x_step, uint32_t count)
{
    for (; count != 0; count--, x += x_step, z += n_out) {
        tl_columns(fma, w, x, n_in, n_out, z, z);
    }
}

void tl_back_run(bool fma, const float *w, const float *d, uint32_t n_in, uint32_t n_out,
                 float *dx, uint32_t x_step, uint32_t count)
{
    for (; count != 0; count--, dx += x_step, d += n_out) {
        tl_back(fma, w, d, n_in, n_out, dx);
    }
}

void tl_update_run(bool fma, float *w, const float *x, const float *g, uint32_t n_in,
                   uint32_t n_out, uint32_t x_step, uint32_t count)
{
    for (; count != 0; count--, x += x_step, g += n_out) {
        tl_update(fma, w, x, g, n_in, n_out);
    }
}

#endif
