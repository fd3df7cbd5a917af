/* SHA-256 (FIPS 180-4). */
#ifndef SHA256_H
#define SHA256_H

#include <stdint.h>

#define SHA256_BYTES 32u

#define SHA256_BLOCK 64u

typedef struct sha256_state {
    uint32_t h[8];
} sha256_state;

/* Block after block; `rest` is what is left behind the last whole block of `size` bytes in all. */
void sha256_begin(sha256_state *state);
void sha256_block(sha256_state *state, const uint8_t block[SHA256_BLOCK]);
void sha256_end(sha256_state *state, const uint8_t *rest, uint32_t size,
                uint8_t digest[SHA256_BYTES]);

/* Of a whole buffer. */
void sha256(const uint8_t *data, uint32_t size, uint8_t digest[SHA256_BYTES]);

#endif
