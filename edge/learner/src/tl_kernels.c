/*
 * The float32 primitives in portable C: the reference for every core's own. Sums stay in index
 * order; where several run side by side, it is so that one need not wait for the other.
 */
#include "tl_internal.h"

bool tl_has_fma(void)
{
#if defined(__x86_64__) && !defined(__FMA__)
    return __builtin_cpu_supports("fma");
#elif defined(__FMA__) || defined(__aarch64__) || defined(__ARM_FEATURE_FMA)
    return true;
#else
    return false;
#endif
}

/* tl_kernels_vfp.c and tl_kernels_soft.c stand in for it on 32-bit Arm. */
#if !defined(__arm__) || (defined(__ARM_FP) && !defined(__thumb2__))

#if defined(__x86_64__) && !defined(__FMA__)
#define TARGET_FMA __attribute__((target("fma")))
#else
#define TARGET_FMA
#endif

#define PLAIN(s, a, b) ((s) + (a) * (b))
#if defined(__arm__) && !defined(__ARM_FEATURE_FMA)
#define FUSED PLAIN /* never asked for: tl_has_fma() */
#else
#define FUSED(s, a, b) __builtin_fmaf(a, b, s)
#endif

/* NAME_columns and so on, with one step of a sum given by STEP. */
#define KERNELS(NAME, ATTRIBUTE, STEP)                                                            \
    ATTRIBUTE static void NAME##_columns(const float *restrict w, const float *restrict x,        \
                                         uint32_t n_in, uint32_t n_out, float *restrict z)        \
    {                                                                                             \
        for (uint32_t i = 0; i < n_in; i++, w += n_out) {                                         \
            float xi = x[i];                                                                      \
            for (uint32_t o = 0; xi != 0.0f && o < n_out; o++) {                                  \
                z[o] = STEP(z[o], w[o], xi);                                                      \
            }                                                                                     \
        }                                                                                         \
    }                                                                                             \
    ATTRIBUTE static void NAME##_back_four(const float *restrict const *w, const float *restrict d, \
                                           uint32_t n_out, float *restrict sums)                  \
    {                                                                                             \
        float s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];                             \
        for (uint32_t o = 0; o < n_out; o++) {                                                    \
            s0 = STEP(s0, w[0][o], d[o]);                                                         \
            s1 = STEP(s1, w[1][o], d[o]);                                                         \
            s2 = STEP(s2, w[2][o], d[o]);                                                         \
            s3 = STEP(s3, w[3][o], d[o]);                                                         \
        }                                                                                         \
        sums[0] = s0;                                                                             \
        sums[1] = s1;                                                                             \
        sums[2] = s2;                                                                             \
        sums[3] = s3;                                                                             \
    }                                                                                             \
    ATTRIBUTE static void NAME##_update(float *restrict w, const float *restrict x,               \
                                        const float *restrict g, uint32_t n_in, uint32_t n_out)   \
    {                                                                                             \
        for (uint32_t i = 0; i < n_in; i++, w += n_out) {                                         \
            float xi = -x[i];                                                                     \
            for (uint32_t o = 0; xi != 0.0f && o < n_out; o++) {                                  \
                w[o] = STEP(w[o], g[o], xi);                                                      \
            }                                                                                     \
        }                                                                                         \
    }

KERNELS(plain, , PLAIN)
KERNELS(fused, TARGET_FMA, FUSED)

void tl_columns(bool fma, const float *w, const float *x, uint32_t n_in, uint32_t n_out,
                const float *start, float *z)
{
    for (uint32_t o = 0; start != z && o < n_out; o++) {
        z[o] = start[o];
    }
    (fma ? fused_columns : plain_columns)(w, x, n_in, n_out, z);
}

/* Rows are taken four at a time; the last of them may be taken more than once. */
static void back_rows(bool fma, const float *const *rows, uint32_t count, const float *d,
                      uint32_t n_out, float *const *dx)
{
    float sums[4] = {*dx[0], 0.0f, 0.0f, 0.0f};
    const float *w[4] = {rows[0], rows[0], rows[0], rows[0]};
    for (uint32_t k = 1; k < count; k++) {
        w[k] = rows[k];
        sums[k] = *dx[k];
    }
    (fma ? fused_back_four : plain_back_four)(w, d, n_out, sums);
    for (uint32_t k = 0; k < count; k++) {
        *dx[k] = sums[k];
    }
}

/* Rows of w with an x that counts; x == null: all. */
static void back_where(bool fma, const float *w, const float *x, const float *d, uint32_t n_in,
                       uint32_t n_out, float *dx)
{
    const float *rows[4];
    float *sums[4];
    uint32_t count = 0;
    for (uint32_t i = 0; i < n_in; i++) {
        if (x == 0 || x[i] != 0.0f) {
            rows[count] = w + i * n_out;
            sums[count++] = dx + i;
        }
        if (count == 4 || (i + 1u == n_in && count != 0)) {
            back_rows(fma, rows, count, d, n_out, sums);
            count = 0;
        }
    }
}

void tl_back(bool fma, const float *w, const float *d, uint32_t n_in, uint32_t n_out, float *dx)
{
    back_where(fma, w, 0, d, n_in, n_out, dx);
}

void tl_update(bool fma, float *w, const float *x, const float *g, uint32_t n_in, uint32_t n_out)
{
    (fma ? fused_update : plain_update)(w, x, g, n_in, n_out);
}

void tl_back_update(bool fma, float *w, const float *x, const float *d, const float *g,
                    uint32_t n_in, uint32_t n_out, float *dx)
{
    for (uint32_t i = 0; i < n_in; i++) {
        dx[i] = 0.0f;
    }
    back_where(fma, w, x, d, n_in, n_out, dx);
    tl_update(fma, w, x, g, n_in, n_out);
}

void tl_bias_step(float *b, const float *d, float *g, uint32_t n, float rate)
{
    for (uint32_t o = 0; o < n; o++) {
        g[o] = rate * d[o];
        b[o] -= g[o];
    }
}

void tl_rows(bool fma, const float *w, uint32_t stride, const float *x, uint32_t n_in,
             uint32_t n_out, float *z)
{
    for (uint32_t o = 0; o < n_out; o += 4) {
        uint32_t count = n_out - o < 4u ? n_out - o : 4u;
        const float *rows[4];
        float *sums[4];
        for (uint32_t k = 0; k < count; k++) {
            rows[k] = w + (o + k) * stride;
            sums[k] = z + o + k;
        }
        back_rows(fma, rows, count, x, n_in, sums);
    }
}

#endif
