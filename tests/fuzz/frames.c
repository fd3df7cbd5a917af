/* The frame decoder: any stream; and what was encoded comes back. */
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "fuzz.h"

enum { CAPACITY = 64 };

static uint8_t *line;
static uint32_t sent;

static void put(uint8_t byte)
{
    line[sent++] = byte;
}

static void decode(const uint8_t *stream, size_t size)
{
    fr_decoder decoder;
    uint8_t *buffer = malloc(CAPACITY);
    fr_init(&decoder, buffer, CAPACITY);
    for (size_t i = 0; i < size; i++) {
        int32_t length = fr_push(&decoder, stream[i]);
        CHECK(length == FR_MORE || (length >= 0 && (uint32_t)length + FR_CRC_BYTES <= CAPACITY));
    }
    free(buffer);
}

static void round_trip(const uint8_t *payload, uint32_t size)
{
    fr_decoder decoder;
    uint8_t *buffer = malloc(size + FR_CRC_BYTES);
    int32_t length = FR_MORE;
    line = malloc(2u * size + 16u);
    sent = 0;
    fr_send(payload, size, put);
    fr_init(&decoder, buffer, size + FR_CRC_BYTES);
    for (uint32_t i = 0; i < sent; i++) {
        CHECK(length == FR_MORE);
        length = fr_push(&decoder, line[i]);
    }
    CHECK(length == (int32_t)size && memcmp(buffer, payload, size) == 0);
    CHECK(decoder.dropped == 0);
    free(line);
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(data, size);
    round_trip(data, (uint32_t)size);
    return 0;
}
