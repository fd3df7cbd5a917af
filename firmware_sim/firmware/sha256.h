/* SHA-256 (FIPS 180-4) of a whole buffer. */
#ifndef SHA256_H
#define SHA256_H

#include <stdint.h>

#define SHA256_BYTES 32u

void sha256(const uint8_t *data, uint32_t size, uint8_t digest[SHA256_BYTES]);

#endif
