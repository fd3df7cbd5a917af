/* Momentum (B. T. Polyak, 1964), L2 weight decay, and clipping by norm, layer by layer. */
#include "tl_internal.h"

static float squares(const float *x, uint32_t n)
{
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return sum;
}

#if !TL_DENSE_ONLY

/* Sum of squares of the inputs under a window. */
static float window_squares(const tl_layer *layer, const tl_window *at, const float *x)
{
    float sum = 0.0f;
    for (uint32_t row = at->row; row < at->row_end; row++) {
        for (uint32_t column = at->column; column < at->column_end; column++) {
            sum += squares(x + tl_pixel(layer, at, row, column), layer->in.c);
        }
    }
    return sum;
}

/* One position adds d x^T to the gradient; the norm of a sum is at most the sum of the norms. */
static float convolution_norm(const tl_layer *layer, const float *x, const float *d)
{
    float norm = 0.0f;
    for (uint32_t row = 0; row < layer->out.h; row++) {
        for (uint32_t column = 0; column < layer->out.w; column++, d += layer->out.c) {
            tl_window at = tl_window_at(layer, row, column);
            norm += tl_sqrt(squares(d, layer->out.c) * (window_squares(layer, &at, x) + 1.0f));
        }
    }
    return norm;
}

#endif

/* A dense layer's gradient has rank one, so its norm needs no gradient. */
float tl_gradient_norm(const tl_layer *layer, const float *x, const float *d)
{
#if !TL_DENSE_ONLY
    if (layer->kind != TL_DENSE) {
        return convolution_norm(layer, x, d);
    }
#endif
    return tl_sqrt(squares(d, layer->out.c) * (squares(x, layer->in.c) + 1.0f));
}

void tl_momentum_step(const tl_learner *l, const tl_layer *layer, float *w, float *v,
                      const float *x, float *d, float rate)
{
    uint32_t n_weights = tl_weight_count(layer);
    uint32_t n = n_weights + layer->out.c;
    float norm = l->clip > 0.0f ? tl_gradient_norm(layer, x, d) : 0.0f;
    if (norm > l->clip) {
        float scale = l->clip / norm;
        for (uint32_t i = 0; i < tl_elements(layer->out); i++) {
            d[i] = scale * d[i];
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = l->momentum * v[i] + 0.0f; /* no -0: see the contract */
    }
    tl_update_layer((l->flags & TL_FMA) != 0, layer, v, v + n_weights, x, d, -1.0f);
    for (uint32_t i = 0; i < n; i++) {
        float decay = i < n_weights ? l->decay * w[i] : 0.0f;
        float pace = v[i] + decay;
        w[i] -= rate * pace;
    }
}
