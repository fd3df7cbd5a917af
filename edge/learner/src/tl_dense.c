#include "tl_internal.h"

/* Four rows at a time share each load of x; no row's sum is reordered. */
static void forward_four(const float *w, const float *b, uint32_t n_in, const float *x, float *z)
{
    const float *w0 = w;
    const float *w1 = w0 + n_in;
    const float *w2 = w1 + n_in;
    const float *w3 = w2 + n_in;
    float z0 = b != 0 ? b[0] : 0.0f;
    float z1 = b != 0 ? b[1] : 0.0f;
    float z2 = b != 0 ? b[2] : 0.0f;
    float z3 = b != 0 ? b[3] : 0.0f;
    for (uint32_t i = 0; i < n_in; i++) {
        float xi = x[i];
        z0 += w0[i] * xi;
        z1 += w1[i] * xi;
        z2 += w2[i] * xi;
        z3 += w3[i] * xi;
    }
    z[0] = z0;
    z[1] = z1;
    z[2] = z2;
    z[3] = z3;
}

void tl_dense_forward(const tl_layer *layer, tl_weights p, const float *x, float *z)
{
    uint32_t n_in = layer->n_in;
    uint32_t o = 0;
    for (; o + 4 <= layer->n_out; o += 4) {
        forward_four(p.w + o * n_in, p.b != 0 ? p.b + o : 0, n_in, x, z + o);
    }
    for (; o < layer->n_out; o++) {
        const float *row = p.w + o * n_in;
        float sum = p.b != 0 ? p.b[o] : 0.0f;
        for (uint32_t i = 0; i < n_in; i++) {
            sum += row[i] * x[i];
        }
        z[o] = sum;
    }
}

void tl_dense_step(const tl_layer *layer, float *w, float *b, const float *x, const float *d,
                   float rate, float *dx)
{
    uint32_t n_in = layer->n_in;
    for (uint32_t i = 0; dx != 0 && i < n_in; i++) {
        dx[i] = 0.0f;
    }
    for (uint32_t o = 0; o < layer->n_out; o++) {
        if (d[o] == 0.0f) {
            continue;
        }
        float *row = w + o * n_in;
        float delta = d[o];
        float step = rate * delta;
        if (dx != 0) {
            for (uint32_t i = 0; i < n_in; i++) {
                float before = row[i];
                dx[i] += before * delta;
                row[i] = before - step * x[i];
            }
        } else {
            for (uint32_t i = 0; i < n_in; i++) {
                row[i] -= step * x[i];
            }
        }
        if (b != 0) {
            b[o] -= step;
        }
    }
}
