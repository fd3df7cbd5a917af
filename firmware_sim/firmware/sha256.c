#include "sha256.h"


static const uint32_t INITIAL[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, uint32_t n)
{
    return x >> n | x << (32u - n);
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The message schedule, 16 words at a time: word t replaces word t - 16. */
static uint32_t schedule(uint32_t w[16], uint32_t t)
{
    uint32_t a = w[(t + 1u) & 15u], b = w[(t + 14u) & 15u];
    uint32_t s0 = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3;
    uint32_t s1 = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10;
    return w[t & 15u] += s0 + w[(t + 9u) & 15u] + s1;
}

static void compress(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[16], v[8];
    for (uint32_t i = 0; i < 16; i++) {
        w[i] = big_endian(block + 4u * i);
    }
    for (uint32_t i = 0; i < 8; i++) {
        v[i] = state[i];
    }
    for (uint32_t t = 0; t < 64; t++) {
        uint32_t word = t < 16 ? w[t] : schedule(w, t);
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t t1 = v[7] + s1 + choice + ROUND[t] + word;
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        for (uint32_t i = 7; i > 0; i--) {
            v[i] = v[i - 1];
        }
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (uint32_t i = 0; i < 8; i++) {
        state[i] += v[i];
    }
}

/* The last one or two blocks: the rest of the data, a one bit, zeros, the length in bits. */
static void finish(uint32_t state[8], const uint8_t *rest, uint32_t size)
{
    uint8_t block[SHA256_BLOCK];
    uint32_t used = size % SHA256_BLOCK;
    for (uint32_t i = 0; i < SHA256_BLOCK; i++) {
        block[i] = i < used ? rest[i] : (uint8_t)(i == used ? 0x80 : 0);
    }
    if (used >= SHA256_BLOCK - 8u) {
        compress(state, block);
        for (uint32_t i = 0; i < SHA256_BLOCK; i++) {
            block[i] = 0;
        }
    }
    block[SHA256_BLOCK - 5u] = (uint8_t)(size >> 29);
    for (uint32_t i = 0; i < 4; i++) {
        block[SHA256_BLOCK - 1u - i] = (uint8_t)(size << 3 >> (8u * i));
    }
    compress(state, block);
}

void sha256_begin(sha256_state *state)
{
    for (uint32_t i = 0; i < 8; i++) {
        state->h[i] = INITIAL[i];
    }
}

void sha256_block(sha256_state *state, const uint8_t block[SHA256_BLOCK])
{
    compress(state->h, block);
}

void sha256_end(sha256_state *state, const uint8_t *rest, uint32_t size,
                uint8_t digest[SHA256_BYTES])
{
    finish(state->h, rest, size);
    for (uint32_t i = 0; i < SHA256_BYTES; i++) {
        digest[i] = (uint8_t)(state->h[i / 4u] >> (24u - 8u * (i % 4u)));
    }
}

void sha256(const uint8_t *data, uint32_t size, uint8_t digest[SHA256_BYTES])
{
    sha256_state state;
    uint32_t at = 0;
    sha256_begin(&state);
    for (; size - at >= SHA256_BLOCK; at += SHA256_BLOCK) {
        sha256_block(&state, data + at);
    }
    sha256_end(&state, data + at, size, digest);
}
