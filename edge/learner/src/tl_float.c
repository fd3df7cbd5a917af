/* Float32 layers: forward, backward and update, over the primitives. */
#include "tl_internal.h"

/* Where the sums start: at the bias itself if it is in the arena, where none is -0; else at z. */
static const float *start_of(tl_weights p, uint32_t n, float *z)
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

/* A part of a window whose inputs lie next to one another, kernel column after column. */
typedef struct run {
    uint32_t tap;   /* first weight, in inputs of one output */
    uint32_t pixel; /* first input element */
    uint32_t count; /* inputs */
} run;

/* The next run of a convolution's window, walking by *row and *column; false after the last. */
static bool next_run(const tl_layer *layer, const tl_window *at, uint32_t *row, uint32_t *column,
                     run *found)
{
    if (at->column >= at->column_end || *row >= at->row_end) {
        return false;
    }
    uint32_t columns = layer->dilation_w == 1 ? (uint32_t)(at->column_end - at->column) : 1u;
    found->tap = (*row * layer->kernel_w + *column) * layer->in.c;
    found->pixel = tl_pixel(layer, at, *row, *column);
    found->count = columns * layer->in.c;
    *column += columns;
    if (*column >= at->column_end) {
        *column = at->column;
        (*row)++;
    }
    return true;
}

static uint32_t position(const tl_layer *layer, const tl_window *at)
{
    return ((uint32_t)at->y * layer->out.w + at->x) * layer->out.c;
}

/* The window after this one; false after the last. */
static bool next_window(const tl_layer *layer, tl_window *at)
{
    uint32_t x = at->x + 1u;
    uint32_t y = at->y;
    if (x == layer->out.w) {
        x = 0;
        y++;
    }
    if (y == layer->out.h) {
        return false;
    }
    *at = tl_window_at(layer, y, x);
    return true;
}

/* The first output of the input channel after the one of output `o`. */
static uint32_t next_channel(const tl_layer *layer, uint32_t o)
{
    o += layer->out.c / layer->in.c;
    return o == layer->out.c ? 0 : o;
}

static void conv_forward(bool fma, const tl_layer *layer, tl_weights p, const float *x, float *z)
{
    uint32_t c_out = layer->out.c;
    uint32_t stride = tl_inputs_of_one(layer);
    tl_window at = tl_window_at(layer, 0, 0);
    do {
        float *sums = z + position(layer, &at);
        uint32_t row = at.row, column = at.column;
        run r;
        const float *start = start_of(p, c_out, sums);
        while (next_run(layer, &at, &row, &column, &r)) {
            if (p.in_file) {
                tl_rows(fma, p.w + r.tap, stride, x + r.pixel, r.count, c_out, sums);
            } else {
                tl_columns(fma, p.w + r.tap * c_out, x + r.pixel, r.count, c_out, start, sums);
            }
            start = sums;
        }
    } while (next_window(layer, &at));
}

static void conv_back(bool fma, const tl_layer *layer, const float *w, const float *d, float *dx)
{
    uint32_t c_out = layer->out.c;
    tl_window at = tl_window_at(layer, 0, 0);
    do {
        const float *delta = d + position(layer, &at);
        uint32_t row = at.row, column = at.column;
        run r;
        while (next_run(layer, &at, &row, &column, &r)) {
            tl_back(fma, w + r.tap * c_out, delta, r.count, c_out, dx + r.pixel);
        }
    } while (next_window(layer, &at));
}

/* d becomes rate * d on the way. */
static void conv_update(bool fma, const tl_layer *layer, float *w, float *b, const float *x,
                        float *d, float rate)
{
    uint32_t c_out = layer->out.c;
    tl_window at = tl_window_at(layer, 0, 0);
    do {
        float *g = d + position(layer, &at);
        uint32_t row = at.row, column = at.column;
        run r;
        tl_bias_step(b, g, g, c_out, rate);
        while (next_run(layer, &at, &row, &column, &r)) {
            tl_update(fma, w + r.tap * c_out, x + r.pixel, g, r.count, c_out);
        }
    } while (next_window(layer, &at));
}

/* An input channel of a depthwise convolution and its `multiplier` outputs are a dense layer of one
 * input; `o` walks around the channels, once per pixel. */
static void depthwise_forward(bool fma, const tl_layer *layer, tl_weights p, const float *x,
                              float *z)
{
    uint32_t c_out = layer->out.c;
    uint32_t multiplier = c_out / layer->in.c;
    tl_window at = tl_window_at(layer, 0, 0);
    do {
        float *sums = z + position(layer, &at);
        uint32_t row = at.row, column = at.column;
        run r;
        copy(sums, start_of(p, c_out, sums), c_out);
        while (next_run(layer, &at, &row, &column, &r)) {
            const float *w = p.w + r.tap * multiplier;
            for (uint32_t i = 0, o = 0; i < r.count; i++, o = next_channel(layer, o)) {
                tl_columns(fma, w + i * multiplier, x + r.pixel + i, 1, multiplier, sums + o, sums + o);
            }
        }
    } while (next_window(layer, &at));
}

static void depthwise_back(bool fma, const tl_layer *layer, const float *w, const float *d,
                           float *dx)
{
    uint32_t c_out = layer->out.c;
    uint32_t multiplier = c_out / layer->in.c;
    tl_window at = tl_window_at(layer, 0, 0);
    do {
        const float *delta = d + position(layer, &at);
        uint32_t row = at.row, column = at.column;
        run r;
        while (next_run(layer, &at, &row, &column, &r)) {
            const float *taps = w + r.tap * multiplier;
            for (uint32_t i = 0, o = 0; i < r.count; i++, o = next_channel(layer, o)) {
                tl_back(fma, taps + i * multiplier, delta + o, 1, multiplier, dx + r.pixel + i);
            }
        }
    } while (next_window(layer, &at));
}

static void depthwise_update(bool fma, const tl_layer *layer, float *w, float *b, const float *x,
                             float *d, float rate)
{
    uint32_t c_out = layer->out.c;
    uint32_t multiplier = c_out / layer->in.c;
    tl_window at = tl_window_at(layer, 0, 0);
    do {
        float *g = d + position(layer, &at);
        uint32_t row = at.row, column = at.column;
        run r;
        tl_bias_step(b, g, g, c_out, rate);
        while (next_run(layer, &at, &row, &column, &r)) {
            float *taps = w + r.tap * multiplier;
            for (uint32_t i = 0, o = 0; i < r.count; i++, o = next_channel(layer, o)) {
                tl_update(fma, taps + i * multiplier, x + r.pixel + i, g + o, 1, multiplier);
            }
        }
    } while (next_window(layer, &at));
}

#endif

static void dense_forward(bool fma, const tl_layer *layer, tl_weights p, const float *x, float *z)
{
    const float *start = start_of(p, layer->out.c, z);
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
        conv_forward(fma, layer, p, x, y);
        break;
    case TL_DEPTHWISE:
        depthwise_forward(fma, layer, p, x, y);
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
        conv_back(fma, layer, w, d, dx);
        break;
    case TL_DEPTHWISE:
        depthwise_back(fma, layer, w, d, dx);
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
    if (layer->kind == TL_CONV) {
        conv_update(fma, layer, w, b, x, d, rate);
        return;
    }
    if (layer->kind == TL_DEPTHWISE) {
        depthwise_update(fma, layer, w, b, x, d, rate);
        return;
    }
#endif
    tl_bias_step(b, d, d, layer->out.c, rate);
    tl_update(fma, w, x, d, layer->in.c, layer->out.c);
}
