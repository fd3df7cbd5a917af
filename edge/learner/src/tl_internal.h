/* What the learner's own files share. */
#ifndef TL_INTERNAL_H
#define TL_INTERNAL_H

#include "tinylearn.h"

/* Operators besides the dense ones can be left out of a build (firmware for one model). */
#ifndef TL_DENSE_ONLY
#define TL_DENSE_ONLY 0
#endif

bool tl_is_finite(float x);
bool tl_all_finite(const float *x, uint32_t n);

/* Natural logarithm of a positive x, to within 2 ulp; infinity and NaN stay what they are. */
float tl_log(float x);

/* --- layers (tl_layer.c) --- */

uint32_t tl_elements(tl_shape shape);
bool tl_has_weights(const tl_layer *layer);

/* Weights without the bias; products that one output element sums; multiply-accumulates. */
uint32_t tl_weight_count(const tl_layer *layer);
uint32_t tl_inputs_of_one(const tl_layer *layer);
uint32_t tl_macs(const tl_layer *layer);

/* Bytes of a layer's input and output in the arena, each a multiple of 4. */
uint32_t tl_in_bytes(const tl_layer *layer);
uint32_t tl_out_bytes(const tl_layer *layer);

/* --- float32 primitives (tl_kernels*.c): the one place where a core has code of its own ---
 * w is [n_in][n_out], rows of n_out next to one another. fma: the arithmetic contract. */

/* z[o] += sum over i of w[i][o] * x[i] */
void tl_columns(bool fma, const float *w, const float *x, uint32_t n_in, uint32_t n_out, float *z);

/* dx[i] += sum over o of w[i][o] * d[o] */
void tl_back(bool fma, const float *w, const float *d, uint32_t n_in, uint32_t n_out, float *dx);

/* w[i][o] -= g[o] * x[i] */
void tl_update(bool fma, float *w, const float *x, const float *g, uint32_t n_in, uint32_t n_out);

/* tl_back (into dx that starts at 0), then tl_update, in one pass; dx[i] of an x[i] == 0 may be
 * left at 0, so only for an x that comes out of a ReLU. */
void tl_back_update(bool fma, float *w, const float *x, const float *d, const float *g,
                    uint32_t n_in, uint32_t n_out, float *dx);

/* z[o] += sum over i of w[o][i] * x[i], with rows of w `stride` apart: weights as in the file. */
void tl_rows(bool fma, const float *w, uint32_t stride, const float *x, uint32_t n_in,
             uint32_t n_out, float *z);

/* --- float32 layers --- */

/* Where a layer's parameters are: in the file (in_file), or in the learner's arena. */
typedef struct tl_weights {
    const float *w;
    const float *b; /* null: zero */
    bool in_file;
} tl_weights;

/* Run one float32 layer, activation included. */
void tl_forward(bool fma, const tl_layer *layer, tl_weights p, const float *x, float *y);

/* y[n] = activation(z[n]) in place; softmax is over all n. */
void tl_activate(uint8_t activation, float *z, uint32_t n);

/* Turn dL/dy into dL/dz in place, given y. Softmax: unused (folded into the loss). */
void tl_activate_back(uint8_t activation, const float *y, float *d, uint32_t n);

/* Loss of an output y, and where d is given dL/dy (cross-entropy: dL/dz). `logits`: z of the last
 * layer. */
float tl_loss_mse(const float *y, const float *target, uint32_t n, float *d);
float tl_loss_cross_entropy(const float *logits, const float *y, uint32_t n, uint32_t class_index,
                            float *d);

/* --- int8 layers (tl_int8*.c) --- */

/* Fill a layer's rescale table ([c_out][2]: multiplier, shift), once, when the arena is laid out. */
void tl_int8_prepare(const tl_layer *layer, int32_t *rescale);

/* Run one layer whose type is TL_INT8 (QUANTIZE from float32 and DEQUANTIZE excepted: below).
 * `rescale`: the layer's table; null for kinds without weights. */
void tl_int8_forward(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y);

int8_t tl_quantise(float x, float scale, int32_t zero);
void tl_quantise_many(const tl_layer *layer, const float *x, int8_t *y);
void tl_dequantise_many(const tl_layer *layer, const int8_t *x, float *y);

#endif
