#include "tl_flatbuffer.h"

static bool inside(tl_reader *r, uint32_t at, uint32_t length)
{
    if (r->bad || at > r->size || length > r->size - at) {
        r->bad = true;
    }
    return !r->bad;
}

uint8_t tl_read_u8(tl_reader *r, uint32_t at)
{
    return inside(r, at, 1) ? r->data[at] : (uint8_t)0;
}

static uint16_t read_u16(tl_reader *r, uint32_t at)
{
    if (!inside(r, at, 2)) {
        return 0;
    }
    return (uint16_t)(r->data[at] | (uint32_t)r->data[at + 1] << 8);
}

uint32_t tl_read_u32(tl_reader *r, uint32_t at)
{
    if (!inside(r, at, 4)) {
        return 0;
    }
    const uint8_t *p = r->data + at;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int32_t tl_read_i32(tl_reader *r, uint32_t at)
{
    return (int32_t)tl_read_u32(r, at);
}

uint32_t tl_follow(tl_reader *r, uint32_t at)
{
    uint32_t offset = tl_read_u32(r, at);
    if (!inside(r, at, 4) || offset == 0 || !inside(r, at, offset)) {
        r->bad = true;
        return 0;
    }
    return at + offset;
}

uint32_t tl_field(tl_reader *r, uint32_t table, uint16_t slot)
{
    int64_t vtable = (int64_t)table - tl_read_i32(r, table);
    if (r->bad || vtable < 0 || vtable > (int64_t)r->size) {
        r->bad = true;
        return 0;
    }
    uint32_t entry = 4u + 2u * slot;
    if (entry + 2u > read_u16(r, (uint32_t)vtable)) {
        return 0;
    }
    uint16_t offset = read_u16(r, (uint32_t)vtable + entry);
    return offset != 0 && inside(r, table, offset) ? table + offset : 0;
}

int32_t tl_field_i32(tl_reader *r, uint32_t table, uint16_t slot, int32_t absent)
{
    uint32_t at = tl_field(r, table, slot);
    return at != 0 ? tl_read_i32(r, at) : absent;
}

int32_t tl_field_i8(tl_reader *r, uint32_t table, uint16_t slot, int32_t absent)
{
    uint32_t at = tl_field(r, table, slot);
    return at != 0 ? (int8_t)tl_read_u8(r, at) : absent;
}

uint32_t tl_field_table(tl_reader *r, uint32_t table, uint16_t slot)
{
    uint32_t at = tl_field(r, table, slot);
    return at != 0 ? tl_follow(r, at) : 0;
}

tl_vector tl_field_vector(tl_reader *r, uint32_t table, uint16_t slot, uint32_t width)
{
    tl_vector none = {0, 0};
    uint32_t at = tl_field_table(r, table, slot);
    if (at == 0) {
        return none;
    }
    tl_vector found = {at + 4u, tl_read_u32(r, at)};
    if (r->bad || found.count > r->size / width || !inside(r, found.start, found.count * width)) {
        r->bad = true;
        return none;
    }
    return found;
}

uint32_t tl_element_table(tl_reader *r, tl_vector vector, uint32_t index)
{
    if (index >= vector.count) {
        r->bad = true;
        return 0;
    }
    return tl_follow(r, vector.start + 4u * index);
}
