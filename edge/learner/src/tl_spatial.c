/* Convolutions: windows over the image, each a few calls of the primitives. */
#include "tl_internal.h"

#if !TL_DENSE_ONLY

/* What one pass over a convolution does at a tap: `positions` next to one another, each with `n`
 * inputs from `pixel` on that meet the weights from input `tap` on. */
typedef struct pass {
    const tl_layer *layer;
    bool fma, in_file;
    const float *w, *x, *d; /* what is read */
    float *to;              /* what is summed into */
} pass;
typedef void visit(const pass *p, uint32_t tap, uint32_t pixel, uint32_t n, uint32_t position,
                   uint32_t count);

/* How many windows from this one on lie inside the input from their first column to their last. */
static uint32_t inner(const tl_layer *layer, const tl_window *at)
{
    uint32_t span = layer->kernel_w;
    if (layer->dilation_w != 1 || at->left < 0 || (uint32_t)at->left + span > layer->in.w) {
        return 0;
    }
    uint32_t more = (layer->in.w - span - (uint32_t)at->left) / layer->stride_w + 1u;
    uint32_t left = (uint32_t)(layer->out.w - at->x);
    return more < left ? more : left;
}

/* All taps of an output row. Positions with the whole kernel width inside the input go together,
 * kernel row after kernel row: no sum meets two kernel rows of one output row. */
static void walk(const pass *p, visit *each, uint32_t y)
{
    const tl_layer *layer = p->layer;
    for (uint32_t x = 0; x < layer->out.w;) {
        tl_window at = tl_window_at(layer, y, x);
        uint32_t whole = inner(layer, &at);
        uint32_t count = whole == 0 ? 1u : whole;
        uint32_t step = layer->dilation_w == 1 ? (uint32_t)(at.column_end - at.column) : 1u;
        uint32_t position = (y * layer->out.w + x) * layer->out.c;
        for (uint32_t row = at.row; row < at.row_end; row++) {
            for (uint32_t column = at.column; column < at.column_end; column += step) {
                uint32_t tap = (row * layer->kernel_w + column) * layer->in.c;
                each(p, tap, tl_pixel(layer, &at, row, column), step * layer->in.c, position, count);
            }
        }
        x += count;
    }
}

static uint32_t x_step(const tl_layer *layer)
{
    return (uint32_t)layer->stride_w * layer->in.c;
}

static void conv_forward_at(const pass *p, uint32_t tap, uint32_t pixel, uint32_t n,
                            uint32_t position, uint32_t count)
{
    const tl_layer *layer = p->layer;
    uint32_t c_out = layer->out.c;
    const float *x = p->x + pixel;
    float *z = p->to + position;
    if (!p->in_file) {
        tl_columns_run(p->fma, p->w + tap * c_out, x, n, c_out, z, x_step(layer), count);
        return;
    }
    for (; count != 0; count--, x += x_step(layer), z += c_out) {
        tl_rows(p->fma, p->w + tap, tl_inputs_of_one(layer), x, n, c_out, z);
    }
}

static void conv_back_at(const pass *p, uint32_t tap, uint32_t pixel, uint32_t n,
                         uint32_t position, uint32_t count)
{
    uint32_t c_out = p->layer->out.c;
    tl_back_run(p->fma, p->w + tap * c_out, p->d + position, n, c_out, p->to + pixel,
                x_step(p->layer), count);
}

static void conv_update_at(const pass *p, uint32_t tap, uint32_t pixel, uint32_t n,
                           uint32_t position, uint32_t count)
{
    uint32_t c_out = p->layer->out.c;
    tl_update_run(p->fma, p->to + tap * c_out, p->x + pixel, p->d + position, n, c_out,
                  x_step(p->layer), count);
}

/* An input channel of a depthwise convolution and its outputs are a dense layer of one input; where
 * it has one output, all channels of a pixel go at once. */
