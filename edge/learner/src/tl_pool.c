/* Pools, mean and padding of float32 activations, and their gradients. */
#include "tl_internal.h"

#if !TL_DENSE_ONLY

static uint32_t pixels(const tl_window *at)
{
    return (uint32_t)(at->row_end - at->row) * (uint32_t)(at->column_end - at->column);
}

/* Input element with the largest value of channel c in a window; the first of equals. */
static uint32_t argmax(const tl_layer *layer, const tl_window *at, const float *x, uint32_t c)
{
    uint32_t best = tl_pixel(layer, at, at->row, at->column) + c;
    for (uint32_t row = at->row; row < at->row_end; row++) {
        for (uint32_t column = at->column; column < at->column_end; column++) {
            uint32_t i = tl_pixel(layer, at, row, column) + c;
            best = x[i] > x[best] ? i : best;
        }
    }
    return best;
}

static float window_sum(const tl_layer *layer, const tl_window *at, const float *x, uint32_t c)
{
    float sum = 0.0f;
    for (uint32_t row = at->row; row < at->row_end; row++) {
        for (uint32_t column = at->column; column < at->column_end; column++) {
            sum += x[tl_pixel(layer, at, row, column) + c];
        }
    }
    return sum;
}

static void pool_at(const tl_layer *layer, const tl_window *at, const float *x, float *y)
{
    for (uint32_t c = 0; c < layer->out.c; c++) {
        y[c] = layer->kind == TL_MAX_POOL ? x[argmax(layer, at, x, c)]
                                          : window_sum(layer, at, x, c) / (float)pixels(at);
    }
}

static void pool_back_at(const tl_layer *layer, const tl_window *at, const float *x, const float *d,
                         float *dx)
{
    for (uint32_t c = 0; c < layer->out.c; c++) {
        if (layer->kind == TL_MAX_POOL) {
            dx[argmax(layer, at, x, c)] += d[c];
            continue;
        }
        float share = d[c] / (float)pixels(at);
        for (uint32_t row = at->row; row < at->row_end; row++) {
            for (uint32_t column = at->column; column < at->column_end; column++) {
                dx[tl_pixel(layer, at, row, column) + c] += share;
            }
        }
    }
}

static void mean_forward(const tl_layer *layer, const float *x, float *y)
{
    uint32_t count = (uint32_t)layer->in.h * layer->in.w;
    for (uint32_t c = 0; c < layer->in.c; c++) {
        float sum = 0.0f;
        for (uint32_t i = 0; i < count; i++) {
            sum += x[i * layer->in.c + c];
        }
        y[c] = sum / (float)count;
    }
}

static void mean_back(const tl_layer *layer, const float *d, float *dx)
{
    uint32_t count = (uint32_t)layer->in.h * layer->in.w;
    for (uint32_t c = 0; c < layer->in.c; c++) {
        float share = d[c] / (float)count;
        for (uint32_t i = 0; i < count; i++) {
            dx[i * layer->in.c + c] += share;
        }
    }
}

/* The element of a padded output under an input pixel. */
static uint32_t padded(const tl_layer *layer, uint32_t y, uint32_t x)
{
    return ((y + layer->pad_top) * layer->out.w + x + layer->pad_left) * layer->out.c;
}

static void copy(float *to, const float *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

static void pad_forward(const tl_layer *layer, const float *x, float *y)
{
    uint32_t row = (uint32_t)layer->in.w * layer->in.c;
    for (uint32_t i = 0; i < tl_elements(layer->out); i++) {
        y[i] = 0.0f;
    }
    for (uint32_t at = 0; at < layer->in.h; at++) {
        copy(y + padded(layer, at, 0), x + at * row, row);
    }
}

static void pad_back(const tl_layer *layer, const float *d, float *dx)
{
    uint32_t row = (uint32_t)layer->in.w * layer->in.c;
    for (uint32_t at = 0; at < layer->in.h; at++) {
        copy(dx + at * row, d + padded(layer, at, 0), row);
    }
}

void tl_pool_forward(const tl_layer *layer, const float *x, float *y)
{
    if (layer->kind == TL_PAD) {
        pad_forward(layer, x, y);
        return;
    }
    if (layer->kind == TL_MEAN) {
        mean_forward(layer, x, y);
        return;
    }
    for (uint32_t row = 0; row < layer->out.h; row++) {
        for (uint32_t column = 0; column < layer->out.w; column++, y += layer->out.c) {
            tl_window at = tl_window_at(layer, row, column);
            pool_at(layer, &at, x, y);
        }
    }
}

void tl_pool_back(const tl_layer *layer, const float *x, const float *d, float *dx)
{
    if (layer->kind == TL_PAD) {
        pad_back(layer, d, dx);
        return;
    }
    if (layer->kind == TL_MEAN) {
        mean_back(layer, d, dx);
        return;
    }
    for (uint32_t row = 0; row < layer->out.h; row++) {
        for (uint32_t column = 0; column < layer->out.w; column++, d += layer->out.c) {
            tl_window at = tl_window_at(layer, row, column);
            pool_back_at(layer, &at, x, d, dx);
        }
    }
}

#endif
