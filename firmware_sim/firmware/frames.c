#include "frames.h"

#define COBS_LONGEST 254u /* bytes in a full block */

static const uint16_t NIBBLE[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};

uint16_t fr_crc16(uint16_t crc, const uint8_t *data, uint32_t size)
{
    uint32_t c = crc;
    for (uint32_t i = 0; i < size; i++) {
        c = ((c << 4) ^ NIBBLE[((c >> 12) ^ (data[i] >> 4)) & 15u]) & 0xffffu;
        c = ((c << 4) ^ NIBBLE[((c >> 12) ^ data[i]) & 15u]) & 0xffffu;
    }
    return (uint16_t)c;
}

static void restart(fr_decoder *d)
{
    d->length = 0;
    d->code = 0;
    d->left = 0;
    d->overrun = false;
}

void fr_init(fr_decoder *d, uint8_t *buffer, uint32_t capacity)
{
    d->buffer = buffer;
    d->capacity = capacity;
    d->dropped = 0;
    restart(d);
}

static void append(fr_decoder *d, uint8_t byte)
{
    if (d->length < d->capacity) {
        d->buffer[d->length++] = byte;
    } else {
        d->overrun = true;
    }
}

static int32_t finish(fr_decoder *d)
{
    bool idle = d->code == 0;
    bool good = d->left == 0 && !d->overrun && d->length >= FR_CRC_BYTES;
    uint32_t size = good ? d->length - FR_CRC_BYTES : 0;
    if (good) {
        uint16_t sent = (uint16_t)(d->buffer[size] | (uint32_t)d->buffer[size + 1] << 8);
        good = fr_crc16(0xffff, d->buffer, size) == sent;
    }
    restart(d);
    if (!good && !idle) {
        d->dropped++;
    }
    return good ? (int32_t)size : FR_MORE;
}

int32_t fr_push(fr_decoder *d, uint8_t byte)
{
    if (byte == 0) {
        return finish(d);
    }
    if (d->left > 0) {
        d->left--;
        append(d, byte);
        return FR_MORE;
    }
    if (d->code != 0 && d->code != 0xff) {
        append(d, 0);
    }
    d->code = byte;
    d->left = (uint8_t)(byte - 1u);
    return FR_MORE;
}

static uint8_t byte_at(const uint8_t *payload, uint32_t size, uint16_t crc, uint32_t i)
{
    if (i < size) {
        return payload[i];
    }
    return (uint8_t)(i == size ? crc : crc >> 8);
}

void fr_send(const uint8_t *payload, uint32_t size, fr_sink put)
{
    uint16_t crc = fr_crc16(0xffff, payload, size);
    uint32_t total = size + FR_CRC_BYTES;
    uint32_t at = 0;
    bool open = true; /* a block is due, be it an empty one */
    while (open) {
        uint32_t run = 0;
        while (at + run < total && run < COBS_LONGEST && byte_at(payload, size, crc, at + run) != 0) {
            run++;
        }
        put((uint8_t)(run + 1u));
        for (uint32_t i = 0; i < run; i++) {
            put(byte_at(payload, size, crc, at + i));
        }
        at += run;
        open = at < total;
        if (open && run < COBS_LONGEST) {
            at++; /* the zero that this block stands for; a block follows even at the end */
        }
    }
    put(0);
}
