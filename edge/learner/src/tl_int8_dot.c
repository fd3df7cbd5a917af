/*
 * Sums of products of int8 numbers for four output channels at a time: what a dense layer and a
 * convolution do all the time. With the DSP instructions one instruction makes two products, and
 * the input's zero point is taken off while bytes are widened to half-words.
 */
#include "tl_int8.h"

#if !TL_DENSE_ONLY

#if defined(__ARM_FEATURE_DSP)

/* Four inputs and four weights of one channel: bytes 0 and 2 in `e`, 1 and 3 in `o`. */
#define FOUR_PRODUCTS(sum, load)                                                                   \
    "ldr %[u], " load "\n"                                                                         \
    "sxtb16 %[t],%[u]\n"                                                                           \
    "smlad " sum ", %[e],%[t], " sum "\n"                                                          \
    "sxtb16 %[u],%[u], ror #8\n"                                                                   \
    "smlad " sum ", %[o],%[u], " sum "\n"
#define FOUR_INPUTS                                                                                \
    "ldr %[o], [%[x]], #4\n"                                                                       \
    "sxtab16 %[e],%[z],%[o]\n"                                                                     \
    "sxtab16 %[o],%[z],%[o], ror #8\n"                                                             \
    FOUR_PRODUCTS("%[s1]", "[%[w],%[d]]")                                                          \
    FOUR_PRODUCTS("%[s0]", "[%[w]], #4")                                                           \
    FOUR_PRODUCTS("%[s3]", "[%[v],%[d]]")                                                          \
    FOUR_PRODUCTS("%[s2]", "[%[v]], #4")
#define ONE_INPUT ONE_OF("ldrb %[e], [%[x]], #1\n"                                                 \
                         "sxtab16 %[e],%[z],%[e]\n", "smlabb")
#define OFFSET(zero) (((uint32_t)-(zero) & 0xffffu) * 0x10001u)

#elif defined(__thumb2__)

#define FOUR_INPUTS ONE_INPUT ONE_INPUT ONE_INPUT ONE_INPUT
#define ONE_INPUT ONE_OF("ldrsb %[e], [%[x]], #1\n"                                                \
                         "add %[e],%[e],%[z]\n", "mla")
#define OFFSET(zero) ((uint32_t)-(zero))

#else

#define OFFSET(zero) ((uint32_t)-(zero))

#endif

#if defined(__thumb2__)

#define ONE_PRODUCT(multiply, sum, load)                                                           \
    "ldrsb %[u]," load "\n" multiply " " sum ",%[e],%[u]," sum "\n"
#define ONE_OF(load, multiply)                                                                     \
    load ONE_PRODUCT(multiply, "%[s1]", "[%[w],%[d]]")                                             \
    ONE_PRODUCT(multiply, "%[s0]", "[%[w]], #1")                                                   \
    ONE_PRODUCT(multiply, "%[s3]", "[%[v],%[d]]")                                                  \
    ONE_PRODUCT(multiply, "%[s2]", "[%[v]], #1")
#define RUN(code)                                                                                  \
    __asm__ volatile(code                                                                          \
                     : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [x] "+r"(x),    \
                       [w] "+r"(w), [v] "+r"(v), [e] "=&r"(even), [o] "=&r"(odd),                  \
                       [t] "=&r"(t), [u] "=&r"(u)                                                  \
                     : [d] "r"(step), [z] "r"(offset)                                              \
                     : "memory")

#endif

#if !defined(__thumb2__)

/* Two channels at a time: what fits into the eight registers of a Cortex-M0. */
static NOINLINE void add_two(const int8_t *x, const int8_t *v, const int8_t *w, uint32_t n,
                             int32_t offset, uint32_t *a, uint32_t *b)
{
    uint32_t sum_a = *a, sum_b = *b;
    for (uint32_t i = 0; i < n; i++) {
        int32_t value = x[i] + offset;
        sum_a += (uint32_t)(value * v[i]);
        sum_b += (uint32_t)(value * w[i]);
    }
    *a = sum_a;
    *b = sum_b;
}

