/* Bounds-checked reading of a flatbuffer. Offsets are bytes from the start of the file. */
#ifndef TL_FLATBUFFER_H
#define TL_FLATBUFFER_H

#include <stdbool.h>
#include <stdint.h>

/* A file under reading. The first read outside it sets `bad`, and every later read gives 0. */
typedef struct tl_reader {
    const uint8_t *data;
    uint32_t size; /* bytes */
    bool bad;
} tl_reader;

/* A vector: `count` elements starting at `start`; count 0 if absent. */
typedef struct tl_vector {
    uint32_t start;
    uint32_t count;
} tl_vector;

/* Little-endian loads at `at`. */
uint8_t tl_read_u8(tl_reader *r, uint32_t at);
uint32_t tl_read_u32(tl_reader *r, uint32_t at);
int32_t tl_read_i32(tl_reader *r, uint32_t at);

/* Follow the unsigned offset stored at `at`. */
uint32_t tl_follow(tl_reader *r, uint32_t at);

/* Where field `slot` of the table at `table` is stored; 0 if the field is absent. */
uint32_t tl_field(tl_reader *r, uint32_t table, uint16_t slot);

/* Scalar fields, with the value of an absent one. */
int32_t tl_field_i32(tl_reader *r, uint32_t table, uint16_t slot, int32_t absent);
int32_t tl_field_i8(tl_reader *r, uint32_t table, uint16_t slot, int32_t absent);

/* A table or vector field; a table is 0 if absent. Elements of a vector are `width` bytes and
 * all lie inside the file. */
uint32_t tl_field_table(tl_reader *r, uint32_t table, uint16_t slot);
tl_vector tl_field_vector(tl_reader *r, uint32_t table, uint16_t slot, uint32_t width);

/* The table that element `index` of a vector of tables points at; 0 if there is no such element. */
uint32_t tl_element_table(tl_reader *r, tl_vector vector, uint32_t index);

#endif
