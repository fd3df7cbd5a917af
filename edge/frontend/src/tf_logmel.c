/* Frames, transform, mel bands and logarithm. */
#include <stddef.h>

#include "tinyfront.h"

#define GUARD_BITS 6       /* below the bits of a sample, for the transform's rounding */
#define POWER_SHIFT 16
#define WEIGHT_BITS 12
#define FLOOR 64u          /* added to every energy: what is below is silence */
#define FRACTION_BITS 8u

static int valid(const tf_config *c)
{
    return c->frame >= 8u && c->frame <= TF_MAX_FRAME && (c->frame & (c->frame - 1u)) == 0u &&
           c->hop > 0u && c->bands > 0u;
}

uint32_t tf_frames(const tf_config *config, uint32_t samples)
{
    return samples <= config->frame ? 1u : 1u + (samples - config->frame) / config->hop;
}

/* Shift towards minus infinity, whatever the compiler does with the sign. */
static int64_t floor_shift(int64_t value, unsigned bits)
{
    int64_t step = (int64_t)1 << bits;
    int64_t quotient = value / step;
    return quotient - (value % step < 0);
}

static uint32_t reversed(uint32_t index, uint32_t n)
{
    uint32_t found = 0u;
    for (uint32_t bit = 1u; bit < n; bit <<= 1u) {
        found = found << 1u | (index & 1u);
        index >>= 1u;
    }
    return found;
}

/* Radix-2 transform of re + i im, [n] each, in bit-reversed order. */
static void transform(const tf_config *c, int32_t *re, int32_t *im)
{
    for (uint32_t half = 1u; half < c->frame; half <<= 1u) {
        uint32_t stride = c->frame / (2u * half);
        for (uint32_t start = 0u; start < c->frame; start += 2u * half) {
            for (uint32_t k = 0u; k < half; k++) {
                uint32_t a = start + k, b = a + half;
                int64_t cosine = c->cosine[k * stride], sine = c->sine[k * stride];
                int64_t r = cosine * re[b] + sine * im[b], i = cosine * im[b] - sine * re[b];
                int32_t tr = (int32_t)floor_shift(r + (1 << 14), 15u);
                int32_t ti = (int32_t)floor_shift(i + (1 << 14), 15u);
                re[b] = re[a] - tr;
                im[b] = im[a] - ti;
                re[a] += tr;
                im[a] += ti;
            }
        }
    }
}

/* Floor of log2(value) in 1/256; value is 1 or more. */
static int16_t log2_q8(uint64_t value)
{
    uint32_t whole = 0u, fraction = 0u;
    while (value >> whole > 1u) {
        whole++;
    }
    uint64_t m = whole > 30u ? value >> (whole - 30u) : value << (30u - whole);
    for (uint32_t bit = 0u; bit < FRACTION_BITS; bit++) {
        m = (m * m) >> 30u;
        fraction <<= 1u;
        if (m >> 31u) {
            m >>= 1u;
            fraction |= 1u;
        }
    }
    return (int16_t)(whole << FRACTION_BITS | fraction);
}

static uint64_t band_energy(const tf_config *c, const int32_t *re, const int32_t *im, uint32_t band)
{
    const uint16_t *weights = c->weights + (size_t)band * (c->frame / 2u + 1u);
    uint64_t sum = 0u;
    for (uint32_t k = 0u; k <= c->frame / 2u; k++) {
        if (weights[k]) {
            int64_t r = re[k], i = im[k];
            sum += ((uint64_t)(r * r + i * i) >> POWER_SHIFT) * weights[k];
        }
    }
    return sum >> WEIGHT_BITS;
}

uint32_t tf_logmel(const tf_config *config, const int16_t *audio, uint32_t samples, int16_t *out,
                   uint64_t *energy, uint32_t room, int32_t *scratch)
{
    if (!valid(config) || tf_frames(config, samples) > room) {
        return 0u;
    }
    uint32_t frames = tf_frames(config, samples), n = config->frame;
    int32_t *re = scratch, *im = scratch + n;
    for (uint32_t t = 0u; t < frames; t++) {
        uint32_t first = t * config->hop;
        for (uint32_t i = 0u; i < n; i++) {
            int64_t x = first + i < samples ? audio[first + i] : 0;
            re[reversed(i, n)] = (int32_t)floor_shift(x * config->window[i], 15 - GUARD_BITS);
            im[i] = 0;
        }
        transform(config, re, im);
        uint64_t total = 0u;
        for (uint32_t band = 0u; band < config->bands; band++) {
            uint64_t found = band_energy(config, re, im, band);
            out[(size_t)t * config->bands + band] = log2_q8(found + FLOOR);
            total += found;
        }
        if (energy) {
            energy[t] = total;
        }
    }
    return frames;
}