#endif

/* Add to s the products of channels 0, step, second and second + step over all runs. */
static inline __attribute__((always_inline)) void dot4(const tl_int8_runs *r, const int8_t *line,
                                                       uint32_t *s)
{
    uint32_t s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3], step = r->step;
    uint32_t j = r->lines;
    const int8_t *x_line = r->x;
    do {
        const int8_t *xs = x_line, *ws = line;
        uint32_t i = r->count;
        do {
            const int8_t *x = xs, *w = ws, *v = ws + r->second;
            uint32_t n = r->length;
            xs += r->x_next;
            ws += r->w_next;
#if defined(__thumb2__)
            uint32_t offset = r->offset, even, odd, t, u;
            for (; n >= 16u; n -= 16u) {
                RUN(FOUR_INPUTS FOUR_INPUTS FOUR_INPUTS FOUR_INPUTS);
            }
            for (; n >= 4u; n -= 4u) {
                RUN(FOUR_INPUTS);
            }
            for (; n != 0; n--) {
                RUN(ONE_INPUT);
            }
#else
            add_two(x, w, w + step, n, (int32_t)r->offset, &s0, &s1);
            add_two(x, v, v + step, n, (int32_t)r->offset, &s2, &s3);
#endif
        } while (--i != 0);
        x_line += r->x_line;
        line += r->w_line;
    } while (--j != 0);
    s[0] = s0;
    s[1] = s1;
    s[2] = s2;
    s[3] = s3;
}

/* A range as it is used most: with DSP instructions the bounds of four bytes in a word, and twice
 * the zero point and 1, because the last shift of a rescaled sum comes after it is added. */
typedef struct bounds {
    tl_int8_range range;
    uint32_t low, high;
    int32_t middle;
} bounds;

static bounds bounds_of(tl_int8_range range)
{
    bounds b = {range, ((uint32_t)(range.low + range.zero) & 0xffu) * 0x01010101u,
                ((uint32_t)(range.high + range.zero) & 0xffu) * 0x01010101u, 2 * range.zero + 1};
    return b;
}

#if defined(__ARM_FEATURE_DSP)

/* tl_int8_rescale, the output's zero point and the bounds of int8. */
#define RESULT(sum)                                                                                \
    "ldrd %[by], %[right], [%[table]], #8\n\t"                                                     \
    "smull %[low], " sum ", " sum ", %[by]\n\t"                                                    \
    "lsls %[low], %[low], #1\n\t"                                                                  \
    "adcs " sum ", " sum ", " sum "\n\t"                                                           \
    "add " sum ", " sum ", %[low], lsr #31\n\t"                                                    \
    "add " sum ", " sum ", " sum ", asr #31\n\t"                                                   \
    "orr %[all], %[all], %[right]\n\t"                                                             \
    "asr " sum ", " sum ", %[right]\n\t"                                                           \
    "add " sum ", " sum ", %[middle]\n\t"                                                          \
    "ssat " sum ", #8, " sum ", asr #1\n\t"

/* The results of four channels that lie next to one another; bounds are kept for all at once.
 * False, and nothing is written, if a ratio is 1 or more: its sum must be shifted left. */
