#include "cbor.h"

typedef struct cursor {
    const uint8_t *at, *end;
} cursor;

/* Initial byte and argument of one data item. False at the end or for unsupported lengths. */
static bool read_head(cursor *c, uint8_t *major, uint8_t *info, uint32_t *argument)
{
    if (c->at == c->end) {
        return false;
    }
    *major = (uint8_t)(*c->at >> 5);
    *info = (uint8_t)(*c->at & 31u);
    c->at++;
    *argument = *info;
    if (*info < 24) {
        return true;
    }
    if (*info > 26) {
        return false;
    }
    uint32_t extra = 1u << (*info - 24u);
    if ((uint32_t)(c->end - c->at) < extra) {
        return false;
    }
    *argument = 0;
    for (uint32_t i = 0; i < extra; i++) {
        *argument = *argument << 8 | *c->at++;
    }
    return true;
}

/* The float32 of a float16, bit by bit; exact. */
static uint32_t widen(uint32_t half)
{
    uint32_t sign = (half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 31u;
    uint32_t fraction = half & 0x3ffu;
    if (exponent == 31) {
        return sign | 0x7f800000u | fraction << 13;
    }
    if (exponent == 0) {
        if (fraction == 0) {
            return sign;
        }
        exponent = 1;
        while ((fraction & 0x400u) == 0) {
            fraction <<= 1;
            exponent--; /* wraps below zero; the sum underneath is right modulo 2^32 */
        }
        fraction &= 0x3ffu;
    }
    return sign | (exponent + 112u) << 23 | fraction << 13;
}

static bool read_simple(cb_item *item, uint8_t info, uint32_t argument)
{
    switch (info) {
    case 20:
    case 21:
        item->kind = CB_BOOL;
        item->value = info - 20u;
        return true;
    case 22:
        item->kind = CB_NULL;
        return true;
    case 25:
        item->kind = CB_FLOAT;
        item->value = widen(argument);
        return true;
    case 26:
        item->kind = CB_FLOAT;
        item->value = argument;
        return true;
    default:
        return false;
    }
}

static bool read_value(cursor *c, cb_item *item)
{
    static const uint8_t KINDS[4] = {CB_UINT, CB_NEGATIVE, CB_BYTES, CB_TEXT};
    uint8_t major, info;
    uint32_t argument;
    if (!read_head(c, &major, &info, &argument)) {
        return false;
    }
    item->value = argument;
    if (major == 7) {
        return read_simple(item, info, argument);
    }
    if (major > 3) {
        return false;
    }
    item->kind = KINDS[major];
    if (major >= 2) {
        if ((uint32_t)(c->end - c->at) < argument) {
            return false;
        }
        item->bytes = c->at;
        c->at += argument;
    }
    return true;
}

bool cb_parse(const uint8_t *data, uint32_t size, cb_item *items, uint32_t n_items)
{
    cursor c = {data, data + size};
    uint8_t major, info;
    uint32_t pairs, key;
    for (uint32_t i = 0; i < n_items; i++) {
        items[i].kind = CB_NONE;
        items[i].value = 0;
        items[i].bytes = data;
    }
    if (!read_head(&c, &major, &info, &pairs) || major != 5) {
        return false;
    }
    for (; pairs > 0; pairs--) {
        if (!read_head(&c, &major, &info, &key) || major != 0 || key >= n_items) {
            return false;
        }
        if (items[key].kind != CB_NONE || !read_value(&c, &items[key])) {
            return false;
        }
    }
    return c.at == c.end;
}

static void put(cb_writer *w, uint8_t byte)
{
    if (w->length < w->capacity) {
        w->buffer[w->length++] = byte;
    } else {
        w->overflow = true;
    }
}

static void put_big_endian(cb_writer *w, uint32_t value)
{
    for (int32_t shift = 24; shift >= 0; shift -= 8) {
        put(w, (uint8_t)(value >> shift));
    }
}

static void put_head(cb_writer *w, uint32_t major, uint32_t argument)
{
    if (argument < 24) {
        put(w, (uint8_t)(major << 5 | argument));
    } else if (argument < 256) {
        put(w, (uint8_t)(major << 5 | 24u));
        put(w, (uint8_t)argument);
    } else {
        put(w, (uint8_t)(major << 5 | 26u));
        put_big_endian(w, argument);
    }
}

static void put_key(cb_writer *w, uint32_t key)
{
    if ((w->buffer[0] & 31u) == 23u) {
        w->overflow = true;
        return;
    }
    w->buffer[0]++;
    put_head(w, 0, key);
}

void cb_begin(cb_writer *w, uint8_t *buffer, uint32_t capacity)
{
    w->buffer = buffer;
    w->capacity = capacity;
    w->length = 0;
    w->overflow = false;
    put_head(w, 5, 0);
}

void cb_put_uint(cb_writer *w, uint32_t key, uint32_t value)
{
    put_key(w, key);
    put_head(w, 0, value);
}

void cb_put_int(cb_writer *w, uint32_t key, int32_t value)
{
    put_key(w, key);
    put_head(w, value < 0 ? 1 : 0, value < 0 ? ~(uint32_t)value : (uint32_t)value);
}

void cb_put_float(cb_writer *w, uint32_t key, float value)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    put_key(w, key);
    put(w, 0xfa);
    put_big_endian(w, bits);
}

static void put_string(cb_writer *w, uint32_t key, uint32_t major, const uint8_t *data, uint32_t size)
{
    put_key(w, key);
    put_head(w, major, size);
    for (uint32_t i = 0; i < size; i++) {
        put(w, data[i]);
    }
}

void cb_put_bytes(cb_writer *w, uint32_t key, const uint8_t *data, uint32_t size)
{
    put_string(w, key, 2, data, size);
}

void cb_put_text(cb_writer *w, uint32_t key, const char *text, uint32_t size)
{
    put_string(w, key, 3, (const uint8_t *)text, size);
}

void cb_put_null(cb_writer *w, uint32_t key)
{
    put_key(w, key);
    put(w, 0xf6);
}
