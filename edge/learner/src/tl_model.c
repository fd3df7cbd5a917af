/* Open a .tflite in place. Field numbers are those of the TensorFlow Lite schema, version 3. */
#include "tl_tensor.h"

enum { OP_FULLY_CONNECTED = 9, OP_RELU = 19, OP_RESHAPE = 22, OP_SOFTMAX = 25, OP_TANH = 28 };
enum { FUSED_NONE = 0, FUSED_RELU = 1 };
enum { ONE = 0x3f800000 }; /* 1.0f */

static tl_status set_weights(tl_parser *p, tl_layer *layer, int32_t w_index, int32_t b_index)
{
    tl_tensor w;
    tl_tensor b;
    tl_status status = tl_read_tensor(p, w_index, &w);
    if (status != TL_OK) {
        return status;
    }
    bool quantised = p->model->type == TL_INT8;
    if (w.data == 0 || !tl_is_matrix(p, w_index, layer->n_out, layer->n_in)) {
        return TL_E_SHAPE;
    }
    if (w.type != (quantised ? TYPE_INT8 : TYPE_FLOAT32)) {
        return TL_E_TYPE;
    }
    if (quantised && w.n_scales != 1 && w.n_scales != layer->n_out) {
        return TL_E_FORMAT;
    }
    layer->weights = w.data;
    layer->scales = w.scales;
    layer->n_scales = (uint16_t)w.n_scales;
    layer->bias = 0;
    if (b_index < 0) {
        return TL_OK;
    }
    status = tl_read_tensor(p, b_index, &b);
    if (status != TL_OK) {
        return status;
    }
    if (b.data == 0 || b.elements != layer->n_out) {
        return TL_E_SHAPE;
    }
    layer->bias = b.data;
    return b.type == (quantised ? TYPE_INT32 : TYPE_FLOAT32) ? TL_OK : TL_E_TYPE;
}

static tl_status add_dense(tl_parser *p, tl_vector inputs, int32_t output, uint32_t options)
{
    tl_model *m = p->model;
    tl_reader *r = &p->reader;
    tl_tensor in;
    tl_tensor out;
    if (m->n_layers == TL_MAX_LAYERS) {
        return TL_E_LIMIT;
    }
    if (inputs.count < 2 || inputs.count > 3) {
        return TL_E_FORMAT;
    }
    int32_t w_index = tl_read_i32(r, inputs.start + 4u);
    int32_t b_index = inputs.count == 3 ? tl_read_i32(r, inputs.start + 8u) : -1;
    int32_t fused = options != 0 ? tl_field_i8(r, options, 0, FUSED_NONE) : FUSED_NONE;
    int32_t format = options != 0 ? tl_field_i8(r, options, 1, 0) : 0;
    tl_status status = tl_read_tensor(p, p->current, &in);
    if (status == TL_OK) {
        status = tl_read_tensor(p, output, &out);
    }
    if (status != TL_OK) {
        return status;
    }
    if ((fused != FUSED_NONE && fused != FUSED_RELU) || format != 0) {
        m->culprit = OP_FULLY_CONNECTED;
        return TL_E_OP;
    }
    if (in.type != out.type || in.type != (m->type == TL_INT8 ? TYPE_INT8 : TYPE_FLOAT32)) {
        return TL_E_TYPE;
    }
    if (out.elements > TL_MAX_WIDTH) {
        return TL_E_LIMIT;
    }
    if (m->type == TL_INT8 && (in.n_scales != 1 || out.n_scales != 1)) {
        return TL_E_FORMAT;
    }
    tl_layer *layer = &m->layers[m->n_layers];
    layer->n_in = (uint16_t)p->width;
    layer->n_out = (uint16_t)out.elements;
    layer->type = m->type;
    layer->activation = fused == FUSED_RELU ? TL_RELU : TL_LINEAR;
    layer->in_scale = in.scale;
    layer->in_zero = in.zero;
    layer->out_scale = layer->act_scale = out.scale;
    layer->out_zero = layer->act_zero = out.zero;
    status = set_weights(p, layer, w_index, b_index);
    if (status != TL_OK) {
        return status;
    }
    m->n_layers++;
    p->width = out.elements;
    return TL_OK;
}

static tl_status add_activation(tl_parser *p, int32_t code, int32_t output, uint32_t options)
{
    tl_model *m = p->model;
    tl_tensor out;
    tl_layer *layer = m->n_layers != 0 ? &m->layers[m->n_layers - 1] : 0;
    bool quantised_relu = code == OP_RELU && m->type == TL_INT8;
    if (layer == 0 || layer->activation != TL_LINEAR || quantised_relu) {
        m->culprit = code;
        return TL_E_OP;
    }
    tl_status status = tl_read_tensor(p, output, &out);
    if (status != TL_OK) {
        return status;
    }
    if (out.elements != p->width) {
        return TL_E_SHAPE;
    }
    if (out.type != (m->type == TL_INT8 ? TYPE_INT8 : TYPE_FLOAT32)) {
        return TL_E_TYPE;
    }
    if (m->type == TL_INT8 && out.n_scales != 1) {
        return TL_E_FORMAT;
    }
    if (code == OP_SOFTMAX) {
        uint32_t at = options != 0 ? tl_field(&p->reader, options, 0) : 0;
        if (at == 0 || tl_read_u32(&p->reader, at) != ONE) {
            m->culprit = code;
            return TL_E_OP;
        }
    }
    layer->act_scale = out.scale;
    layer->act_zero = out.zero;
    layer->activation = code == OP_RELU ? TL_RELU : code == OP_TANH ? TL_TANH : TL_SOFTMAX;
    return TL_OK;
}

