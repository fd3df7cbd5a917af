/* Open a .tflite in place. Field numbers are those of the TensorFlow Lite schema, version 3. */
#include "tl_operator.h"

enum { ONE = 0x3f800000 }; /* 1.0f */
enum { MOST_OPERATORS = 256 };

typedef struct tl_parser {
    tl_graph graph;
    int32_t current;   /* tensor that the next operator must read */
    tl_model *model;
    tl_layer *layers;  /* null: check only */
    uint16_t capacity;
    bool pending;      /* `layer` is read, but an activation may still be fused into it */
    tl_layer layer;
    uint32_t rescale;  /* bytes of the rescale tables so far */
    uint32_t peak;     /* most bytes of a layer's input and output */
} tl_parser;

static bool ends_in_softmax(const tl_parser *p)
{
    return !TL_DENSE_ONLY && p->pending && p->layer.activation == TL_SOFTMAX;
}

/* The pending layer is whole: count it, and store it. */
static tl_status finish_layer(tl_parser *p)
{
    tl_model *m = p->model;
    const tl_layer *layer = &p->layer;
    if (!p->pending) {
        return TL_OK;
    }
    p->pending = false;
    if (tl_macs(layer) > TL_MAX_MACS || (p->layers != 0 && m->n_layers == p->capacity)) {
        return TL_E_LIMIT;
    }
    if (!TL_DENSE_ONLY) {
        bool from_caller = m->n_layers == 0 && layer->type == TL_FLOAT32;
        uint32_t bytes = tl_out_bytes(layer) + (from_caller ? 0 : tl_in_bytes(layer));
        p->peak = bytes > p->peak ? bytes : p->peak;
    }
    if (tl_int8_layer(layer) || (!TL_DENSE_ONLY && layer->kind == TL_QUANTIZE)) {
        m->n_trainable = 0;
        p->rescale += tl_has_weights(layer) ? 8u * layer->out.c : 0u;
    } else {
        m->n_trainable = (uint16_t)(m->n_trainable + (tl_has_weights(layer) ? 1 : 0));
    }
    if (p->layers != 0) {
        p->layers[m->n_layers] = *layer;
    }
    m->n_layers++;
    return TL_OK;
}

/* Start a layer from the tensors around it. */
static tl_status start_layer(tl_parser *p, const tl_operator *op)
{
    static const tl_layer blank = {0};
    tl_layer *layer = &p->layer;
    tl_status status = finish_layer(p);
    *layer = blank;
    layer->type = op->in.type == TYPE_INT8 ? TL_INT8 : TL_FLOAT32;
    if (!TL_DENSE_ONLY) {
        layer->in_scale = op->in.scale;
        layer->out_scale = op->out.scale;
        layer->in_zero = (int8_t)op->in.zero;
        layer->out_zero = (int8_t)op->out.zero;
    }
    if (status == TL_OK && !TL_DENSE_ONLY) {
        status = tl_shape_of(&op->in, &layer->in);
    }
    if (status == TL_OK && !TL_DENSE_ONLY) {
        status = tl_shape_of(&op->out, &layer->out);
    }
    bool quantised = (op->in.type != TYPE_INT8 || op->in.n_scales == 1) &&
                     (op->out.type != TYPE_INT8 || op->out.n_scales == 1);
    p->pending = true;
    return status != TL_OK ? status : quantised || TL_DENSE_ONLY ? TL_OK : TL_E_FORMAT;
}

static uint8_t activation_of(int32_t code)
{
    return TL_DENSE_ONLY || code == OP_RELU       ? TL_RELU
           : code == OP_RELU6    ? TL_RELU6
           : code == OP_TANH     ? TL_TANH
           : code == OP_LOGISTIC ? TL_LOGISTIC
                                 : TL_SOFTMAX;
}

/* Fused into the layer before it if that is float32 and has weights, else a layer of its own. */
static tl_status add_activation(tl_parser *p, const tl_operator *op)
{
    tl_reader *r = &p->graph.reader;
    const tl_layer *before = &p->layer;
    if (op->out.elements != op->in.elements) {
        return TL_E_SHAPE;
    }
    if (!TL_DENSE_ONLY && op->code == OP_SOFTMAX) {
        uint32_t at = op->options != 0 ? tl_field(r, op->options, 0) : 0;
        bool one_row = op->in.rank == 0 || op->in.sizes[op->in.rank - 1] == op->in.elements;
        if (at == 0 || tl_read_u32(r, at) != ONE || !one_row) {
            return TL_E_OP;
        }
    }
    bool fuse = p->pending && before->type == TL_FLOAT32 && tl_has_weights(before) &&
                before->activation == TL_LINEAR;
    if (!fuse && TL_DENSE_ONLY) {
        return TL_E_OP;
    }
    if (fuse && !TL_DENSE_ONLY && op->code == OP_SOFTMAX && tl_elements(before->out) != before->out.c) {
        return TL_E_SHAPE; /* the softmax of an image is not over its channels */
    }
    if (!fuse) {
        tl_status status = start_layer(p, op);
        if (status != TL_OK) {
            return status;
        }
        p->layer.kind = TL_ACTIVATE;
    }
    p->layer.activation = activation_of(op->code);
    return TL_OK;
}

