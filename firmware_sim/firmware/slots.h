/*
 * Two artefact slots in flash. A slot is a record, then the file:
 *   0   magic      "TFSL"
 *   4   sequence   the valid record with the highest one is active
 *   8   size       of the file, bytes
 *   12  digest     SHA-256 of the file
 *   44  check      CRC-16 of bytes 0-43
 *   48  revoked    0xffffffff; 0 after a rollback away from it
 *   52  unused, up to SLOT_RECORD_BYTES
 * The record is written last and in one go, and erased first: a power cut at any moment leaves
 * either the old slot active or the new one, never half a file.
 */
#ifndef SLOTS_H
#define SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "sha256.h"

#define SLOT_NONE (-1)
#define SLOT_RECORD_BYTES 64u

typedef struct slot_file {
    const uint8_t *data; /* 4-byte aligned, in flash */
    uint32_t size;       /* bytes */
    uint8_t digest[SHA256_BYTES];
} slot_file;

/* The slot to run (0 or 1), or SLOT_NONE. Records only: slot_verify checks the file. */
int32_t slot_active(void);

/* True if the slot holds a file whose record and digest are right. */
bool slot_verify(int32_t slot, slot_file *file);

/* Longest file that a slot takes, in bytes. */
uint32_t slot_capacity(void);

/* Erase a slot, record first, so far as `size` bytes of file need. */
void slot_erase(int32_t slot, uint32_t size);

/* Write bytes of the file; the caller has checked offset + size against slot_capacity(). */
void slot_write(int32_t slot, uint32_t offset, const uint8_t *data, uint32_t size);

/* Where the file of a slot lies, record or not. */
const uint8_t *slot_data(int32_t slot);

/* Write the record: from here on this slot is the active one. */
void slot_commit(int32_t slot, uint32_t size, const uint8_t digest[SHA256_BYTES]);

/* Never run this slot again. */
void slot_revoke(int32_t slot);

#endif
