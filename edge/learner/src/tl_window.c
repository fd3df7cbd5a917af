/* Windows of convolutions and pools. */
#include "tl_internal.h"

#if !TL_DENSE_ONLY

/* First and last-but-one kernel index whose pixel lies in [0, size). */
static void clip(int32_t start, uint32_t size, uint32_t kernel, uint32_t dilation, uint8_t *first,
                 uint8_t *end)
{
    uint32_t from = start < 0 ? ((uint32_t)-start + dilation - 1u) / dilation : 0u;
    int32_t room = (int32_t)size - start;
    uint32_t to = room <= 0 ? 0u : ((uint32_t)room + dilation - 1u) / dilation;
    *first = (uint8_t)(from > kernel ? kernel : from);
    *end = (uint8_t)(to > kernel ? kernel : to);
}

tl_window tl_window_at(const tl_layer *layer, uint32_t y, uint32_t x)
{
    tl_window at;
    at.y = (uint16_t)y;
    at.x = (uint16_t)x;
    at.top = (int32_t)(y * layer->stride_h) - layer->pad_top;
    at.left = (int32_t)(x * layer->stride_w) - layer->pad_left;
    clip(at.top, layer->in.h, layer->kernel_h, layer->dilation_h, &at.row, &at.row_end);
    clip(at.left, layer->in.w, layer->kernel_w, layer->dilation_w, &at.column, &at.column_end);
    return at;
}

uint32_t tl_pixel(const tl_layer *layer, const tl_window *window, uint32_t row, uint32_t column)
{
    uint32_t y = (uint32_t)(window->top + (int32_t)(row * layer->dilation_h));
    uint32_t x = (uint32_t)(window->left + (int32_t)(column * layer->dilation_w));
    return (y * layer->in.w + x) * layer->in.c;
}

#endif
