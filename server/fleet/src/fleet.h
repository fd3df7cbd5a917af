/*
 * Many clients of one dense net, trained in one call: clients outside, steps inside.
 *
 * exact.c keeps the arithmetic contract of tinylearn.h, bit for bit: the lanes of a vector are
 * clients, so that no sum is reordered. fast.c may reorder and fuse.
 * Nothing is allocated; the caller owns all memory.
 */
#ifndef FLEET_H
#define FLEET_H

#include <stdint.h>

#define FLEET_MAX_LAYERS 16u
#define FLEET_LANES 16u

typedef struct fleet_layer {
    uint32_t n_in, n_out;
    uint32_t relu; /* 1: max(z, 0), else z */
} fleet_layer;

/* One job: the same start and the same number of samples for every client. */
typedef struct fleet_job {
    uint32_t n_layers;
    fleet_layer layers[FLEET_MAX_LAYERS];
    uint32_t first;         /* layers before it are not trained */
    uint32_t cross_entropy; /* softmax and cross-entropy on a class index, else squared error */
    uint32_t fma;           /* one rounding a step of a sum (exact.c) */
    uint32_t n_parameters;
    uint32_t n_target;      /* values of a target: 1, or n_out of the last layer */
    uint32_t samples, epochs;
    const float *start;     /* [n_parameters], in the order of the file */
    const float *rates;     /* [epochs * samples] */
    double limit;           /* longest delta (L2) of a client that counts */
} fleet_job;

/* Bytes of scratch memory that one call needs, to be aligned to 64. */
uint64_t fleet_scratch(const fleet_job *job);

/*
 * Train clients.
 *   x       [clients][samples][n_in of the first layer]
 *   y       [clients][samples][n_target]
 *   sum     [n_parameters], += trained minus start of every client that counts, in their order
 *   losses  [clients], mean loss of all steps before each; NaN for a client that does not count:
 *           a loss of it, or a weight in the end, was not finite, or it went too far
 *   trained [clients][n_parameters] or null: the weights of each
 */
void fleet_train(const fleet_job *job, uint32_t clients, const float *x, const float *y,
                 void *scratch, double *sum, float *losses, float *trained);

#endif
