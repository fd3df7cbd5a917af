/* Field numbers are those of the TensorFlow Lite schema, version 3. */
#include "tl_tensor.h"

bool tl_is_aligned(const uint8_t *p)
{
    return ((uintptr_t)p & 3u) == 0;
}

static float float_at(tl_reader *r, uint32_t at)
{
    uint32_t bits = tl_read_u32(r, at);
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

static tl_status read_quantisation(tl_parser *p, uint32_t table, tl_tensor *t)
{
    tl_reader *r = &p->reader;
    tl_vector scales = tl_field_vector(r, table, 2, 4);
    tl_vector zeros = tl_field_vector(r, table, 3, 8);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
    if (scales.count == 0) {
        return TL_OK;
    }
    t->scales = r->data + scales.start;
    t->n_scales = scales.count;
    t->scale = float_at(r, scales.start);
    t->zero = zeros.count != 0 ? tl_read_i32(r, zeros.start) : 0;
    for (uint32_t i = 0; i < scales.count; i++) {
        float scale = float_at(r, scales.start + 4u * i);
        if (!tl_is_finite(scale) || !(scale > 0.0f)) {
            return TL_E_FORMAT;
        }
    }
    return t->zero < -128 || t->zero > 127 ? TL_E_FORMAT : TL_OK;
}

static tl_status read_constant(tl_parser *p, uint32_t buffer_index, tl_tensor *t)
{
    tl_reader *r = &p->reader;
    uint32_t buffer = tl_element_table(r, p->buffers, buffer_index);
    if (r->bad) {
        return TL_E_TRUNCATED;
    }
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

tl_status tl_read_tensor(tl_parser *p, int32_t index, tl_tensor *t)
{
    tl_reader *r = &p->reader;
    static const tl_tensor empty = {0, 0, 0, 0, 0, 0.0f, 0};
    *t = empty;
    if (index < 0) {
        return TL_E_FORMAT;
    }
    uint32_t table = tl_element_table(r, p->tensors, (uint32_t)index);
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
    t->elements = 1;
    for (uint32_t i = 0; i < shape.count; i++) {
        int32_t size = tl_read_i32(r, shape.start + 4u * i);
        if (size < 1 || (uint32_t)size > TL_MAX_WIDTH * TL_MAX_WIDTH / t->elements) {
            return size < 1 ? TL_E_SHAPE : TL_E_LIMIT;
        }
        t->elements *= (uint32_t)size;
    }
    if (t->type != TYPE_FLOAT32 && t->type != TYPE_INT8 && t->type != TYPE_INT32) {
        return TL_E_TYPE;
    }
    if (quantisation != 0) {
        tl_status status = read_quantisation(p, quantisation, t);
        if (status != TL_OK) {
            return status;
        }
    }
    return read_constant(p, buffer, t);
}

bool tl_is_matrix(tl_parser *p, int32_t index, uint32_t rows, uint32_t columns)
{
    tl_reader *r = &p->reader;
    uint32_t table = tl_element_table(r, p->tensors, (uint32_t)index);
    tl_vector shape = tl_field_vector(r, table, 0, 4);
    return shape.count == 2 && tl_read_u32(r, shape.start) == rows &&
           tl_read_u32(r, shape.start + 4u) == columns;
}
