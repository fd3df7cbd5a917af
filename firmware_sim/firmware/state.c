#include "state.h"

#include "frames.h"
#include "port.h"

#define MAGIC 0x54534654u /* "TFST" */
#define ERASED 0xffffffffu
#define BLOCK_FLOATS (SHA256_BLOCK / 4u)
#define FNV_START 0x811c9dc5u
#define FNV_PRIME 0x01000193u

typedef struct record {
    uint32_t magic, sequence, architecture, layout, parameters, features, count;
    uint8_t owner[SHA256_BYTES], digest[SHA256_BYTES];
    uint32_t check, dropped;
} record;

#define CHECKED_BYTES ((uint32_t)__builtin_offsetof(record, check))
#define WRITTEN_BYTES ((uint32_t)__builtin_offsetof(record, dropped))

static uint32_t mix(uint32_t hash, const uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * FNV_PRIME;
    }
    return hash;
}

/* Shapes and options of the layers lie next to one another in tl_layer. */
static uint32_t architecture(const tl_model *model)
{
    const uint32_t from = (uint32_t)__builtin_offsetof(tl_layer, in);
    const uint32_t to = (uint32_t)__builtin_offsetof(tl_layer, in_zero);
    uint32_t hash = mix(FNV_START, &model->loss, 1);
    for (uint32_t i = 0; i < model->n_layers; i++) {
        hash = mix(hash, (const uint8_t *)&model->layers[i] + from, to - from);
    }
    return hash;
}

static uint32_t payload_floats(const record *r)
{
    return r->parameters + 4u * r->features;
}

static bool same(const uint8_t *a, const uint8_t *b)
{
    uint32_t difference = 0;
    for (uint32_t i = 0; i < SHA256_BYTES; i++) {
        difference |= (uint32_t)(a[i] ^ b[i]);
    }
    return difference == 0;
}

/* The record of a bank, if it was written whole, belongs to the file and its sizes are in bounds. */
static const record *bank_record(int32_t slot, const slot_file *file, uint32_t bank)
{
    uint32_t bytes;
    uint32_t address = slot_bank(slot, file, bank, &bytes);
    const record *r = (const record *)(uintptr_t)address;
    if (bytes < STATE_RECORD_BYTES || r->magic != MAGIC || r->dropped != ERASED ||
        r->check != fr_crc16(0xffff, (const uint8_t *)r, CHECKED_BYTES) ||
        !same(r->owner, file->digest)) {
        return 0;
    }
    uint32_t room = (bytes - STATE_RECORD_BYTES) / 4u;
    bool fits = r->parameters <= room && r->features <= (room - r->parameters) / 4u;
    return fits ? r : 0;
}

static const uint8_t *payload(const record *r)
{
    return (const uint8_t *)r + STATE_RECORD_BYTES;
}

/* As bank_record, and what follows it is undamaged. */
static const record *good_record(int32_t slot, const slot_file *file, uint32_t bank)
{
    uint8_t digest[SHA256_BYTES];
    const record *r = bank_record(slot, file, bank);
    if (r != 0) {
        sha256(payload(r), 4u * payload_floats(r), digest);
    }
    return r != 0 && same(digest, r->digest) ? r : 0;
}

/* The bank with the newest good state; -1: none. */
static int32_t newest(int32_t slot, const slot_file *file)
{
    const record *a = good_record(slot, file, 0), *b = good_record(slot, file, 1);
    if (a != 0 && b != 0) {
        return b->sequence > a->sequence ? 1 : 0;
    }
    return a != 0 ? 0 : b != 0 ? 1 : -1;
}

bool state_saved(const agent *a)
{
    return bank_record(a->slot, &a->file, 0) != 0 || bank_record(a->slot, &a->file, 1) != 0;
}

/* `n` floats of the payload from index `at`. */
static void gather(const tl_learner *l, uint32_t at, uint32_t n, float *to)
{
    uint32_t left = at < l->n_parameters ? l->n_parameters - at : 0;
    uint32_t first = n < left ? n : left;
    if (first > 0) {
        (void)tl_learner_read(l, at, first, to);
    }
    for (uint32_t i = first; i < n; i++) {
        to[i] = l->standardiser.mean[at + i - l->n_parameters]; /* m2 lies behind mean */
    }
}