static tl_status check_reshape(const tl_operator *op)
{
    bool same = op->in.scale == op->out.scale && op->in.zero == op->out.zero;
    return op->out.elements == op->in.elements && same ? TL_OK : TL_E_SHAPE;
}

static tl_status add_layer(tl_parser *p, const tl_operator *op)
{
    tl_graph *g = &p->graph;
    tl_status status = start_layer(p, op);
    if (status != TL_OK) {
        return status;
    }
    switch (op->code) {
    case OP_FULLY_CONNECTED:
#if !TL_DENSE_ONLY
    case OP_CONV_2D:
    case OP_DEPTHWISE_CONV_2D:
#endif
        return tl_read_weighted(g, op, &p->layer);
#if !TL_DENSE_ONLY
    case OP_MAX_POOL_2D:
    case OP_AVERAGE_POOL_2D:
        return tl_read_pool(g, op, &p->layer);
    case OP_MEAN:
        return tl_read_mean(g, op, &p->layer);
    case OP_PAD:
        return tl_read_pad(g, op, &p->layer);
#endif
    default:
        return TL_DENSE_ONLY ? TL_E_OP : tl_read_convert(op, &p->layer);
    }
}

/* Highest operator version whose meaning this library knows; 0: not supported. */
static int32_t known_version(int32_t code)
{
    switch (code) {
    case OP_FULLY_CONNECTED:
        return 9;
    case OP_RESHAPE:
        return 1;
    case OP_RELU:
        return 3;
#if !TL_DENSE_ONLY
    case OP_SOFTMAX:
    case OP_TANH:
    case OP_RELU6:
    case OP_LOGISTIC:
    case OP_QUANTIZE:
    case OP_MAX_POOL_2D:
    case OP_AVERAGE_POOL_2D:
    case OP_MEAN:
        return 3;
    case OP_PAD:
        return 2;
    case OP_CONV_2D:
    case OP_DEPTHWISE_CONV_2D:
    case OP_DEQUANTIZE:
        return 5;
#endif
    default:
        return 0;
    }
}

static bool is_activation(int32_t code)
{
    return code == OP_RELU || code == OP_RELU6 || code == OP_TANH || code == OP_LOGISTIC ||
           code == OP_SOFTMAX;
}

static tl_status dispatch(tl_parser *p, const tl_operator *op)
{
    bool converts = op->code == OP_QUANTIZE || op->code == OP_DEQUANTIZE;
    if (ends_in_softmax(p) && op->code != OP_DEQUANTIZE) {
        return TL_E_OP; /* only the last operator may be one */
    }
    bool left_out = TL_DENSE_ONLY && op->in.type == TYPE_INT8;
    if ((!converts && op->in.type != op->out.type) || op->in.type == TYPE_INT32 || left_out) {
        return TL_E_TYPE;
    }
    return op->code == OP_RESHAPE    ? check_reshape(op)
           : is_activation(op->code) ? add_activation(p, op)
                                     : add_layer(p, op);
}

static tl_status add_operator(tl_parser *p, uint32_t index)
{
    tl_graph *g = &p->graph;
    tl_reader *r = &g->reader;
    tl_operator op;
    uint32_t table = tl_element_table(r, g->operators, index);
    uint32_t code_index = (uint32_t)tl_field_i32(r, table, 0, 0);
    op.inputs = tl_field_vector(r, table, 1, 4);
    tl_vector outputs = tl_field_vector(r, table, 2, 4);
    op.options = tl_field_table(r, table, 4);
    uint32_t code_table = tl_element_table(r, g->codes, code_index);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    int32_t old_code = tl_field_i8(r, code_table, 0, 0);
    int32_t version = tl_field_i32(r, code_table, 2, 1);
    op.code = tl_field_i32(r, code_table, 3, 0);
    op.code = op.code > old_code ? op.code : old_code;
    p->model->culprit = op.code;
    if (version < 1 || version > known_version(op.code)) {
        return TL_E_OP;
    }
    if (op.inputs.count < 1 || outputs.count != 1) {
        return TL_E_FORMAT;
    }
    if (tl_input_index(g, &op, 0) != p->current) {
        return TL_E_SHAPE; /* not a chain */
    }
    int32_t output = tl_read_i32(r, outputs.start);
    tl_status status = tl_read_tensor(g, p->current, &op.in);
    if (status == TL_OK) {
        status = tl_read_tensor(g, output, &op.out);
    }
    if (status == TL_OK && (op.in.data != 0 || op.out.data != 0)) {
        status = TL_E_SHAPE; /* a constant where the chain should be */
    }
    if (status == TL_OK) {
        status = dispatch(p, &op);
    }
    p->current = output;
    return status == TL_OK && r->bad ? TL_E_TRUNCATED : status;
}

