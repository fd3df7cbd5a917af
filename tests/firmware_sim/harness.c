/* Lets the host tests call the firmware's codecs. */
#include <string.h>

#include "cbor.h"
#include "frames.h"
#include "protocol.h"
#include "sha256.h"

static uint8_t *sent;
static uint32_t sent_bytes, sent_room;

static void keep(uint8_t byte)
{
    if (sent_bytes < sent_room) {
        sent[sent_bytes] = byte;
    }
    sent_bytes++;
}

uint32_t h_send(const uint8_t *payload, uint32_t size, uint8_t *out, uint32_t room);
uint32_t h_receive(const uint8_t *stream, uint32_t size, uint8_t *out, uint32_t *lengths, uint32_t *dropped);

uint32_t h_send(const uint8_t *payload, uint32_t size, uint8_t *out, uint32_t room)
{
    sent = out;
    sent_bytes = 0;
    sent_room = room;
    fr_send(payload, size, keep);
    return sent_bytes;
}

uint32_t h_receive(const uint8_t *stream, uint32_t size, uint8_t *out, uint32_t *lengths, uint32_t *dropped)
{
    uint8_t buffer[LINK_MAX_PAYLOAD + FR_CRC_BYTES];
    fr_decoder decoder;
    uint32_t frames = 0;
    fr_init(&decoder, buffer, sizeof buffer);
    for (uint32_t i = 0; i < size; i++) {
        int32_t length = fr_push(&decoder, stream[i]);
        if (length != FR_MORE) {
            memcpy(out, buffer, (uint32_t)length);
            out += length;
            lengths[frames++] = (uint32_t)length;
        }
    }
    *dropped = decoder.dropped;
    return frames;
}
