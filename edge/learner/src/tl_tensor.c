/* Field numbers are those of the TensorFlow Lite schema, version 3. */
#include "tl_tensor.h"

bool tl_is_aligned(const uint8_t *p)
{
    return ((uintptr_t)p & 3u) == 0;
}

int32_t tl_constant_i32(const tl_tensor *t, uint32_t i)
{
    int32_t value;
    __builtin_memcpy(&value, t->data + 4u * i, 4);
    return value;
}

static float float_at(tl_reader *r, uint32_t at)
{
    uint32_t bits = tl_read_u32(r, at);
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

/* Zero points are 64-bit in the file. All of a tensor's must be one small number. */
static tl_status read_zeros(tl_reader *r, tl_vector zeros, tl_tensor *t)
{
    for (uint32_t i = 0; i < zeros.count; i++) {
        int32_t low = tl_read_i32(r, zeros.start + 8u * i);
        int32_t high = tl_read_i32(r, zeros.start + 8u * i + 4u);
        if (i == 0) {
            t->zero = low;
        }
        if (low != t->zero || high != (low < 0 ? -1 : 0) || low < -128 || low > 127) {
            return TL_E_FORMAT;
        }
    }
    return TL_OK;
}

static tl_status read_quantisation(tl_reader *r, uint32_t table, tl_tensor *t)
{
    tl_vector scales = tl_field_vector(r, table, 2, 4);
    tl_vector zeros = tl_field_vector(r, table, 3, 8);
    t->axis = tl_field_i32(r, table, 6, 0);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    if (scales.count > TL_MAX_SCALES || zeros.count > scales.count) {
        return scales.count > TL_MAX_SCALES ? TL_E_LIMIT : TL_E_FORMAT;
    }
    if (scales.count == 0) {
        return TL_OK;
    }
    t->scales = r->data + scales.start;
    t->n_scales = scales.count;
    t->scale = float_at(r, scales.start);
    for (uint32_t i = 0; i < scales.count; i++) {
        float scale = float_at(r, scales.start + 4u * i);
        if (!tl_is_finite(scale) || !(scale > 0.0f)) {
            return TL_E_FORMAT;
        }
    }
    return t->type == TYPE_INT8 ? read_zeros(r, zeros, t) : TL_OK;
}

static tl_status read_constant(tl_graph *g, uint32_t buffer_index, tl_tensor *t)
{
    tl_reader *r = &g->reader;
    uint32_t buffer = tl_element_table(r, g->buffers, buffer_index);
    tl_vector data = tl_field_vector(r, buffer, 0, 1);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    if (data.count == 0) {
        return TL_OK;
    }
    uint32_t width = t->type == TYPE_INT8 ? 1u : 4u;
    if (data.count != t->elements * width) {
        return TL_E_SHAPE;
    }
    t->data = r->data + data.start;
    return width == 4u && !tl_is_aligned(t->data) ? TL_E_FORMAT : TL_OK;
}

static tl_status read_shape(tl_reader *r, tl_vector shape, tl_tensor *t)
{
    if (shape.count > TL_MAX_RANK) {
        return TL_E_SHAPE;
    }
    t->rank = shape.count;
    t->elements = 1;
    for (uint32_t i = 0; i < shape.count; i++) {
        int32_t size = tl_read_i32(r, shape.start + 4u * i);
        if (size < 1 || (uint32_t)size > TL_MAX_ELEMENTS / t->elements) {
            return size < 1 ? TL_E_SHAPE : TL_E_LIMIT;
        }
        t->sizes[i] = (uint32_t)size;
        t->elements *= (uint32_t)size;
    }
    return TL_OK;
}

tl_status tl_read_tensor(tl_graph *g, int32_t index, tl_tensor *t)
{
    tl_reader *r = &g->reader;
    static const tl_tensor empty = {0, 0, {0, 0, 0, 0}, 0, 0, 0, 0, 0, 0.0f, 0};
    *t = empty;
    if (index < 0) {
        return TL_E_FORMAT;
    }
    uint32_t table = tl_element_table(r, g->tensors, (uint32_t)index);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    tl_vector shape = tl_field_vector(r, table, 0, 4);
    t->type = tl_field_i8(r, table, 1, 0);
    uint32_t buffer = (uint32_t)tl_field_i32(r, table, 2, 0);
    uint32_t quantisation = tl_field_table(r, table, 4);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    tl_status status = read_shape(r, shape, t);
    if (status == TL_OK && t->type != TYPE_FLOAT32 && t->type != TYPE_INT8 &&
        t->type != TYPE_INT32) {
        status = TL_E_TYPE;
    }
    if (!TL_DENSE_ONLY && status == TL_OK && quantisation != 0) {
        status = read_quantisation(r, quantisation, t);
    }
    return status == TL_OK ? read_constant(g, buffer, t) : status;
}

tl_status tl_shape_of(const tl_tensor *t, tl_shape *shape)
{
    bool image = t->rank == 4 && t->sizes[0] == 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        if (image && t->sizes[i] > 0xffffu) {
            return TL_E_LIMIT;
        }
    }
    if (image) {
        shape->h = (uint16_t)t->sizes[1];
        shape->w = (uint16_t)t->sizes[2];
        shape->c = (uint16_t)t->sizes[3];
        return TL_OK;
    }
    if (t->elements > 0xffffu) {
        return TL_E_LIMIT;
    }
    shape->h = shape->w = 1;
    shape->c = (uint16_t)t->elements;
    return TL_OK;
}