static tl_status open_input(tl_parser *p, tl_vector inputs)
{
    tl_tensor in;
    p->current = tl_read_i32(&p->graph.reader, inputs.start);
    tl_status status = tl_read_tensor(&p->graph, p->current, &in);
    if (status != TL_OK) {
        return status;
    }
    p->model->in_type = in.type == TYPE_INT8 ? TL_INT8 : TL_FLOAT32;
    p->model->n_in = in.elements;
    return in.type == TYPE_INT32 ? TL_E_TYPE : TL_OK;
}

static tl_status open_output(tl_parser *p, int32_t output)
{
    tl_model *m = p->model;
    const tl_layer *last = &p->layer;
    bool after_softmax = m->loss == TL_CROSS_ENTROPY && last->kind == TL_DEQUANTIZE;
    if (!p->pending || output != p->current) {
        return TL_E_SHAPE;
    }
    m->n_out = tl_elements(last->out);
    if (TL_DENSE_ONLY) {
        return finish_layer(p);
    }
    m->out_type = last->kind == TL_QUANTIZE ||
                          (last->type == TL_INT8 && last->kind != TL_DEQUANTIZE)
                      ? TL_INT8
                      : TL_FLOAT32;
    m->loss = ends_in_softmax(p) || after_softmax ? TL_CROSS_ENTROPY : TL_MSE;
    return finish_layer(p);
}

static tl_status open_graph(tl_parser *p)
{
    tl_graph *g = &p->graph;
    tl_reader *r = &g->reader;
    if (r->size < 8 || !tl_is_aligned(r->data) || tl_read_u32(r, 4) != 0x334c4654u) { /* "TFL3" */
        return r->size < 8 ? TL_E_TRUNCATED : TL_E_FORMAT;
    }
    uint32_t root = tl_follow(r, 0);
    g->codes = tl_field_vector(r, root, 1, 4);
    g->buffers = tl_field_vector(r, root, 4, 4);
    uint32_t graph = tl_element_table(r, tl_field_vector(r, root, 2, 4), 0);
    g->tensors = tl_field_vector(r, graph, 0, 4);
    tl_vector inputs = tl_field_vector(r, graph, 1, 4);
    tl_vector outputs = tl_field_vector(r, graph, 2, 4);
    g->operators = tl_field_vector(r, graph, 3, 4);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    if (inputs.count != 1 || outputs.count != 1) {
        return TL_E_SHAPE;
    }
    if (g->operators.count > MOST_OPERATORS) {
        return TL_E_LIMIT;
    }
    tl_status status = open_input(p, inputs);
    for (uint32_t i = 0; i < g->operators.count && status == TL_OK; i++) {
        p->model->loss = ends_in_softmax(p) ? TL_CROSS_ENTROPY : TL_MSE;
        status = add_operator(p, i);
    }
    return status == TL_OK ? open_output(p, tl_read_i32(r, outputs.start)) : status;
}

tl_status tl_model_open(tl_model *model, const uint8_t *file, uint32_t size, tl_layer *layers,
                        uint16_t capacity)
{
    if (model == 0 || file == 0) {
        return TL_E_ARGUMENT;
    }
    static const tl_model unopened = {0};
    static const tl_parser blank = {0};
    tl_parser parser = blank;
    *model = unopened;
    model->file = file;
    model->file_size = size;
    model->layers = layers;
    parser.graph.reader.data = file;
    parser.graph.reader.size = size;
    parser.model = model;
    parser.layers = layers;
    parser.capacity = capacity;
    tl_status status = open_graph(&parser);
    if (status != TL_OK) {
        model->n_layers = 0;
        return status;
    }
    model->arena_infer = parser.rescale + parser.peak;
    return TL_OK;
}
