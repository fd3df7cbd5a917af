/*
 * Samples over the sensor line. The board asks with one byte, the sensor answers 'S', 'X' and 'N'
 * with a frame (COBS and CRC as on the link) of raw little-endian float32: x[n_in], then the target.
 * An empty frame means that there is no sample left.
 */
#ifndef SENSOR_H
#define SENSOR_H

#include <stdint.h>

#define SENSOR_NEXT 'S'
#define SENSOR_NEXT_INPUT 'X' /* the next sample, without its target */
#define SENSOR_AGAIN 'N'  /* the last frame came broken: the same sample once more */
#define SENSOR_REWIND 'R' /* back to the first sample; no answer */

/* Send `request`, SENSOR_NEXT or SENSOR_NEXT_INPUT, and fill `sample` with `bytes` bytes;
 * FR_CRC_BYTES beyond them are overwritten. 0, or LINK_E_SENSOR if there is no sample or it has
 * another size. */
int32_t sensor_next(uint8_t request, uint8_t *sample, uint32_t bytes);

void sensor_rewind(void);

#endif
