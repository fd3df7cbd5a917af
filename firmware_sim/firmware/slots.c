#include "slots.h"

#include "frames.h"
#include "port.h"

#define MAGIC 0x4c534654u /* "TFSL" */
#define ERASED 0xffffffffu

typedef struct record {
    uint32_t magic, sequence, size;
    uint8_t digest[SHA256_BYTES];
    uint32_t check;
    uint32_t revoked;
} record;

#define CHECKED_BYTES 44u

static uint32_t slot_address(int32_t slot)
{
    const board_info *info = port_info();
    return info->slot_base + (slot == 0 ? 0 : info->slot_bytes);
}

static const record *slot_record(int32_t slot)
{
    return (const record *)(uintptr_t)slot_address(slot);
}

static uint32_t record_check(const record *r)
{
    return fr_crc16(0xffff, (const uint8_t *)r, CHECKED_BYTES);
}

static bool usable(int32_t slot)
{
    const record *r = slot_record(slot);
    return r->magic == MAGIC && r->check == record_check(r) && r->revoked == ERASED &&
           r->size <= slot_capacity();
}

uint32_t slot_capacity(void)
{
    return port_info()->slot_bytes - SLOT_RECORD_BYTES;
}

const uint8_t *slot_data(int32_t slot)
{
    return (const uint8_t *)(uintptr_t)(slot_address(slot) + SLOT_RECORD_BYTES);
}

int32_t slot_active(void)
{
    bool a = usable(0), b = usable(1);
    if (a && b) {
        return slot_record(1)->sequence > slot_record(0)->sequence ? 1 : 0;
    }
    return a ? 0 : b ? 1 : SLOT_NONE;
}

static bool same_digest(const uint8_t *a, const uint8_t *b)
{
    uint32_t difference = 0;
    for (uint32_t i = 0; i < SHA256_BYTES; i++) {
        difference |= (uint32_t)(a[i] ^ b[i]);
    }
    return difference == 0;
}

bool slot_verify(int32_t slot, slot_file *file)
{
    if (slot == SLOT_NONE || !usable(slot)) {
        return false;
    }
    file->data = slot_data(slot);
    file->size = slot_record(slot)->size;
    sha256(file->data, file->size, file->digest);
    return same_digest(file->digest, slot_record(slot)->digest);
}

void slot_erase(int32_t slot, uint32_t size)
{
    port_flash_erase(slot_address(slot), SLOT_RECORD_BYTES);
    port_flash_erase(slot_address(slot) + SLOT_RECORD_BYTES, size);
}

void slot_write(int32_t slot, uint32_t offset, const uint8_t *data, uint32_t size)
{
    port_flash_write(slot_address(slot) + SLOT_RECORD_BYTES + offset, data, size);
}

static uint32_t highest_sequence(void)
{
    uint32_t highest = 0;
    for (int32_t slot = 0; slot < 2; slot++) {
        if (usable(slot) && slot_record(slot)->sequence > highest) {
            highest = slot_record(slot)->sequence;
        }
    }
    return highest;
}

void slot_commit(int32_t slot, uint32_t size, const uint8_t digest[SHA256_BYTES])
{
    record r = {MAGIC, highest_sequence() + 1u, size, {0}, 0, ERASED};
    __builtin_memcpy(r.digest, digest, SHA256_BYTES);
    r.check = record_check(&r);
    port_flash_write(slot_address(slot), (const uint8_t *)&r, sizeof r);
}

void slot_revoke(int32_t slot)
{
    static const uint8_t ZERO[4] = {0, 0, 0, 0};
    port_flash_write(slot_address(slot) + (uint32_t)__builtin_offsetof(record, revoked), ZERO, sizeof ZERO);
}
