/* tinyfront: the log-mel front end of tinyfleet in whole numbers; C99, no heap.
 *
 * The same arithmetic as edge/frontend/logmel.py, to the bit. A configuration is three tables that
 * edge/frontend/tables.py makes; they may lie in flash.
 */
#ifndef TINYFRONT_H
#define TINYFRONT_H

#include <stdint.h>

#define TF_MAX_FRAME 512u /* samples of a frame; longer ones would overflow the transform */

/* Scratch memory of one call, in bytes: a frame's complex transform. */
#define TF_SCRATCH(frame) ((frame)*8u)

typedef struct tf_config {
    uint32_t frame;          /* samples of a frame: a power of two, 8 to TF_MAX_FRAME */
    uint32_t hop;            /* samples from one frame to the next, 1 or more */
    uint32_t bands;          /* mel bands, 1 or more */
    const int16_t *window;   /* [frame], Q15 */
    const int32_t *cosine;   /* [frame / 2], Q15: of 2 pi k / frame */
    const int32_t *sine;     /* [frame / 2], Q15 */
    const uint16_t *weights; /* [bands][frame / 2 + 1], Q12 */
} tf_config;

/* How many frames so many samples give: at least one, the last samples short of a hop left out. */
uint32_t tf_frames(const tf_config *config, uint32_t samples);

/* Log energies of the mel bands of each frame; samples beyond the end count as 0.
 *
 *   audio    int16 [samples]
 *   out      int16 [frames][bands], log2 of the energy in 1/256
 *   energy   uint64 [frames], sum over the bands, or null
 *   scratch  TF_SCRATCH(frame) bytes, aligned to 4
 *
 * Returns the number of frames; 0 where the configuration is not as above, or where there is room
 * for fewer than tf_frames().
 */
uint32_t tf_logmel(const tf_config *config, const int16_t *audio, uint32_t samples, int16_t *out,
                   uint64_t *energy, uint32_t room, int32_t *scratch);

/* Stretch or shrink [frames][bands] to [wanted][bands] along time, by linear interpolation. */
void tf_stretch(const int16_t *in, uint32_t frames, uint32_t bands, uint32_t wanted, int16_t *out);

/* Cut [wanted][bands] around the centre of energy; frames beyond the ends hold the smallest value. */
void tf_centre(const int16_t *in, const uint64_t *energy, uint32_t frames, uint32_t bands,
               uint32_t wanted, int16_t *out);

/* Take the mean of all n values away, so that loudness does not count, and scale to about 1. */
void tf_normalise(const int16_t *in, uint32_t n, float *out);

#endif
