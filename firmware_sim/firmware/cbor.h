/* The little CBOR (RFC 8949) that the link needs: one flat map with small integer keys. */
#ifndef CBOR_H
#define CBOR_H

#include <stdbool.h>
#include <stdint.h>

typedef enum cb_kind { CB_NONE = 0, CB_UINT, CB_NEGATIVE, CB_BYTES, CB_TEXT, CB_BOOL, CB_NULL, CB_FLOAT } cb_kind;

/* One value. 12 bytes of RAM. */
typedef struct cb_item {
    const uint8_t *bytes; /* CB_BYTES, CB_TEXT: into the message */
    uint32_t value;       /* number, -1 - number, byte count, 0/1, or the bits of a float32 */
    uint8_t kind;         /* cb_kind; CB_NONE: the key is not in the map */
} cb_item;

/* Read a map into items[key]. False unless it is one whole map of definite length, every key is
 * below n_items and comes once, and every value is a scalar of at most 32 bits (no float64). */
bool cb_parse(const uint8_t *data, uint32_t size, cb_item *items, uint32_t n_items);

/* Writes a map of up to 23 pairs; sets `overflow` instead of writing beyond the end. */
typedef struct cb_writer {
    uint8_t *buffer;
    uint32_t capacity, length; /* bytes */
    bool overflow;
} cb_writer;

void cb_begin(cb_writer *w, uint8_t *buffer, uint32_t capacity);
void cb_put_int(cb_writer *w, uint32_t key, int32_t value);
void cb_put_uint(cb_writer *w, uint32_t key, uint32_t value);
void cb_put_float(cb_writer *w, uint32_t key, float value);
void cb_put_bytes(cb_writer *w, uint32_t key, const uint8_t *data, uint32_t size);
void cb_put_text(cb_writer *w, uint32_t key, const char *text, uint32_t size);
void cb_put_null(cb_writer *w, uint32_t key);

#endif