static void depthwise_forward_at(const pass *p, uint32_t tap, uint32_t pixel, uint32_t n,
                                 uint32_t position, uint32_t count)
{
    uint32_t channels = p->layer->in.c, c_out = p->layer->out.c, each = c_out / channels;
    for (; count != 0; count--, pixel += x_step(p->layer), position += c_out) {
        float *z = p->to + position;
        for (uint32_t i = 0; each == 1u && i < n; i += channels) {
            tl_products(p->fma, p->w + tap + i, p->x + pixel + i, channels, 1.0f, z);
        }
        for (uint32_t i = 0, o = 0; each != 1u && i < n; i++, o = o + each == c_out ? 0 : o + each) {
            tl_columns(p->fma, p->w + (tap + i) * each, p->x + pixel + i, 1, each, z + o, z + o);
        }
    }
}

static void depthwise_back_at(const pass *p, uint32_t tap, uint32_t pixel, uint32_t n,
                              uint32_t position, uint32_t count)
{
    uint32_t channels = p->layer->in.c, c_out = p->layer->out.c, each = c_out / channels;
    for (; count != 0; count--, pixel += x_step(p->layer), position += c_out) {
        const float *d = p->d + position;
        float *dx = p->to + pixel;
        for (uint32_t i = 0; each == 1u && i < n; i += channels) {
            tl_products(p->fma, p->w + tap + i, d, channels, 1.0f, dx + i);
        }
        for (uint32_t i = 0, o = 0; each != 1u && i < n; i++, o = o + each == c_out ? 0 : o + each) {
            tl_back(p->fma, p->w + (tap + i) * each, d + o, 1, each, dx + i);
        }
    }
}

static void depthwise_update_at(const pass *p, uint32_t tap, uint32_t pixel, uint32_t n,
                                uint32_t position, uint32_t count)
{
    uint32_t channels = p->layer->in.c, c_out = p->layer->out.c, each = c_out / channels;
    for (; count != 0; count--, pixel += x_step(p->layer), position += c_out) {
        const float *g = p->d + position;
        const float *x = p->x + pixel;
        for (uint32_t i = 0; each == 1u && i < n; i += channels) {
            tl_products(p->fma, g, x + i, channels, -1.0f, p->to + tap + i);
        }
        for (uint32_t i = 0, o = 0; each != 1u && i < n; i++, o = o + each == c_out ? 0 : o + each) {
            tl_update(p->fma, p->to + (tap + i) * each, x + i, g + o, 1, each);
        }
    }
}

void tl_spatial_forward(bool fma, const tl_layer *layer, tl_weights w, const float *x, float *z)
{
    pass p = {layer, fma, w.in_file, w.w, x, 0, z};
    uint32_t c_out = layer->out.c;
    visit *each = layer->kind == TL_CONV ? conv_forward_at : depthwise_forward_at;
    for (float *at = z; at < z + tl_elements(layer->out); at += c_out) {
        const float *start = tl_start_of(w, c_out, at);
        for (uint32_t o = 0; start != at && o < c_out; o++) {
            at[o] = start[o];
        }
    }
    for (uint32_t y = 0; y < layer->out.h; y++) {
        walk(&p, each, y);
    }
}

void tl_spatial_back(bool fma, const tl_layer *layer, const float *w, const float *d, float *dx)
{
    pass p = {layer, fma, false, w, 0, d, dx};
    for (uint32_t y = 0; y < layer->out.h; y++) {
        walk(&p, layer->kind == TL_CONV ? conv_back_at : depthwise_back_at, y);
    }
}

/* d becomes rate * d on the way. */
void tl_spatial_update(bool fma, const tl_layer *layer, float *w, float *b, const float *x,
                           float *d, float rate)
{
    pass p = {layer, fma, false, 0, x, d, w};
    for (uint32_t at = 0; at < tl_elements(layer->out); at += layer->out.c) {
        tl_bias_step(b, d + at, d + at, layer->out.c, rate);
    }
    for (uint32_t y = 0; y < layer->out.h; y++) {
        walk(&p, layer->kind == TL_CONV ? conv_update_at : depthwise_update_at, y);
    }
}

#endif
