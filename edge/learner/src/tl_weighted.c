/* Dense layers and convolutions, read from the graph. */
#include "tl_operator.h"

static tl_status set_scales(const tl_tensor *w, int32_t axis, tl_layer *layer)
{
    if (w->zero != 0 || (w->n_scales != 1 && w->n_scales != layer->out.c)) {
        return TL_E_FORMAT;
    }
    if (w->n_scales > 1 && w->axis != axis) {
        return TL_E_FORMAT;
    }
    layer->scales = w->scales;
    layer->per_channel = w->n_scales > 1 ? 1 : 0;
    return tl_is_aligned(w->scales) ? TL_OK : TL_E_FORMAT;
}

static tl_status set_bias(tl_graph *g, const tl_operator *op, tl_layer *layer)
{
    int32_t index = op->inputs.count == 3 ? tl_input_index(g, op, 2) : -1;
    tl_tensor b;
    if (index < 0) {
        return TL_OK;
    }
    tl_status status = tl_read_tensor(g, index, &b);
    if (status != TL_OK) {
        return status;
    }
    if (b.data == 0 || b.elements != layer->out.c) {
        return TL_E_SHAPE;
    }
    layer->bias = b.data;
    return b.type == (tl_int8_layer(layer) ? TYPE_INT32 : TYPE_FLOAT32) ? TL_OK : TL_E_TYPE;
}

#if !TL_DENSE_ONLY

/* Kind, geometry and activation of a convolution whose filter is w. */
static tl_status set_convolution(tl_graph *g, const tl_operator *op, const tl_tensor *w,
                                 tl_layer *layer)
{
    bool depthwise = op->code == OP_DEPTHWISE_CONV_2D;
    layer->kind = depthwise ? TL_DEPTHWISE : TL_CONV;
    if (w->rank != 4 || w->sizes[1] > 255 || w->sizes[2] > 255) {
        return w->rank != 4 ? TL_E_SHAPE : TL_E_LIMIT;
    }
    layer->kernel_h = (uint8_t)w->sizes[1];
    layer->kernel_w = (uint8_t)w->sizes[2];
    bool fits = depthwise ? w->sizes[0] == 1 && w->sizes[3] == layer->out.c &&
                                layer->out.c % layer->in.c == 0
                          : w->sizes[0] == layer->out.c && w->sizes[3] == layer->in.c;
    if (!fits || op->options == 0) {
        return TL_E_SHAPE;
    }
    uint16_t dilation = depthwise ? 5 : 4;
    int32_t across = tl_field_i32(&g->reader, op->options, dilation, 1);
    int32_t down = tl_field_i32(&g->reader, op->options, dilation + 1, 1);
    if (across < 1 || across > 255 || down < 1 || down > 255) {
        return TL_E_LIMIT;
    }
    layer->dilation_w = (uint8_t)across;
    layer->dilation_h = (uint8_t)down;
    tl_status status = tl_read_window(g, op, layer);
    return status == TL_OK ? tl_read_fused(g, op, depthwise ? 4 : 3, layer) : status;
}

#endif

static tl_status set_dense(tl_graph *g, const tl_operator *op, const tl_tensor *w, tl_layer *layer)
{
    uint32_t n_in = op->in.elements;
    uint32_t n_out = op->out.elements;
    layer->kind = TL_DENSE;
    if (n_in > 0xffffu || n_out > 0xffffu) {
        return TL_E_LIMIT;
    }
    tl_shape in = {1, 1, (uint16_t)n_in};
    tl_shape out = {1, 1, (uint16_t)n_out};
    layer->in = in;
    layer->out = out;
    if (w->rank != 2 || w->sizes[0] != n_out || w->sizes[1] != n_in) {
        return TL_E_SHAPE;
    }
    bool shuffled = op->options != 0 && tl_field_i8(&g->reader, op->options, 1, 0) != 0;
    return shuffled ? TL_E_OP : tl_read_fused(g, op, 0, layer);
}

tl_status tl_read_weighted(tl_graph *g, const tl_operator *op, tl_layer *layer)
{
    tl_tensor w;
    if (op->inputs.count < 2 || op->inputs.count > 3) {
        return TL_E_FORMAT;
    }
    tl_status status = tl_read_tensor(g, tl_input_index(g, op, 1), &w);
#if TL_DENSE_ONLY
    status = status == TL_OK ? set_dense(g, op, &w, layer) : status;
#else
    if (status == TL_OK) {
        status = op->code == OP_FULLY_CONNECTED ? set_dense(g, op, &w, layer)
                                                : set_convolution(g, op, &w, layer);
    }
#endif
    if (status != TL_OK) {
        return status;
    }
    if (w.data == 0) {
        return TL_E_SHAPE;
    }
    if (w.type != (tl_int8_layer(layer) ? TYPE_INT8 : TYPE_FLOAT32)) {
        return TL_E_TYPE;
    }
    layer->weights = w.data;
    if (tl_int8_layer(layer)) {
        status = set_scales(&w, op->code == OP_DEPTHWISE_CONV_2D ? 3 : 0, layer);
    }
    return status == TL_OK ? set_bias(g, op, layer) : status;
}
