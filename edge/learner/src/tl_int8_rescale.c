/*
 * The ratio of three scales as a multiplier of 31 bits and a shift, without double arithmetic:
 * a product of two float mantissas is exact in 48 bits, and the quotient is taken bit by bit.
 */
#include "tl_int8.h"

#if !TL_DENSE_ONLY

/* mantissa * 2^exponent; a mantissa that is not 0 has its bit 23 set. */
typedef struct number {
    uint32_t mantissa;
    int32_t exponent;
} number;

/* 0 for what is not a positive finite number. */
static number number_of(float x)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    number n = {bits & 0x7fffffu, (int32_t)(bits >> 23) - 150};
    if (bits >= 0x7f800000u || bits == 0) {
        n.mantissa = 0;
        return n;
    }
    if (n.exponent == -150) {
        n.exponent = -149;
        while (n.mantissa < 0x800000u) {
            n.mantissa <<= 1;
            n.exponent--;
        }
    }
    n.mantissa |= 0x800000u;
    return n;
}

/* top / bottom * 2^*extra with 54 bits, and whether anything is left over. */
static uint64_t quotient(uint64_t top, uint32_t bottom, int32_t *extra, bool *left_over)
{
    uint64_t result = 0;
    uint32_t remainder = 0;
    int32_t bit = 47;
    for (; (result >> 53) == 0; bit--) {
        remainder = remainder << 1 | (bit >= 0 ? (uint32_t)(top >> bit) & 1u : 0u);
        result <<= 1;
        if (remainder >= bottom) {
            remainder -= bottom;
            result |= 1u;
        }
    }
    *extra = -1 - bit;
    *left_over = remainder != 0;
    return result;
}

void tl_int8_ratio(float in, const uint8_t *weight, float out, bool rounded, int32_t rescale[2])
{
    float scale = 1.0f;
    if (weight != 0) {
        __builtin_memcpy(&scale, weight, sizeof scale);
    }
    number a = number_of(rounded ? in * scale : in), b = number_of(rounded ? 1.0f : scale);
    number c = number_of(out);
    rescale[0] = 0;
    rescale[1] = ~0;
    if (a.mantissa == 0 || b.mantissa == 0 || c.mantissa == 0) {
        return;
    }
    int32_t extra;
    bool left_over;
    uint64_t q = quotient((uint64_t)a.mantissa * b.mantissa, c.mantissa, &extra, &left_over);
    /* First to the 53 bits of a double, half to even; then to 31 bits, half away from zero. */
    bool up = (q & 1u) != 0 && (left_over || (q & 2u) != 0);
    q = ((q >> 1) + (up ? 1u : 0u) + (1u << 21)) >> 22;
    int32_t shift = 54 - extra + a.exponent + b.exponent - c.exponent;
    if (q >> 31 != 0) {
        q >>= 1;
        shift++;
    }
    if (shift >= -31) {
        rescale[0] = shift > 30 ? 0x7fffffff : (int32_t)q;
        rescale[1] = ~(shift > 30 ? 30 : shift);
    }
}

void tl_int8_prepare(const tl_layer *layer, int32_t *rescale)
{
    bool rounded = layer->kind == TL_DENSE && layer->per_channel == 0;
    for (uint32_t o = 0; o < layer->out.c; o++) {
        const uint8_t *scale = layer->scales + (layer->per_channel != 0 ? 4u * o : 0u);
        tl_int8_ratio(layer->in_scale, scale, layer->out_scale, rounded, rescale + 2u * o);
    }
}

#else

/* There are no int8 layers in such a build. */
void tl_int8_prepare(const tl_layer *layer, int32_t *rescale)
{
    (void)layer;
    (void)rescale;
}

#endif
