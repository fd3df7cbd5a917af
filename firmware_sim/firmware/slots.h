/*
 * Two artefact slots in flash. A slot is a record, the file, and what belongs to it:
 *   0   magic      "TFS2"
 *   4   sequence   the valid record with the highest one is active
 *   8   size       of the file, bytes
 *   12  test       bytes of the self-test behind the file: x, then y; 0: none
 *   16  digest     SHA-256 of the file
 *   48  check      CRC-16 of bytes 0-47
 *   52  revoked    0xffffffff; else there was a rollback away from it
 *   56  tried      0xffffffff; else the file was run, or was about to be
 *   60  unused
 *   64  the file, to a multiple of 4 bytes; the self-test; from the next page on the learner's
 *       state (state.h)
 * The record is written last, after the file has passed its self-test, and the page that holds it
 * is erased first: a power cut at any moment, or a crash of the new model, leaves either the old
 * slot active or the new one, never half a file. A mark counts as soon as one of its bits is 0.
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
    uint32_t test;       /* bytes of the self-test */
    uint8_t digest[SHA256_BYTES];
} slot_file;

/* The slot to run (0 or 1), or SLOT_NONE. Records only: slot_verify checks the file. */
int32_t slot_active(void);

/* True if the slot holds a file whose record and digest are right. */
bool slot_verify(int32_t slot, slot_file *file);

/* Most bytes that a file and its self-test may have together. */
uint32_t slot_capacity(void);

/* Bytes of a file and its self-test in the slot, if they fit; else 0. */
uint32_t slot_extent(uint32_t size, uint32_t test);

/* Erase all of a slot that is not blank, record first. */
void slot_erase(int32_t slot);

/* Write bytes of the file; the caller has checked offset + size against slot_capacity(). */
void slot_write(int32_t slot, uint32_t offset, const uint8_t *data, uint32_t size);

/* Where the file of a slot lies, record or not. */
const uint8_t *slot_data(int32_t slot);

/* Mark an erased slot: its file is about to be run for the first time. */
void slot_try(int32_t slot);

/* How the first run of a slot's file ended, if it did not end in a record: DIED without a word,
 * in a crash or a power cut, or FAILED, and was revoked. */
typedef enum slot_trial { TRIAL_NONE = 0, TRIAL_DIED, TRIAL_FAILED } slot_trial;

slot_trial slot_tried(int32_t slot);

/* Write the record: from here on this slot is the active one. */
void slot_commit(int32_t slot, const slot_file *file);

/* Never run this slot again. */
void slot_revoke(int32_t slot);

/* Flash of one of two banks of a slot behind its file: address and bytes (0: no room). */
uint32_t slot_bank(int32_t slot, const slot_file *file, uint32_t bank, uint32_t *bytes);

/* Erase those pages of a range that are not blank; the first one begins at `address`. */
void flash_clear(uint32_t address, uint32_t bytes);

#endif
