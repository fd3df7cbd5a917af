/* Element by element: what a depthwise convolution with one output a channel is made of. */
#include "tl_internal.h"

#if !TL_DENSE_ONLY

#if defined(__x86_64__) && !defined(__FMA__)
#define TARGET_FMA __attribute__((target("fma")))
#else
#define TARGET_FMA
#endif

#if defined(__arm__) && defined(__ARM_FEATURE_FMA)
static inline float fuse(float s, float a, float b)
{
    __asm__("vfma.f32 %0, %1, %2" : "+t"(s) : "t"(a), "t"(b)); /* the builtin may be a call */
    return s;
}
#else
#define fuse(s, a, b) __builtin_fmaf(a, b, s)
#endif

static void plain(const float *restrict a, const float *restrict b, uint32_t n, float sign,
                  float *restrict z)
{
    for (uint32_t i = 0; i < n; i++) {
        z[i] += a[i] * (sign * b[i]);
    }
}

#if !defined(__arm__) || defined(__ARM_FEATURE_FMA)
TARGET_FMA static void fused(const float *restrict a, const float *restrict b, uint32_t n,
                             float sign, float *restrict z)
{
    for (uint32_t i = 0; i < n; i++) {
        z[i] = fuse(z[i], a[i], sign * b[i]);
    }
}
#else
#define fused plain /* never asked for: tl_has_fma() */
#endif

void tl_products(bool fma, const float *a, const float *b, uint32_t n, float sign, float *z)
{
    (fma ? fused : plain)(a, b, n, sign, z);
}

#endif
