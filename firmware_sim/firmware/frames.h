/* COBS framing with a CRC-16/CCITT-FALSE (polynomial 0x1021, initial 0xFFFF), streaming. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#define FR_CRC_BYTES 2u
#define FR_MORE (-1)

/* Decodes into `buffer`, which holds payload and CRC. Costs 20 bytes of RAM beside the buffer. */
typedef struct fr_decoder {
    uint8_t *buffer;
    uint32_t capacity; /* bytes, FR_CRC_BYTES more than the longest payload */
    uint32_t length;   /* bytes decoded of the frame under way */
    uint32_t dropped;  /* frames dropped since fr_init: broken, too long or wrong CRC */
    uint8_t code;      /* last COBS code byte; 0 before the first one of a frame */
    uint8_t left;      /* bytes to come in the current COBS block */
    bool overrun;      /* this frame is longer than the buffer */
} fr_decoder;

typedef void (*fr_sink)(uint8_t byte);

uint16_t fr_crc16(uint16_t crc, const uint8_t *data, uint32_t size);

void fr_init(fr_decoder *d, uint8_t *buffer, uint32_t capacity);

/* Take one byte. Returns the payload length when it ends a good frame, else FR_MORE. */
int32_t fr_push(fr_decoder *d, uint8_t byte);

/* Send payload, CRC and the closing zero through `put`. */
void fr_send(const uint8_t *payload, uint32_t size, fr_sink put);

#endif