static tl_status reshape(tl_parser *p, int32_t output)
{
    tl_tensor in;
    tl_tensor out;
    tl_status status = tl_read_tensor(p, p->current, &in);
    if (status == TL_OK) {
        status = tl_read_tensor(p, output, &out);
    }
    if (status != TL_OK) {
        return status;
    }
    bool same = in.scale == out.scale && in.zero == out.zero;
    return out.elements == p->width && in.type == out.type && same ? TL_OK : TL_E_SHAPE;
}

/* Highest operator version whose meaning this library knows; 0: not supported. */
static int32_t known_version(int32_t code)
{
    switch (code) {
    case OP_FULLY_CONNECTED:
        return 9;
    case OP_RELU:
    case OP_SOFTMAX:
    case OP_TANH:
        return 3;
    case OP_RESHAPE:
        return 1;
    default:
        return 0;
    }
}

static tl_status add_operator(tl_parser *p, uint32_t index)
{
    tl_reader *r = &p->reader;
    tl_model *m = p->model;
    uint32_t table = tl_element_table(r, p->operators, index);
    uint32_t code_index = (uint32_t)tl_field_i32(r, table, 0, 0);
    tl_vector inputs = tl_field_vector(r, table, 1, 4);
    tl_vector outputs = tl_field_vector(r, table, 2, 4);
    uint32_t options = tl_field_table(r, table, 4);
    uint32_t code_table = tl_element_table(r, p->codes, code_index);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    int32_t old_code = tl_field_i8(r, code_table, 0, 0);
    int32_t version = tl_field_i32(r, code_table, 2, 1);
    int32_t code = tl_field_i32(r, code_table, 3, 0);
    code = code > old_code ? code : old_code;
    if (version < 1 || version > known_version(code)) {
        m->culprit = code;
        return TL_E_OP;
    }
    if (inputs.count < 1 || outputs.count != 1) {
        return TL_E_FORMAT;
    }
    if (tl_read_i32(r, inputs.start) != p->current) {
        return TL_E_SHAPE; /* not a chain */
    }
    if (m->n_layers != 0 && m->layers[m->n_layers - 1].activation == TL_SOFTMAX) {
        m->culprit = OP_SOFTMAX; /* only the last operator may be one */
        return TL_E_OP;
    }
    int32_t output = tl_read_i32(r, outputs.start);
    tl_status status = code == OP_FULLY_CONNECTED ? add_dense(p, inputs, output, options)
                       : code == OP_RESHAPE       ? reshape(p, output)
                                                  : add_activation(p, code, output, options);
    p->current = output;
    return status == TL_OK && r->bad ? TL_E_TRUNCATED : status;
}

static tl_status open_graph(tl_parser *p)
{
    tl_reader *r = &p->reader;
    tl_model *m = p->model;
    if (r->size < 8 || !tl_is_aligned(r->data) || tl_read_u32(r, 4) != 0x334c4654u) { /* "TFL3" */
        return r->size < 8 ? TL_E_TRUNCATED : TL_E_FORMAT;
    }
    uint32_t root = tl_follow(r, 0);
    p->codes = tl_field_vector(r, root, 1, 4);
    p->buffers = tl_field_vector(r, root, 4, 4);
    uint32_t graph = tl_element_table(r, tl_field_vector(r, root, 2, 4), 0);
    p->tensors = tl_field_vector(r, graph, 0, 4);
    tl_vector inputs = tl_field_vector(r, graph, 1, 4);
    tl_vector outputs = tl_field_vector(r, graph, 2, 4);
    p->operators = tl_field_vector(r, graph, 3, 4);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    if (inputs.count != 1 || outputs.count != 1) {
        return TL_E_SHAPE;
    }
    tl_tensor in;
    p->current = tl_read_i32(r, inputs.start);
    tl_status status = tl_read_tensor(p, p->current, &in);
    if (status != TL_OK) {
        return status;
    }
    if (in.type == TYPE_INT32) {
        return TL_E_TYPE;
    }
    if (in.elements > TL_MAX_WIDTH) {
        return TL_E_LIMIT;
    }
    m->type = in.type == TYPE_INT8 ? TL_INT8 : TL_FLOAT32;
    m->n_in = (uint16_t)in.elements;
    p->width = in.elements;
    for (uint32_t i = 0; i < p->operators.count && status == TL_OK; i++) {
        status = add_operator(p, i);
    }
    if (status == TL_OK && (m->n_layers == 0 || tl_read_i32(r, outputs.start) != p->current)) {
        return TL_E_SHAPE;
    }
    m->n_out = (uint16_t)p->width;
    return status;
}

tl_status tl_model_open(tl_model *model, const uint8_t *file, uint32_t size)
{
    if (model == 0 || file == 0) {
        return TL_E_ARGUMENT;
    }
    static const tl_parser blank = {{0, 0, false}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, 0, 0, 0};
    tl_parser parser = blank;
    parser.reader.data = file;
    parser.reader.size = size;
    parser.model = model;
    model->file = file;
    model->file_size = size;
    model->n_layers = 0;
    model->n_in = model->n_out = 0;
    model->culprit = 0;
    model->loss = TL_MSE;
    tl_status status = open_graph(&parser);
    if (status != TL_OK) {
        model->n_layers = 0;
        return status;
    }
    bool softmax = model->layers[model->n_layers - 1].activation == TL_SOFTMAX;
    model->loss = softmax ? TL_CROSS_ENTROPY : TL_MSE;
    return TL_OK;
}
