/* The two inner loops of tl_kernels_soft.c. */
#include "tl_internal.h"

#if (defined(__arm__) && !defined(__ARM_FP)) || defined(TL_SOFT_ON_HOST)

#include "tl_soft_float.h"

#define HALF 0x80000000u

/* high + low / 2^32, rounded to nearest even. */
static inline int32_t rounded(int32_t high, uint32_t low)
{
    uint32_t up = (uint32_t)high + (low >> 31);
    return (int32_t)(low == HALF ? up & ~1u : up);
}

/* The 32 bits below the point of m / 2^d, d from 0 to 31. */
static inline uint32_t below(int32_t m, int32_t d)
{
    return ((uint32_t)m << 1) << (31 - d); /* one shift by 32 - d is not defined for d = 0 */
}

/* Rounded product of a term and a float. *gap grows by 1 if the product is in the lower of its two
 * possible binades. */
static inline int32_t product(const tl_soft_term *t, uint32_t other, int32_t *gap)
{
#if TL_SOFT_SHORT_MULTIPLY
    /* The core multiplies 32 x 32 to 32 bits: cut both factors into 8 and 16 bits. */
    uint32_t a = tl_soft_size(other);
    uint32_t b = (uint32_t)t->m;
    uint32_t al = a & 0xFFFFu;
    uint32_t ah = a >> 16;
    uint32_t bl = b & 0xFFFFu;
    uint32_t bh = b >> 16;
    uint32_t rest = al * bl;
    uint32_t top = ((ah * bh) << 16) + (ah * bl + al * bh) + (rest >> 16);
    rest <<= 16; /* the product is top + rest / 2^32, in units of 2^16 */
    if (top < HALF) {
        *gap += 1;
        top = (top << 1) + (rest >> 31);
        rest <<= 1;
    }
    uint32_t m = (top >> 8) + ((top >> 7) & 1u);
    if ((top << 24) == HALF && rest == 0) {
        m &= ~1u;
    }
    return (int32_t)(t->bits ^ other) < 0 ? -(int32_t)m : (int32_t)m;
#else
    int64_t p = (int64_t)t->m * (2 * tl_soft_mantissa(other));
    int32_t high = (int32_t)(p >> 32);
    uint32_t low = (uint32_t)p;
    if ((high ^ (int32_t)((uint32_t)high << 8)) >= 0) {
        *gap += 1;
        high = (int32_t)((uint32_t)high << 1 | low >> 31);
        low <<= 1;
    }
    return rounded(high, low);
#endif
}

static uint32_t packed(int32_t m, int32_t e)
{
    if (m == 0) {
        return 0;
    }
    uint32_t sign = (uint32_t)m & HALF;
    uint32_t size = (uint32_t)(m < 0 ? -m : m);
    if (e < 1) { /* only after cancellation, so the bits shifted out are 0 */
        return sign | size >> (1 - e);
    }
    return sign | (((uint32_t)(e - 1) << 23) + size);
}

/* Places to shift a nonzero `change` (below 2^24) left so that bit 24 is its highest. */
static inline int32_t places(uint32_t change)
{
#if TL_SOFT_SHORT_MULTIPLY
    int32_t n = 1; /* mostly the answer, and there is no instruction for it */
    for (; (change & 0x800000u) == 0; change <<= 1) {
        n++;
    }
    return n;
#else
    return __builtin_clz(change) - 7;
#endif
}

/* The sum from the term on at which a weight was met that is not ordinary. */
static float plain_dot(float sum, const float *w, const tl_soft_term *t, const tl_soft_term *end)
{
    for (; t < end; t++) {
        sum += w[t->offset] * tl_soft_float(t->bits);
    }
    return sum;
}

float tl_soft_dot(float sum, const float *w, const tl_soft_term *t, const tl_soft_term *end)
{
    uint32_t start = tl_soft_bits(sum);
    int32_t e = tl_soft_exponent(start);
    int32_t m = tl_soft_mantissa(start);
    if (start << 1 == 0) {
        m = 0;
        e = TL_SOFT_ZERO;
    } else if (e == 0 || e > TL_SOFT_TOP) {
        return plain_dot(sum, w, t, end);
    }
    do {
        uint32_t bits = tl_soft_bits(w[t->offset]);
        uint32_t twice = bits << 1;
        if ((int32_t)(twice ^ (twice << 1)) >= 0) { /* exponent field below 64 or above 191 */
            if (twice == 0) {
                continue;
            }
            return plain_dot(tl_soft_float(packed(m, e)), w, t, end);
        }
        int32_t d = e - t->e - (int32_t)(twice >> 24);
        int32_t p = product(t, bits, &d);
        uint32_t low;
        if (d >= 32) {
            continue;
        }
        if (d >= 0) {
            low = below(p, d);
            m += p >> d;
        } else {
            e -= d;
            if (d <= -32) {
                m = p;
                continue;
            }
            low = below(m, -d);
            m = p + (m >> -d);
        }
        uint32_t change = (uint32_t)m ^ ((uint32_t)m << 1);
        if (change >> 24 != 1) {
            if (change >> 24 != 0) {
                low = low >> 1 | (uint32_t)m << 31;
                m >>= 1;
                e++;
            } else {
                if (m == 0 && low == 0) {
                    e = TL_SOFT_ZERO;
                    continue;
                }
                int32_t k = change == 0 ? 24 : places(change);
                m = (int32_t)((uint32_t)m << k | low >> (32 - k));
                low <<= k;
                e -= k;
            }
        }
        m = rounded(m, low);
    } while (++t < end);
    return tl_soft_float(packed(m, e));
}

void tl_soft_subtract(float *w, const tl_soft_term *t, const tl_soft_term *end, uint32_t x)
{
    int32_t x_e = tl_soft_exponent(x);
    x ^= HALF; /* subtract: add the negative */
    for (; t < end; t++) {
        uint32_t bits = tl_soft_bits(w[t->offset]);
        int32_t e = (int32_t)((bits << 1) >> 24);
        int32_t d = e - t->e - x_e;
        int32_t p = product(t, x, &d);
        if (d >= 32) {
            continue; /* infinity and NaN too */
        }
        if (d >= 0) {
            /* The bits of a float count like an integer while the exponent stays. */
            int32_t q = (bits >> 31) != 0 ? -p : p;
            uint32_t low = below(q, d);
            uint32_t next = bits + (uint32_t)(q >> d);
            if ((next ^ bits) >> 23 == 0) {
                w[t->offset] = tl_soft_float((uint32_t)rounded((int32_t)next, low));
                continue;
            }
        }
        w[t->offset] += tl_soft_float(packed(p, e - d));
    }
}

#endif
