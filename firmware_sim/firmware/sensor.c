#include "sensor.h"

#include "frames.h"
#include "port.h"
#include "protocol.h"

#define ATTEMPTS 4

/* One answer: its payload length, or FR_MORE if it was dropped. */
static int32_t receive(uint8_t *sample, uint32_t bytes)
{
    fr_decoder decoder;
    fr_init(&decoder, sample, bytes + FR_CRC_BYTES);
    while (decoder.dropped == 0) {
        uint8_t byte;
        while (!port_get(PORT_SENSOR, &byte)) {
            port_idle(PORT_SENSOR);
        }
        int32_t length = fr_push(&decoder, byte);
        if (length != FR_MORE) {
            return length;
        }
    }
    return FR_MORE;
}

int32_t sensor_next(uint8_t request, uint8_t *sample, uint32_t bytes)
{
    for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        port_put(PORT_SENSOR, request);
        int32_t length = receive(sample, bytes);
        if (length != FR_MORE) {
            return length == (int32_t)bytes ? 0 : LINK_E_SENSOR;
        }
        request = SENSOR_AGAIN;
    }
    return LINK_E_SENSOR;
}

void sensor_rewind(void)
{
    port_put(PORT_SENSOR, SENSOR_REWIND);
}
