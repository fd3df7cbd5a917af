/* Bring the bands of a clip to the size that a model takes. */
#include <stddef.h>

#include "tinyfront.h"

#define POSITION_BITS 8u
#define SCALE (1.0f / 512.0f) /* two octaves of energy are 1 */

void tf_stretch(const int16_t *in, uint32_t frames, uint32_t bands, uint32_t wanted, int16_t *out)
{
    for (uint32_t t = 0u; t < wanted; t++) {
        uint64_t way = (uint64_t)t * (frames - 1u) << POSITION_BITS;
        uint32_t at = wanted > 1u ? (uint32_t)(way / (wanted - 1u)) : 0u;
        uint32_t before = at >> POSITION_BITS, after = before + 1u < frames ? before + 1u : before;
        int32_t share = (int32_t)(at & ((1u << POSITION_BITS) - 1u));
        for (uint32_t band = 0u; band < bands; band++) {
            int32_t a = in[(size_t)before * bands + band], b = in[(size_t)after * bands + band];
            out[(size_t)t * bands + band] = (int16_t)((a * (256 - share) + b * share + 128) / 256);
        }
    }
}

void tf_centre(const int16_t *in, const uint64_t *energy, uint32_t frames, uint32_t bands,
               uint32_t wanted, int16_t *out)
{
    uint64_t sum = 0u, moment = 0u;
    for (uint32_t t = 0u; t < frames; t++) {
        sum += energy[t];
        moment += energy[t] * t;
    }
    int64_t first = (int64_t)(sum ? moment / sum : frames / 2u) - (int64_t)(wanted / 2u);
    int16_t least = in[0];
    for (size_t i = 1u; i < (size_t)frames * bands; i++) {
        least = in[i] < least ? in[i] : least;
    }
    for (uint32_t t = 0u; t < wanted; t++) {
        int64_t from = first + t;
        for (uint32_t band = 0u; band < bands; band++) {
            int inside = from >= 0 && from < (int64_t)frames;
            out[(size_t)t * bands + band] = inside ? in[(size_t)from * bands + band] : least;
        }
    }
}

void tf_normalise(const int16_t *in, uint32_t n, float *out)
{
    int64_t sum = 0;
    for (uint32_t i = 0u; i < n; i++) {
        sum += in[i];
    }
    int32_t mean = n ? (int32_t)(sum / (int64_t)n) : 0; /* logarithms are above 0 */
    for (uint32_t i = 0u; i < n; i++) {
        out[i] = (float)(in[i] - mean) * SCALE;
    }
}
