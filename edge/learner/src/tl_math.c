/*
 * Elementary functions from single float32 operations, so that every target gives the same bits.
 * Polynomials: S. Moshier, Cephes Mathematical Library, single precision (coefficients only).
 */
#include "tl_internal.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

bool tl_is_finite(float x)
{
    return (bits_of(x) & 0x7f800000u) != 0x7f800000u;
}

static inline uint32_t next_exponent(float x)
{
    return (bits_of(x) & 0x7f800000u) + 0x00800000u;
}

bool tl_all_finite(const float *x, uint32_t n)
{
    uint32_t carried = 0; /* its top bit: adding one to some exponent overflowed */
    for (; n >= 4u && !TL_DENSE_ONLY; n -= 4u, x += 4) {
        carried |= next_exponent(x[0]) | next_exponent(x[1]);
        carried |= next_exponent(x[2]) | next_exponent(x[3]);
    }
    for (; n != 0; n--) {
        carried |= next_exponent(*x++);
    }
    return carried >> 31 == 0;
}

#if defined(__arm__) && defined(__thumb2__) && defined(__ARM_FP)

float tl_sqrt(float x)
{
    float root;
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x)); /* rounds correctly, as below */
    return root;
}

#else

/* floor(sqrt(n)) for n < 2^50, one bit at a time. */
static uint32_t integer_sqrt(uint64_t n)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 48; bit != 0; bit >>= 2) {
        if (n >= root + bit) {
            n -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

float tl_sqrt(float x)
{
    uint32_t bits = bits_of(x);
    if (bits << 1 == 0 || bits == 0x7f800000u) {
        return x; /* zero keeps its sign; infinity stays */
    }
    if (bits > 0x7f800000u) {
        return float_of(0x7fc00000u); /* negative or NaN */
    }
    int32_t exponent = (int32_t)(bits >> 23) - 127;
    uint32_t mantissa = bits & 0x7fffffu;
    if (exponent == -127) {
        exponent = -126;
        while (mantissa < 0x800000u) {
            mantissa <<= 1;
            exponent--;
        }
    } else {
        mantissa |= 0x800000u;
    }
    if ((exponent & 1) != 0) {
        mantissa <<= 1;
        exponent--;
    }
    /* 25 bits of root: 24 and a guard bit. A tie cannot happen: an odd root squares to odd. */
    uint32_t root = integer_sqrt((uint64_t)mantissa << 25);
    uint32_t rounded = (root >> 1) + (root & 1u);
    return float_of(((uint32_t)(exponent / 2 + 127) << 23) + (rounded - 0x800000u));
}

#endif

float tl_exp(float x)
{
    if (x != x) {
        return x;
    }
    if (x > 88.72283f) {
        return float_of(0x7f800000u);
    }
    if (x < -87.33654f) {
        return 0.0f; /* the smallest normal number and below */
    }
    float scaled = x * 1.44269504088896341f;
    int32_t n = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
    float k = (float)n;
    float r = x - k * 0.693359375f;
    r = r - k * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float y = p * (r * r) + r;
    y = y + 1.0f;
    if (n > 127) {
        y = y * 2.0f;
        n = 127;
    } else if (n < -126) {
        y = y * 0.5f;
        n = -126;
    }
    return y * float_of((uint32_t)(n + 127) << 23);
}

float tl_tanh(float x)
{
    float a = x < 0.0f ? -x : x;
    if (a > 9.1f) {
        return x < 0.0f ? -1.0f : 1.0f;
    }
    if (a < 0.625f) {
        float z = x * x;
        float p = -5.70498872745e-3f;
        p = p * z + 2.06390887954e-2f;
        p = p * z + -5.37397155531e-2f;
        p = p * z + 1.33314422036e-1f;
        p = p * z + -3.33332819422e-1f;
        p = p * z;
        return p * x + x;
    }
    float e = tl_exp(a + a);
    float y = 1.0f - 2.0f / (e + 1.0f);
    return x < 0.0f ? -y : y;
}

float tl_log(float x)
{
    uint32_t bits = bits_of(x);
    if (!tl_is_finite(x)) {
        return x;
    }
    int32_t exponent = (int32_t)(bits >> 23) - 126;
    float m = float_of((bits & 0x7fffffu) | 0x3f000000u); /* in [0.5, 1) */
    if (m < 0.707106781186547524f) {
        exponent--;
        m = m + m;
    }
    m = m - 1.0f;
    float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m + -1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m + -1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m + -1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m + -2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float k = (float)exponent;
    float y = p * m;
    y = y * z;
    y = y + k * -2.12194440e-4f;
    y = y - 0.5f * z;
    y = m + y;
    return y + k * 0.693359375f;
}
