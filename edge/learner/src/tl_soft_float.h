/* Float32 arithmetic on cores without an FPU, unpacked: what tl_kernels_soft.c is made of.
 *
 * A number is m * 2^(e - 150): m is signed, |m| from 2^23 to 2^24 (both may be), e the exponent
 * field of a float32; zero has m = 0 and TL_SOFT_ZERO as e. An exact result that is still to be
 * rounded is high + low / 2^32. Two's complement rounds to nearest even just as sign and
 * magnitude do, so signs need no cases. */
#ifndef TL_SOFT_FLOAT_H
#define TL_SOFT_FLOAT_H

#include <stdint.h>

/* Cores that multiply 32 x 32 to 32 bits only, and do not count leading zeros: M0, M0+, M23. */
#ifndef TL_SOFT_SHORT_MULTIPLY
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define TL_SOFT_SHORT_MULTIPLY 1
#else
#define TL_SOFT_SHORT_MULTIPLY 0
#endif
#endif

#define TL_SOFT_ZERO (-1000)

/* Exponent fields of an ordinary factor: the product of two is normal, and a list of them times
 * ordinary weights (64 to 191) cannot overflow a sum that starts at or below TL_SOFT_TOP. */
#define TL_SOFT_LOW 65
#define TL_SOFT_HIGH 174
#define TL_SOFT_TOP 246

/* A factor: what it meets is at `offset` (in floats); m in the form
 * the core multiplies best (M0: |m|, others: m << 7); exponent field - 126; bits of the float. */
typedef struct tl_soft_term {
    uint32_t offset;
    int32_t m;
    int32_t e;
    uint32_t bits;
} tl_soft_term;

static inline uint32_t tl_soft_bits(float x)
{
    union {
        float f;
        uint32_t u;
    } both;
    both.f = x;
    return both.u;
}

static inline float tl_soft_float(uint32_t bits)
{
    union {
        uint32_t u;
        float f;
    } both;
    both.u = bits;
    return both.f;
}

static inline int32_t tl_soft_exponent(uint32_t bits)
{
    return (int32_t)((bits << 1) >> 24);
}

static inline uint32_t tl_soft_size(uint32_t bits)
{
    return (bits & 0x7FFFFFu) | 0x800000u;
}

static inline int32_t tl_soft_mantissa(uint32_t bits)
{
    int32_t m = (int32_t)tl_soft_size(bits);
    return (bits >> 31) != 0 ? -m : m;
}

static inline tl_soft_term tl_soft_term_of(uint32_t bits, uint32_t offset)
{
#if TL_SOFT_SHORT_MULTIPLY
    int32_t m = (int32_t)tl_soft_size(bits);
#else
    int32_t m = tl_soft_mantissa(bits) * 128;
#endif
    tl_soft_term t = {offset, m, tl_soft_exponent(bits) - 126, bits};
    return t;
}

/* sum + the terms times w[offset], one after another. */
float tl_soft_dot(float sum, const float *w, const tl_soft_term *t, const tl_soft_term *end);

/* w[offset] -= term * x for all the terms; x is ordinary. */
void tl_soft_subtract(float *w, const tl_soft_term *t, const tl_soft_term *end, uint32_t x);

#endif
