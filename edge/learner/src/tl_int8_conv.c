/* Int8 dense layers and convolutions: which parts of the input meet which weights. */
#include "tl_int8.h"

#if !TL_DENSE_ONLY

void tl_int8_dense(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y)
{
    tl_int8_runs runs = {x, (const int8_t *)layer->weights, layer->in.c, 1, 0, 0, 1, 0, 0,
                         layer->in.c, layer->in_zero, 0, 0, 0};
    tl_int8_channels(layer, rescale, &runs, tl_int8_range_of(layer), y);
}

/* The pixels of a window that lie inside: a run is a kernel row where they are next to one
 * another, else a pixel. */
static void find_runs(const tl_layer *layer, const tl_window *at, const int8_t *x,
                      tl_int8_runs *runs)
{
    uint32_t c = layer->in.c, rows = (uint32_t)(at->row_end - at->row);
    uint32_t columns = (uint32_t)(at->column_end - at->column);
    uint32_t x_line = (uint32_t)layer->dilation_h * layer->in.w * c, w_line = layer->kernel_w * c;
    bool adjacent = layer->dilation_w == 1;
    if (at->row >= at->row_end || at->column >= at->column_end) {
        runs->length = 0;
        runs->count = runs->lines = 1;
        return;
    }
    runs->x = x + tl_pixel(layer, at, at->row, at->column);
    runs->w = (const int8_t *)layer->weights + (at->row * layer->kernel_w + at->column) * c;
    runs->length = adjacent ? columns * c : c;
    runs->count = adjacent ? rows : columns;
    runs->x_next = adjacent ? x_line : layer->dilation_w * c;
    runs->w_next = adjacent ? w_line : c;
    runs->lines = adjacent ? 1u : rows;
    runs->x_line = x_line;
    runs->w_line = w_line;
}

void tl_int8_conv(const tl_layer *layer, const int32_t *rescale, const int8_t *x, int8_t *y)
{
    tl_int8_range range = tl_int8_range_of(layer);
    tl_int8_runs runs = {x, (const int8_t *)layer->weights, 0, 0, 0, 0, 0, 0, 0,
                         tl_inputs_of_one(layer), layer->in_zero, 0, 0, 0};
    for (uint32_t row = 0; row < layer->out.h; row++) {
        for (uint32_t column = 0; column < layer->out.w; column++, y += layer->out.c) {
            tl_window at = tl_window_at(layer, row, column);
            find_runs(layer, &at, x, &runs);
            tl_int8_channels(layer, rescale, &runs, range, y);
        }
    }
}

#endif
