/* Int8 pools, mean and padding. */
#include "tl_int8.h"

#if !TL_DENSE_ONLY

static int32_t largest_of(const tl_layer *layer, const tl_window *at, const int8_t *x)
{
    int32_t largest = -128;
    for (uint32_t row = at->row; row < at->row_end; row++) {
        for (uint32_t column = at->column; column < at->column_end; column++) {
            int32_t value = x[tl_pixel(layer, at, row, column)];
            largest = value > largest ? value : largest;
        }
    }
    return largest;
}

/* Rounded half away from zero; the zero point takes part in the sum. */
static int32_t average_of(const tl_layer *layer, const tl_window *at, const int8_t *x)
{
    int32_t sum = 0, count = 0;
    for (uint32_t row = at->row; row < at->row_end; row++) {
        for (uint32_t column = at->column; column < at->column_end; column++, count++) {
            sum += x[tl_pixel(layer, at, row, column)];
        }
    }
    return count == 0 ? 0 : (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

void tl_int8_pool(const tl_layer *layer, const int8_t *x, int8_t *y)
{
    tl_int8_range range = tl_int8_range_of(layer);
    for (uint32_t row = 0; row < layer->out.h; row++) {
        for (uint32_t column = 0; column < layer->out.w; column++) {
            tl_window at = tl_window_at(layer, row, column);
            for (uint32_t c = 0; c < layer->out.c; c++) {
                int32_t value = layer->kind == TL_MAX_POOL ? largest_of(layer, &at, x + c)
                                                           : average_of(layer, &at, x + c);
                *y++ = tl_int8_clamp(value - range.zero, range);
            }
        }
    }
}

/* Make the rescaling multiplier divide by `count` as well, rounded down: multiplier * 2^k / count,
 * where 2^k is the largest power in count. */
static void divide(int32_t rescale[2], uint32_t count)
{
    uint32_t by = (uint32_t)rescale[0] / count, rest = (uint32_t)rescale[0] % count;
    for (uint32_t power = count; power > 1u && rescale[1] < 30; power >>= 1, rescale[1]++) {
        rest <<= 1;
        by = by << 1 | (rest >= count);
        rest -= rest >= count ? count : 0u;
    }
    rescale[0] = (int32_t)by;
}

void tl_int8_mean(const tl_layer *layer, const int8_t *x, int8_t *y)
{
    tl_int8_range range = tl_int8_range_of(layer);
    uint32_t count = (uint32_t)layer->in.h * layer->in.w;
    int32_t rescale[2];
    tl_int8_ratio(layer->in_scale, 0, layer->out_scale, false, rescale);
    divide(rescale, count);
    for (uint32_t c = 0; c < layer->in.c; c++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            sum += (uint32_t)(x[i * layer->in.c + c] - layer->in_zero);
        }
        y[c] = tl_int8_clamp(tl_int8_rescale(sum, rescale), range);
    }
}

void tl_int8_pad(const tl_layer *layer, const int8_t *x, int8_t *y)
{
    uint32_t width = (uint32_t)layer->in.w * layer->in.c;
    uint32_t out_width = (uint32_t)layer->out.w * layer->out.c;
    for (uint32_t i = 0; i < layer->out.h * out_width; i++) {
        y[i] = layer->out_zero;
    }
    y += layer->pad_top * out_width + layer->pad_left * layer->out.c;
    for (uint32_t row = 0; row < layer->in.h; row++, y += out_width, x += width) {
        for (uint32_t i = 0; i < width; i++) {
            y[i] = x[i];
        }
    }
}

#endif
