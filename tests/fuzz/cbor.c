/* The CBOR reader: any bytes; and what it read can be written and read again. */
#include <stdlib.h>
#include <string.h>

#include "cbor.h"
#include "fuzz.h"

enum { KEYS = 16, ROOM = 4096 };

static bool inside(const cb_item *item, const uint8_t *data, size_t size)
{
    if (item->kind != CB_BYTES && item->kind != CB_TEXT) {
        return true;
    }
    return item->bytes >= data && item->value <= size &&
           (size_t)(item->bytes - data) <= size - item->value;
}

static void put(cb_writer *w, uint32_t key, const cb_item *item)
{
    float number;
    switch (item->kind) {
    case CB_UINT:
        cb_put_uint(w, key, item->value);
        break;
    case CB_BYTES:
        cb_put_bytes(w, key, item->bytes, item->value);
        break;
    case CB_TEXT:
        cb_put_text(w, key, (const char *)item->bytes, item->value);
        break;
    case CB_FLOAT:
        memcpy(&number, &item->value, sizeof number);
        cb_put_float(w, key, number);
        break;
    default:
        cb_put_null(w, key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t written[ROOM];
    uint8_t *message = malloc(size + 1u);
    cb_item items[KEYS], again[KEYS];
    cb_writer w;
    memcpy(message, data, size);
    message = realloc(message, size == 0 ? 1u : size); /* no byte behind it is there */
    if (cb_parse(message, (uint32_t)size, items, KEYS)) {
        cb_begin(&w, written, sizeof written);
        for (uint32_t key = 0; key < KEYS; key++) {
            CHECK(inside(&items[key], message, size));
            if (items[key].kind != CB_NONE) {
                put(&w, key, &items[key]);
            }
        }
        CHECK(w.overflow || cb_parse(written, w.length, again, KEYS));
        for (uint32_t key = 0; key < KEYS && !w.overflow; key++) {
            bool kept = items[key].kind == CB_UINT || items[key].kind == CB_BYTES;
            CHECK(!kept || again[key].value == items[key].value);
        }
    }
    free(message);
    return 0;
}
