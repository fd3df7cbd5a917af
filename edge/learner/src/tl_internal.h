/* What the learner's own files share. */
#ifndef TL_INTERNAL_H
#define TL_INTERNAL_H

#include "tinylearn.h"

/* A build for one small model: dense float32 layers with ReLU, all of them trained, squared error,
 * plain steps, mul_add. What else a file or a flag asks for is refused. */
#ifndef TL_DENSE_ONLY
#define TL_DENSE_ONLY 0
#endif

/* Whether a learner has one of the flags that such a build has not. */
static inline bool tl_has(const tl_learner *l, uint16_t flag)
{
    return !TL_DENSE_ONLY && (l->flags & flag) != 0;
}

/* Whether its loss is that of a softmax. */
static inline bool tl_classifies(const tl_model *m)
{
    return !TL_DENSE_ONLY && m->loss == TL_CROSS_ENTROPY;
}

static inline bool tl_int8_layer(const tl_layer *layer)
{
    return !TL_DENSE_ONLY && layer->type == TL_INT8;
}

#define TL_MOST_COUNTED (1u << 24) /* beyond it a float32 count would not grow */

bool tl_is_finite(float x);
bool tl_all_finite(const float *x, uint32_t n);

/* Natural logarithm of a positive x, to within 2 ulp; infinity and NaN stay what they are. */
float tl_log(float x);

/* --- layers (tl_layer.c) --- */

#if TL_DENSE_ONLY

static inline uint32_t tl_elements(tl_shape shape)
{
    return shape.c;
}

static inline bool tl_has_weights(const tl_layer *layer)
{
    (void)layer;
    return true;
}

static inline uint32_t tl_inputs_of_one(const tl_layer *layer)
{
    return layer->in.c;
}

static inline uint32_t tl_weight_count(const tl_layer *layer)
{
    return (uint32_t)layer->in.c * layer->out.c;
}

static inline uint32_t tl_macs(const tl_layer *layer)
{
    return tl_weight_count(layer);
}

static inline uint32_t tl_out_bytes(const tl_layer *layer)
{
    return 4u * layer->out.c;
}

static inline uint32_t tl_in_bytes(const tl_layer *layer)
{
    return 4u * layer->in.c;
}

#else

uint32_t tl_elements(tl_shape shape);
bool tl_has_weights(const tl_layer *layer);

/* Weights without the bias; products that one output element sums; multiply-accumulates. */
uint32_t tl_weight_count(const tl_layer *layer);
uint32_t tl_inputs_of_one(const tl_layer *layer);
uint32_t tl_macs(const tl_layer *layer);

/* Bytes of a layer's input and output in the arena, each a multiple of 4. */
uint32_t tl_in_bytes(const tl_layer *layer);
uint32_t tl_out_bytes(const tl_layer *layer);

#endif

/* --- float32 primitives (tl_kernels*.c): the one place where a core has code of its own ---
 * w is [n_in][n_out], rows of n_out next to one another. fma: the arithmetic contract. */

/* z[o] = start[o] + sum over i of w[i][o] * x[i]; start may be z. */
void tl_columns(bool fma, const float *w, const float *x, uint32_t n_in, uint32_t n_out,
                const float *start, float *z);

/* dx[i] += sum over o of w[i][o] * d[o] */
void tl_back(bool fma, const float *w, const float *d, uint32_t n_in, uint32_t n_out, float *dx);

/* w[i][o] -= g[o] * x[i] */
void tl_update(bool fma, float *w, const float *x, const float *g, uint32_t n_in, uint32_t n_out);

/* tl_back (into dx that starts at 0), then tl_update, in one pass; dx[i] of an x[i] == 0 is 0, so
 * only for an x that comes out of a ReLU. */
void tl_back_update(bool fma, float *w, const float *x, const float *d, const float *g,
                    uint32_t n_in, uint32_t n_out, float *dx);

/* tl_columns, tl_back and tl_update at `count` positions next to one another: their inputs are
 * `x_step` floats apart, their outputs n_out. */
void tl_columns_run(bool fma, const float *w, const float *x, uint32_t n_in, uint32_t n_out,
                    float *z, uint32_t x_step, uint32_t count);
void tl_back_run(bool fma, const float *w, const float *d, uint32_t n_in, uint32_t n_out,
                 float *dx, uint32_t x_step, uint32_t count);
