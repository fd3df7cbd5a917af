/* What the learner's own files share. */
#ifndef TL_INTERNAL_H
#define TL_INTERNAL_H

#include <stdbool.h>

#include "tinylearn.h"

/* Parameters of one layer where they are now: in the file, or in the learner's arena. */
typedef struct tl_weights {
    const float *w; /* [n_out][n_in] */
    const float *b; /* [n_out], or null */
} tl_weights;

bool tl_is_finite(float x);
bool tl_all_finite(const float *x, uint32_t n);

/* Natural logarithm of a positive x, to within 2 ulp; infinity and NaN stay what they are. */
float tl_log(float x);

/* Elements of the widest layer's output (and, if asked, of the input). */
uint32_t tl_widest(const tl_model *m, bool with_input);

/* to[n] = from[n]; zeros where from is null. */
void tl_copy(float *to, const float *from, uint32_t n);

/* Where layer `index` has its weights now; `*trained`, the learner's parameters at first, walks
 * along the trained ones. */
tl_weights tl_weights_in_file(const tl_layer *layer);
tl_weights tl_weights_of(const tl_learner *l, uint32_t index, float **trained);

/* The input as the first layer sees it (standardised, if so asked), and the scratch behind it. */
const float *tl_prepare(tl_learner *l, const float *x, float **scratch);

/* z[n_out] = w x + b */
void tl_dense_forward(const tl_layer *layer, tl_weights p, const float *x, float *z);

/* Where dx is given: dx[n_in] = w^T d, with the weights before the step; then w and b take the
 * step. b may be null. */
void tl_dense_step(const tl_layer *layer, float *w, float *b, const float *x, const float *d,
                   float rate, float *dx);

/* y[n] = activation(z[n]) in place; softmax is over all n. */
void tl_activate(uint8_t activation, float *z, uint32_t n);

/* Turn dL/dy into dL/dz in place, given y. Softmax: unused (folded into the loss). */
void tl_activate_back(uint8_t activation, const float *y, float *d, uint32_t n);

/* Loss of an output y, and where d is given dL/dy (cross-entropy: dL/dz). `logits`: z of the last
 * layer. */
float tl_loss_mse(const float *y, const float *target, uint32_t n, float *d);
float tl_loss_cross_entropy(const float *logits, const float *y, uint32_t n, uint32_t class_index,
                            float *d);

/* Int8 kernels: y[n_out] = requantised(w x + b), then its activation. */
void tl_int8_dense(const tl_layer *layer, const int8_t *x, int8_t *y);
void tl_int8_activate(const tl_layer *layer, int8_t *y);
int8_t tl_quantise(float x, float scale, int32_t zero);

#endif