/* A state that holds NaN or an infinity would never learn again. */
static bool all_numbers(const float *values, uint32_t n)
{
    bool good = true;
    for (uint32_t i = 0; i < n; i++) {
        good = good && is_number(values[i]);
    }
    return good;
}

static bool can_be_saved(const tl_learner *l, uint32_t count)
{
    bool good = true;
    float value;
    for (uint32_t at = 0; at < count; at++) {
        gather(l, at, 1, &value);
        good = good && is_number(value);
    }
    return good;
}

static void write_payload(const tl_learner *l, uint32_t address, uint32_t count, uint8_t *digest)
{
    float block[BLOCK_FLOATS];
    const uint8_t *bytes = (const uint8_t *)(const void *)block;
    sha256_state state;
    sha256_begin(&state);
    for (uint32_t at = 0; at < count; at += BLOCK_FLOATS) {
        uint32_t n = count - at < BLOCK_FLOATS ? count - at : BLOCK_FLOATS;
        gather(l, at, n, block);
        port_flash_write(address + 4u * at, bytes, 4u * n);
        if (n == BLOCK_FLOATS) {
            sha256_block(&state, bytes);
        }
    }
    sha256_end(&state, bytes, 4u * count, digest);
}

__attribute__((noinline)) int32_t state_save(agent *a)
{
    const tl_learner *l = &a->learner;
    uint32_t bytes;
    record r = {.magic = MAGIC};
    if (l->n_parameters == 0) {
        return TL_E_FROZEN;
    }
    int32_t last = newest(a->slot, &a->file);
    uint32_t address = slot_bank(a->slot, &a->file, last == 0 ? 1u : 0u, &bytes);
    r.parameters = l->n_parameters;
    r.features = l->standardiser.n;
    uint32_t needed = STATE_RECORD_BYTES + 4u * payload_floats(&r);
    if (needed > bytes) {
        return refuse(a, LINK_E_SPACE, needed, bytes);
    }
    if (!can_be_saved(l, payload_floats(&r))) {
        return TL_E_NONFINITE;
    }
    r.sequence = last < 0 ? 1u : good_record(a->slot, &a->file, (uint32_t)last)->sequence + 1u;
    r.architecture = architecture(&a->model);
    r.layout = a->train_layers | (uint32_t)a->flags << 16;
    r.count = l->standardiser.count;
    __builtin_memcpy(r.owner, a->file.digest, SHA256_BYTES);
    flash_clear(address, needed);
    write_payload(l, address + STATE_RECORD_BYTES, payload_floats(&r), r.digest);
    r.check = fr_crc16(0xffff, (const uint8_t *)&r, CHECKED_BYTES);
    port_flash_write(address, (const uint8_t *)&r, WRITTEN_BYTES);
    return 0;
}

bool state_load(agent *a, int32_t slot, const slot_file *file)
{
    int32_t bank = newest(slot, file);
    const record *r = bank < 0 ? 0 : bank_record(slot, file, (uint32_t)bank);
    if (r == 0 || r->architecture != architecture(&a->model) ||
        !all_numbers((const float *)(const void *)payload(r), payload_floats(r))) {
        return false;
    }
    uint16_t layers = a->train_layers, flags = a->flags;
    tl_learner *l = &a->learner;
    if (learner_layout(a, (uint16_t)r->layout, (uint16_t)(r->layout >> 16)) != 0) {
        return false;
    }
    if (l->n_parameters != r->parameters || l->standardiser.n != r->features) {
        (void)learner_layout(a, layers, flags);
        return false;
    }
    const float *from = (const float *)(const void *)payload(r);
    (void)tl_learner_write(l, 0, l->n_parameters, from);
    __builtin_memcpy(l->standardiser.mean, from + l->n_parameters, 16u * r->features);
    l->standardiser.count = r->count;
    a->changed = true;
    return true;
}

/* The older bank first: cut in between, the newer one is still what counts. */
void state_forget(const agent *a)
{
    static const uint8_t MARK[4] = {0, 0, 0, 0};
    int32_t last = newest(a->slot, &a->file);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t bank = last == 0 ? 1u - i : i;
        const record *r = bank_record(a->slot, &a->file, bank);
        if (r != 0) {
            uint32_t at = (uint32_t)(uintptr_t)r + (uint32_t)__builtin_offsetof(record, dropped);
            port_flash_write(at, MARK, sizeof MARK);
        }
    }
}
