/*
 * Sums of products of int8 numbers for four output channels at a time: what a dense layer and a
 * convolution do all the time. With the DSP instructions one instruction makes two products, and
 * the input's zero point is taken off while bytes are widened to half-words.
 */
#include "tl_int8.h"

#if defined(__ARM_FEATURE_DSP)

/* Four inputs and four weights of one channel: bytes 0 and 2 in `even`, 1 and 3 in `odd`. */
#define CHANNEL(sum, load)                                                                         \
    load "sxtb16 %[t], %[u]\n\t"                                                                   \
         "smlad " sum ", %[even], %[t], " sum "\n\t"                                               \
         "sxtb16 %[u], %[u], ror #8\n\t"                                                           \
         "smlad " sum ", %[odd], %[u], " sum "\n\t"

#define FOUR_INPUTS                                                                                \
    "ldr %[odd], [%[x]], #4\n\t"                                                                   \
    "sxtab16 %[even], %[offset], %[odd]\n\t"                                                       \
    "sxtab16 %[odd], %[offset], %[odd], ror #8\n\t"                                                \
    CHANNEL("%[s1]", "ldr %[u], [%[w], %[step]]\n\t")                                              \
    CHANNEL("%[s0]", "ldr %[u], [%[w]], #4\n\t")                                                   \
    CHANNEL("%[s3]", "ldr %[u], [%[v], %[step]]\n\t")                                              \
    CHANNEL("%[s2]", "ldr %[u], [%[v]], #4\n\t")

#define RUN(code)                                                                                  \
    __asm__ volatile(code                                                                          \
                     : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [x] "+r"(x),    \
                       [w] "+r"(w), [v] "+r"(v), [even] "=&r"(even), [odd] "=&r"(odd),             \
                       [t] "=&r"(t), [u] "=&r"(u)                                                  \
                     : [step] "r"(step), [offset] "r"(offset)                                      \
                     : "memory")

#endif

/* Add to sum[k] the products of channels 0, step, second and second + step. */
static void dot4(const tl_int8_runs *r, const int8_t *xs, const int8_t *ws, uint32_t step,
                 uint32_t second, uint32_t sum[4])
{
    uint32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3];
    for (uint32_t i = r->count; i != 0; i--) {
        const int8_t *x = xs, *w = ws, *v = ws + second;
        uint32_t n = r->length;
        xs += r->x_next;
        ws += r->w_next;
#if defined(__ARM_FEATURE_DSP)
        uint32_t offset = (uint32_t)-r->zero & 0xffffu, even, odd, t, u;
        offset |= offset << 16;
        for (; n >= 16u; n -= 16u) {
            RUN(FOUR_INPUTS FOUR_INPUTS FOUR_INPUTS FOUR_INPUTS);
        }
        for (; n >= 4u; n -= 4u) {
            RUN(FOUR_INPUTS);
        }
#endif
        for (; n != 0; n--, w++, v++) {
            int32_t value = *x++ - r->zero;
            s0 += (uint32_t)(value * w[0]);
            s1 += (uint32_t)(value * w[step]);
            s2 += (uint32_t)(value * v[0]);
            s3 += (uint32_t)(value * v[step]);
        }
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
}

void tl_int8_channels(const tl_layer *layer, const int32_t *rescale, const tl_int8_runs *runs,
                      tl_int8_range range, int8_t *y)
{
    const int8_t *w = runs->w;
    for (uint32_t o = 0; o < layer->out.c; o += 4u, w += 4u * runs->channel) {
        /* Of fewer than four channels some are computed twice: which, so that none is outside. */
        uint32_t left = layer->out.c - o;
        uint32_t step = left > 1u, second = left > 3u ? 2u : left - step - 1u;
        uint32_t at[4] = {o, o + step, o + second, o + second + step}, sum[4];
        for (uint32_t k = 0; k < 4u; k++) {
            sum[k] = tl_int8_bias(layer, at[k]);
        }
        for (uint32_t line = 0; line < runs->lines; line++) {
            dot4(runs, runs->x + line * runs->x_line, w + line * runs->w_line,
                 step * runs->channel, second * runs->channel, sum);
        }
        for (uint32_t k = 0; k < 4u; k++) {
            y[at[k]] = tl_int8_clamp(tl_int8_rescale(sum[k], rescale + 2u * at[k]), range);
        }
    }
}
