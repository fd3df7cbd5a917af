/* Float32 layers: forward, backward and update, over the primitives. */
#include "tl_internal.h"

const float *tl_start_of(tl_weights p, uint32_t n, float *z)
{
    if (TL_DENSE_ONLY || !p.in_file) {
        return p.b;
    }
    uint32_t o = 0;
    for (; p.b != 0 && o + 4u <= n; o += 4u) {
        float b0 = p.b[o], b1 = p.b[o + 1u], b2 = p.b[o + 2u], b3 = p.b[o + 3u];
        z[o] = b0 + 0.0f;
        z[o + 1u] = b1 + 0.0f;
        z[o + 2u] = b2 + 0.0f;
        z[o + 3u] = b3 + 0.0f;
    }
    for (; o < n; o++) {
        z[o] = p.b != 0 ? p.b[o] + 0.0f : 0.0f;
    }
    return z;
}

#if !TL_DENSE_ONLY

static void copy(float *to, const float *from, uint32_t n)
{
    for (uint32_t i = 0; to != from && i < n; i++) {
        to[i] = from[i];
    }
}

#endif

static void dense_forward(bool fma, const tl_layer *layer, tl_weights p, const float *x, float *z)
{
    const float *start = tl_start_of(p, layer->out.c, z);
    if (!TL_DENSE_ONLY && p.in_file) {
        tl_rows(fma, p.w, layer->in.c, x, layer->in.c, layer->out.c, z);
    } else {
        tl_columns(fma, p.w, x, layer->in.c, layer->out.c, start, z);
    }
}

void tl_forward(bool fma, const tl_layer *layer, tl_weights p, const float *x, float *y)
{
    switch (layer->kind) {
    case TL_DENSE:
        dense_forward(fma, layer, p, x, y);
        break;
#if !TL_DENSE_ONLY
    case TL_CONV:
    case TL_DEPTHWISE:
        tl_spatial_forward(fma, layer, p, x, y);
        break;
    case TL_ACTIVATE:
        copy(y, x, tl_elements(layer->out));
        break;
    default:
        tl_pool_forward(layer, x, y);
#endif
    }
}

void tl_back_layer(bool fma, const tl_layer *layer, const float *w, const float *x, const float *d,
                   float *dx)
{
    uint32_t n_in = tl_elements(layer->in);
    for (uint32_t i = 0; i < n_in; i++) {
        dx[i] = 0.0f;
    }
    (void)x;
    switch (layer->kind) {
    case TL_DENSE:
        tl_back(fma, w, d, n_in, layer->out.c, dx);
        break;
#if !TL_DENSE_ONLY
    case TL_CONV:
    case TL_DEPTHWISE:
        tl_spatial_back(fma, layer, w, d, dx);
        break;
    case TL_ACTIVATE:
        copy(dx, d, n_in);
        break;
    default:
        tl_pool_back(layer, x, d, dx);
#endif
    }
}

void tl_update_layer(bool fma, const tl_layer *layer, float *w, float *b, const float *x, float *d,
                     float rate)
{
#if !TL_DENSE_ONLY
    if (layer->kind != TL_DENSE) {
        tl_spatial_update(fma, layer, w, b, x, d, rate);
        return;
    }
#endif
    tl_bias_step(b, d, d, layer->out.c, rate);
    tl_update(fma, w, x, d, layer->in.c, layer->out.c);
}
