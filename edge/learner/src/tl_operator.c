/* Operators without weights, and what all operators share. */
#include "tl_operator.h"

enum { PADDING_SAME = 0, PADDING_VALID = 1 };
enum { FUSED_NONE = 0, FUSED_RELU = 1, FUSED_RELU6 = 3 };

int32_t tl_input_index(tl_graph *g, const tl_operator *op, uint32_t i)
{
    return i < op->inputs.count ? tl_read_i32(&g->reader, op->inputs.start + 4u * i) : -1;
}

tl_status tl_read_fused(tl_graph *g, const tl_operator *op, uint16_t slot, tl_layer *layer)
{
    int32_t fused = op->options != 0 ? tl_field_i8(&g->reader, op->options, slot, FUSED_NONE)
                                     : FUSED_NONE;
    layer->activation = fused == FUSED_RELU    ? TL_RELU
                        : fused == FUSED_RELU6 ? TL_RELU6
                                               : TL_LINEAR;
    return fused == FUSED_NONE || layer->activation != TL_LINEAR ? TL_OK : TL_E_OP;
}

#if !TL_DENSE_ONLY

/* Pixels of one axis: how many windows there are, and the padding before the first. */
static tl_status place(int32_t padding, uint32_t size, uint32_t kernel, uint32_t stride,
                       uint32_t dilation, uint32_t out, uint8_t *before)
{
    uint32_t span = (kernel - 1u) * dilation + 1u;
    *before = 0;
    if (padding == PADDING_VALID) {
        return span <= size && out == (size - span) / stride + 1u ? TL_OK : TL_E_SHAPE;
    }
    uint32_t last = (out - 1u) * stride + span;
    uint32_t pad = last > size ? (last - size) / 2u : 0u;
    if (out != (size + stride - 1u) / stride || pad > 255u) {
        return TL_E_SHAPE;
    }
    *before = (uint8_t)pad;
    return TL_OK;
}

tl_status tl_read_window(tl_graph *g, const tl_operator *op, tl_layer *layer)
{
    tl_reader *r = &g->reader;
    if (op->in.rank != 4 || op->in.sizes[0] != 1 || op->out.rank != 4) {
        return TL_E_SHAPE;
    }
    int32_t padding = tl_field_i8(r, op->options, 0, PADDING_SAME);
    int32_t across = tl_field_i32(r, op->options, 1, 0);
    int32_t down = tl_field_i32(r, op->options, 2, 0);
    if (padding != PADDING_SAME && padding != PADDING_VALID) {
        return TL_E_FORMAT;
    }
    if (across < 1 || across > 255 || down < 1 || down > 255) {
        return TL_E_LIMIT;
    }
    layer->stride_w = (uint8_t)across;
    layer->stride_h = (uint8_t)down;
    tl_status status = place(padding, layer->in.h, layer->kernel_h, layer->stride_h,
                             layer->dilation_h, layer->out.h, &layer->pad_top);
    if (status == TL_OK) {
        status = place(padding, layer->in.w, layer->kernel_w, layer->stride_w, layer->dilation_w,
                       layer->out.w, &layer->pad_left);
    }
    return status;
}

/* Whether input and output have one scale and zero point. */
static bool same_numbers(const tl_operator *op)
{
    return op->in.scale == op->out.scale && op->in.zero == op->out.zero;
}

tl_status tl_read_pool(tl_graph *g, const tl_operator *op, tl_layer *layer)
{
    layer->kind = op->code == OP_MAX_POOL_2D ? TL_MAX_POOL : TL_AVERAGE_POOL;
    if (!same_numbers(op)) {
        return TL_E_FORMAT;
    }
    if (op->options == 0 || layer->in.c != layer->out.c) {
        return TL_E_SHAPE;
    }
    int32_t across = tl_field_i32(&g->reader, op->options, 3, 0);
    int32_t down = tl_field_i32(&g->reader, op->options, 4, 0);
    if (across < 1 || across > 255 || down < 1 || down > 255) {
        return TL_E_LIMIT;
    }
    layer->kernel_w = (uint8_t)across;
    layer->kernel_h = (uint8_t)down;
    layer->dilation_h = layer->dilation_w = 1;
    tl_status status = tl_read_window(g, op, layer);
    return status == TL_OK ? tl_read_fused(g, op, 5, layer) : status;
}

tl_status tl_read_mean(tl_graph *g, const tl_operator *op, tl_layer *layer)
{
    tl_tensor axes;
    tl_status status = tl_read_tensor(g, tl_input_index(g, op, 1), &axes);
    if (status != TL_OK) {
        return status;
    }
    layer->kind = TL_MEAN;
    if (axes.data == 0 || axes.type != TYPE_INT32 || axes.elements != 2 || op->in.rank != 4) {
        return TL_E_OP;
    }
    uint32_t seen = 0;
    for (uint32_t i = 0; i < 2; i++) {
        int32_t axis = tl_constant_i32(&axes, i);
        seen |= axis == 1 || axis == -3 ? 1u : axis == 2 || axis == -2 ? 2u : 4u;
    }
    tl_shape out = {1, 1, layer->in.c};
    layer->out = out;
    return seen != 3u ? TL_E_OP : op->out.elements == layer->in.c ? TL_OK : TL_E_SHAPE;
}

tl_status tl_read_pad(tl_graph *g, const tl_operator *op, tl_layer *layer)
{
    tl_tensor pads;
    tl_status status = tl_read_tensor(g, tl_input_index(g, op, 1), &pads);
    if (status != TL_OK) {
        return status;
    }
    layer->kind = TL_PAD;
    if (!same_numbers(op)) {
        return TL_E_FORMAT;
    }
    if (pads.data == 0 || pads.type != TYPE_INT32 || pads.elements != 8 || op->in.rank != 4) {
        return TL_E_OP;
    }
    int32_t amount[8];
    for (uint32_t i = 0; i < 8; i++) {
        amount[i] = tl_constant_i32(&pads, i);
        bool batch_or_channel = i < 2 || i > 5;
        if (amount[i] < 0 || amount[i] > (batch_or_channel ? 0 : 255)) {
            return TL_E_OP;
        }
    }
    layer->pad_top = (uint8_t)amount[2];
    layer->pad_left = (uint8_t)amount[4];
    bool agrees = layer->out.c == layer->in.c &&
                  layer->out.h == layer->in.h + amount[2] + amount[3] &&
                  layer->out.w == layer->in.w + amount[4] + amount[5];
    return agrees ? TL_OK : TL_E_SHAPE;
}

#endif

tl_status tl_read_convert(const tl_operator *op, tl_layer *layer)
{
    bool quantise = op->code == OP_QUANTIZE;
    layer->kind = quantise ? TL_QUANTIZE : TL_DEQUANTIZE;
    if (op->out.type != (quantise ? TYPE_INT8 : TYPE_FLOAT32)) {
        return TL_E_TYPE;
    }
    if (!quantise && op->in.type != TYPE_INT8) {
        return TL_E_TYPE;
    }
    return tl_elements(layer->in) == tl_elements(layer->out) ? TL_OK : TL_E_SHAPE;
}