void tl_update_run(bool fma, float *w, const float *x, const float *g, uint32_t n_in,
                   uint32_t n_out, uint32_t x_step, uint32_t count);

/* z[k] += a[k] * (sign * b[k]), where sign is 1 or -1. */
void tl_products(bool fma, const float *a, const float *b, uint32_t n, float sign, float *z);

/* g[o] = rate * d[o], where g may be d; b[o] -= g[o]. */
void tl_bias_step(float *b, const float *d, float *g, uint32_t n, float rate);

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

/* Run one float32 layer, without its activation (tl_activate). */
void tl_forward(bool fma, const tl_layer *layer, tl_weights p, const float *x, float *y);

/* dx = dL/dx from d = dL/dz, with the weights w as they are in the arena. */
void tl_back_layer(bool fma, const tl_layer *layer, const float *w, const float *x, const float *d,
                   float *dx);

/* A step on the weights and bias in the arena: w -= rate * dL/dw. d is overwritten. */
void tl_update_layer(bool fma, const tl_layer *layer, float *w, float *b, const float *x, float *d,
                     float rate);

/* Norm of dL/d(w, b) of one sample; of a convolution an upper bound of it. */
float tl_gradient_norm(const tl_layer *layer, const float *x, const float *d);

/* Momentum, weight decay and clipping: the step of one layer. d is overwritten. */
void tl_momentum_step(const tl_learner *l, const tl_layer *layer, float *w, float *v,
                      const float *x, float *d, float rate);

/* Where n sums start: at the bias itself if it is in the arena, where none is -0; else at z. */
const float *tl_start_of(tl_weights p, uint32_t n, float *z);

/* The convolutions, as above; dx has to be 0 at first. */
void tl_spatial_forward(bool fma, const tl_layer *layer, tl_weights p, const float *x, float *z);
void tl_spatial_back(bool fma, const tl_layer *layer, const float *w, const float *d, float *dx);
void tl_spatial_update(bool fma, const tl_layer *layer, float *w, float *b, const float *x,
                       float *d, float rate);

/* Windows of a convolution or pool: the part of a window that lies inside the input. */
typedef struct tl_window {
    uint16_t y, x;            /* output position */
    uint8_t row, row_end;     /* kernel rows inside */
    uint8_t column, column_end;
    int32_t top, left;        /* input pixel of kernel row 0, column 0 */
} tl_window;

/* The window at an output position. */
tl_window tl_window_at(const tl_layer *layer, uint32_t y, uint32_t x);

/* Index of the input pixel under a kernel row and column of a window, in elements. */
uint32_t tl_pixel(const tl_layer *layer, const tl_window *window, uint32_t row, uint32_t column);

/* The pools, mean and padding. */
void tl_pool_forward(const tl_layer *layer, const float *x, float *y);
void tl_pool_back(const tl_layer *layer, const float *x, const float *d, float *dx);

/* y[n] = activation(z[n]) in place; softmax is over all n. */
void tl_activate(uint8_t activation, float *z, uint32_t n);

/* Turn dL/dy into dL/dz in place, given y. Softmax: unused (folded into the loss). */
void tl_activate_back(uint8_t activation, const float *y, float *d, uint32_t n);

/* Loss of an output y, and where d is given dL/dy. */
float tl_loss_mse(const float *y, const float *target, uint32_t n, float *d);

/* z = softmax(z) in place; the cross-entropy of class `class_index`, and dL/dz where d is given. */
float tl_loss_cross_entropy(float *z, uint32_t n, uint32_t class_index, float *d);

/* --- the learner --- */

/* Bytes of rescale tables, and most bytes of input and output of a layer in [from, to). */
uint32_t tl_rescale_bytes(const tl_model *m);
uint32_t tl_peak_bytes(const tl_model *m, uint32_t from, uint32_t to);

/* Where a layer has its weights now. `trained` walks along the learner's parameters. */
tl_weights tl_weights_of(const tl_learner *l, uint32_t index, const float **trained);

/* Run layers [from, to) on x. The last one writes to `out` if that is given; the result is
 * returned. */
const void *tl_run(const tl_learner *l, uint32_t from, uint32_t to, const void *x, void *out);

/* Whether the arena was laid out to learn. */
bool tl_can_learn(const tl_learner *l);

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