static inline bool finish4(const uint32_t *sum, const int32_t *rescale, const bounds *range,
                           int8_t *y)
{
    uint32_t a = sum[0], b = sum[1], c = sum[2], d = sum[3], low, by;
    int32_t right, all = 0;
    __asm__(RESULT("%[a]") RESULT("%[b]") RESULT("%[c]") RESULT("%[d]")
            "bfi %[a], %[b], #8, #8\n\t"
            "bfi %[a], %[c], #16, #8\n\t"
            "bfi %[a], %[d], #24, #8\n\t"
            : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [table] "+r"(rescale),
              [all] "+r"(all), [low] "=&r"(low), [by] "=&r"(by), [right] "=&r"(right)
            : [middle] "r"(range->middle)
            : "cc", "memory");
    if (all < 0) {
        return false;
    }
    __asm__("ssub8 %[t], %[a], %[low]\n\t"
            "sel %[a], %[a], %[low]\n\t"
            "ssub8 %[t], %[high], %[a]\n\t"
            "sel %[a], %[a], %[high]\n\t"
            : [a] "+r"(a), [t] "=&r"(b)
            : [low] "r"(range->low), [high] "r"(range->high)
            : "cc");
    __builtin_memcpy(y, &a, 4);
    return true;
}

#else

static inline bool finish4(const uint32_t *sum, const int32_t *rescale, const bounds *b, int8_t *y)
{
    for (uint32_t k = 0; k < 4u; k++) {
        y[k] = tl_int8_clamp(tl_int8_rescale(sum[k], rescale + 2u * k), b->range);
    }
    return true;
}

#endif

void tl_int8_results(const uint32_t sum[4], const int32_t *rescale, tl_int8_range range, int8_t *y)
{
    bounds b = bounds_of(range);
    if (!finish4(sum, rescale, &b, y)) {
        for (uint32_t k = 0; k < 4u; k++) {
            y[k] = tl_int8_clamp(tl_int8_rescale(sum[k], rescale + 2u * k), range);
        }
    }
}

/* Four channels that lie next to one another. A function of its own, for its registers. Without
 * `rescale` it gives the sums themselves, four uint32. */
static NOINLINE bool four(const tl_int8_runs *r, const int8_t *w, const uint8_t *bias,
                          const int32_t *rescale, const bounds *range, int8_t *y)
{
    uint32_t s[4] = {0, 0, 0, 0};
    if (bias != 0) {
        __builtin_memcpy(s, bias, sizeof s);
    }
    dot4(r, w, s);
    if (rescale == 0) {
        __builtin_memcpy(y, s, sizeof s);
        return true;
    }
    return finish4(s, rescale, range, y);
}

/* Up to four channels. Of fewer some are computed twice: so none is outside. */
static void any(const tl_layer *layer, const int32_t *rescale, tl_int8_runs *r,
                         const int8_t *w, uint32_t first, tl_int8_range range, int8_t *y)
{
    uint32_t left = layer->out.c - first;
    uint32_t step = left > 1u, second = left > 3u ? 2u : left - step - 1u;
    uint32_t at[4] = {first, first + step, first + second, first + second + step}, s[4];
    for (uint32_t k = 0; k < 4u; k++) {
        s[k] = tl_int8_bias(layer, at[k]);
    }
    r->step = step * r->channel;
    r->second = second * r->channel;
    (void)four(r, w, (const uint8_t *)(const void *)s, 0, 0, (int8_t *)(void *)s);
    for (uint32_t k = 0; k < 4u; k++) {
        y[at[k]] = tl_int8_clamp(tl_int8_rescale(s[k], rescale + 2u * at[k]), range);
    }
}

void tl_int8_channels(const tl_layer *layer, const int32_t *rescale, tl_int8_runs *runs,
                      tl_int8_range range, int8_t *y)
{
    const int8_t *w = runs->w;
    const uint8_t *bias = layer->bias;
    uint32_t o = 0, next = 4u * runs->channel;
    bounds b = bounds_of(range);
    runs->offset = OFFSET(runs->zero);
    runs->step = runs->channel;
    runs->second = 2u * runs->channel;
    for (; o + 4u <= layer->out.c; o += 4u, w += next, bias = bias != 0 ? bias + 16 : 0) {
        if (!four(runs, w, bias, rescale + 2u * o, &b, y + o)) {
            any(layer, rescale, runs, w, o, range, y);
        }
    }
    if (o < layer->out.c) {
        any(layer, rescale, runs, w, o, range, y);
    }
}

#endif
