#include "slots.h"

#include "frames.h"
#include "port.h"

#define MAGIC 0x32534654u /* "TFS2" */
#define ERASED 0xffffffffu

typedef struct record {
    uint32_t magic, sequence, size, test;
    uint8_t digest[SHA256_BYTES];
    uint32_t check;
    uint32_t revoked, tried;
} record;

#define CHECKED_BYTES ((uint32_t)__builtin_offsetof(record, check))
#define WRITTEN_BYTES ((uint32_t)__builtin_offsetof(record, revoked))

static const uint8_t MARK[4] = {0, 0, 0, 0};

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

/* A record that was written whole; its sizes are in bounds. */
static bool whole(const record *r)
{
    return r->magic == MAGIC && r->check == record_check(r) &&
           (r->size == 0 || slot_extent(r->size, r->test) != 0);
}

static bool usable(int32_t slot)
{
    const record *r = slot_record(slot);
    return whole(r) && r->revoked == ERASED;
}

uint32_t slot_capacity(void)
{
    return port_info()->slot_bytes - SLOT_RECORD_BYTES;
}

uint32_t slot_extent(uint32_t size, uint32_t test)
{
    uint32_t room = slot_capacity() & ~3u;
    uint32_t padded = (size + 3u) & ~3u;
    return size > room || test > room - padded ? 0 : padded + test;
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
    file->test = slot_record(slot)->test;
    sha256(file->data, file->size, file->digest);
    return same_digest(file->digest, slot_record(slot)->digest);
}

void flash_clear(uint32_t address, uint32_t bytes)
{
    uint32_t page = port_flash_page();
    for (uint32_t at = 0; at < bytes; at += page) {
        const uint32_t *word = (const uint32_t *)(uintptr_t)(address + at);
        uint32_t i = 0;
        while (i < page / 4u && word[i] == ERASED) {
            i++;
        }
        if (i < page / 4u) {
            port_flash_erase(address + at);
        }
    }
}

void slot_erase(int32_t slot)
{
    flash_clear(slot_address(slot), port_info()->slot_bytes);
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

void slot_try(int32_t slot)
{
    port_flash_write(slot_address(slot) + (uint32_t)__builtin_offsetof(record, tried), MARK, sizeof MARK);
}

slot_trial slot_tried(int32_t slot)
{
    const record *r = slot_record(slot);
    if (r->tried == ERASED || whole(r)) {
        return TRIAL_NONE;
    }
    return r->revoked == ERASED ? TRIAL_DIED : TRIAL_FAILED;
}

void slot_commit(int32_t slot, const slot_file *file)
{
    record r = {MAGIC, highest_sequence() + 1u, file->size, file->test, {0}, 0, ERASED, ERASED};
    __builtin_memcpy(r.digest, file->digest, SHA256_BYTES);
    r.check = record_check(&r);
    port_flash_write(slot_address(slot), (const uint8_t *)&r, WRITTEN_BYTES);
}

void slot_revoke(int32_t slot)
{
    port_flash_write(slot_address(slot) + (uint32_t)__builtin_offsetof(record, revoked), MARK, sizeof MARK);
}

uint32_t slot_bank(int32_t slot, const slot_file *file, uint32_t bank, uint32_t *bytes)
{
    uint32_t page = port_flash_page(), total = port_info()->slot_bytes;
    uint32_t used = SLOT_RECORD_BYTES + slot_extent(file->size, file->test);
    uint32_t start = (used + page - 1u) / page * page;
    *bytes = start < total ? (total - start) / (2u * page) * page : 0;
    return slot_address(slot) + start + bank * *bytes;
}
