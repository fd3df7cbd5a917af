#include "agent.h"

#define FLOAT_EXPONENT 0x7f800000u

static uint8_t *parameters(const agent *a)
{
    return (uint8_t *)a->learner.parameters;
}

static uint32_t parameter_bytes(const agent *a)
{
    return (a->flags & TL_INFER_ONLY) != 0 ? 0 : 4u * a->learner.n_parameters;
}

static int32_t begin_slot(agent *a, uint32_t size)
{
    if (size > slot_capacity()) {
        return refuse(a, LINK_E_SPACE, size, slot_capacity());
    }
    a->incoming.slot = a->slot == 0 ? 1 : 0;
    slot_erase(a->incoming.slot, size);
    return 0;
}

static int32_t begin_parameters(agent *a, const cb_item *request, uint32_t size)
{
    bool changed = a->changed;
    a->changed = false; /* they are replaced whole: another layout loses nothing */
    int32_t status = learner_want(a, request);
    a->changed = a->changed || changed;
    if (status != 0) {
        return status;
    }
    if (size != parameter_bytes(a)) {
        return refuse(a, LINK_E_SIZE, parameter_bytes(a), size);
    }
    a->whole = false;
    a->changed = true;
    return 0;
}

int32_t op_begin(agent *a, const cb_item *request, cb_writer *reply)
{
    uint32_t target = 0, size = 0;
    const cb_item *digest = &request[KEY_DIGEST];
    (void)reply;
    a->incoming.open = false;
    int32_t status = field_uint(&request[KEY_TARGET], true, TARGET_PARAMETERS, &target);
    if (status == 0) {
        status = field_uint(&request[KEY_SIZE], true, UINT32_MAX, &size);
    }
    if (status == 0 && (digest->kind != CB_BYTES || digest->value != SHA256_BYTES)) {
        status = LINK_E_FIELD;
    }
    if (status == 0) {
        status = target == TARGET_SLOT ? begin_slot(a, size) : begin_parameters(a, request, size);
    }
    if (status == 0) {
        __builtin_memcpy(a->incoming.digest, digest->bytes, SHA256_BYTES);
        a->incoming.target = (uint8_t)target;
        a->incoming.size = size;
        a->incoming.received = 0;
        a->incoming.open = true;
    }
    return status;
}

static int32_t write_input(agent *a, uint32_t offset, const cb_item *data)
{
    uint32_t room = 4u * a->model.n_in;
    if (a->slot == SLOT_NONE) {
        return LINK_E_EMPTY;
    }
    if (offset > room || data->value > room - offset) {
        return refuse(a, LINK_E_SIZE, room, offset + data->value);
    }
    __builtin_memcpy((uint8_t *)a->x + offset, data->bytes, data->value);
    return 0;
}

int32_t op_write(agent *a, const cb_item *request, cb_writer *reply)
{
    uint32_t target = 0, offset = 0;
    const cb_item *data = &request[KEY_DATA];
    transfer *t = &a->incoming;
    (void)reply;
    int32_t status = field_uint(&request[KEY_TARGET], true, TARGET_INPUT, &target);
    if (status == 0) {
        status = field_uint(&request[KEY_OFFSET], true, UINT32_MAX - LINK_MAX_PAYLOAD, &offset);
    }
    if (status != 0 || data->kind != CB_BYTES) {
        return LINK_E_FIELD;
    }
    if (target == TARGET_INPUT) {
        return write_input(a, offset, data);
    }
    if (!t->open || t->target != target || offset != t->received || data->value > t->size - offset) {
        return LINK_E_ORDER;
    }
    if (target == TARGET_SLOT) {
        slot_write(t->slot, offset, data->bytes, data->value);
    } else {
        __builtin_memcpy(parameters(a) + offset, data->bytes, data->value);
    }
    t->received += data->value;
    return 0;
}

static bool digest_is(const uint8_t *data, uint32_t size, const uint8_t *wanted)
{
    uint8_t digest[SHA256_BYTES];
    uint32_t difference = 0;
    sha256(data, size, digest);
    for (uint32_t i = 0; i < SHA256_BYTES; i++) {
        difference |= (uint32_t)(digest[i] ^ wanted[i]);
    }
    return difference == 0;
}

/* Not inlined: its tl_model must be off the stack when agent_open needs another. */
__attribute__((noinline)) static int32_t check_candidate(agent *a, const uint8_t *file, uint32_t size)
{
    tl_model candidate;
    int32_t status = tl_model_open(&candidate, file, size);
    return status == TL_OK ? learner_fits(a, &candidate, 0, TL_INFER_ONLY) : status;
}

static int32_t commit_slot(agent *a)
{
    const transfer *t = &a->incoming;
    const uint8_t *file = slot_data(t->slot);
    if (!digest_is(file, t->size, t->digest)) {
        return LINK_E_DIGEST;
    }
    int32_t status = check_candidate(a, file, t->size);
    if (status == 0) {
        slot_commit(t->slot, t->size, t->digest);
        status = agent_open(a, t->slot);
    }
    return status;
}

static bool all_finite(const uint8_t *data, uint32_t size)
{
    for (uint32_t at = 0; at < size; at += 4) {
        uint32_t bits;
        __builtin_memcpy(&bits, data + at, sizeof bits);
        if ((bits & FLOAT_EXPONENT) == FLOAT_EXPONENT) {
            return false;
        }
    }
    return true;
}

/* Bad weights are already in place: those of the file come back, so none of them is ever used. */
static int32_t commit_parameters(agent *a)
{
    int32_t status = 0;
    if (!digest_is(parameters(a), a->incoming.size, a->incoming.digest)) {
        status = LINK_E_DIGEST;
    } else if (!all_finite(parameters(a), a->incoming.size)) {
        status = TL_E_NONFINITE;
    }
    if (status != 0) {
        (void)learner_layout(a, a->train_layers, a->flags);
        return status;
    }
    a->whole = true;
    return 0;
}

int32_t op_commit(agent *a, const cb_item *request, cb_writer *reply)
{
    transfer *t = &a->incoming;
    (void)request;
    (void)reply;
    if (!t->open || t->received != t->size) {
        return LINK_E_ORDER;
    }
    t->open = false;
    return t->target == TARGET_SLOT ? commit_slot(a) : commit_parameters(a);
}

int32_t op_read(agent *a, const cb_item *request, cb_writer *reply)
{
    uint32_t target = 0, offset = 0, length = 0;
    if (a->slot == SLOT_NONE) {
        return LINK_E_EMPTY;
    }
    int32_t status = field_uint(&request[KEY_TARGET], true, TARGET_OUTPUT, &target);
    if (status == 0) {
        status = field_uint(&request[KEY_OFFSET], true, UINT32_MAX, &offset);
    }
    if (status == 0) {
        status = field_uint(&request[KEY_LENGTH], true, LINK_MAX_CHUNK, &length);
    }
    if (status != 0 || (target != TARGET_PARAMETERS && target != TARGET_OUTPUT)) {
        return LINK_E_FIELD;
    }
    if (!a->whole) {
        return LINK_E_INVALID;
    }
    const uint8_t *from = target == TARGET_OUTPUT ? (const uint8_t *)a->y : parameters(a);
    uint32_t size = target == TARGET_OUTPUT ? 4u * a->model.n_out : parameter_bytes(a);
    if (offset > size || length > size - offset) {
        return refuse(a, LINK_E_SIZE, size, offset);
    }
    cb_put_bytes(reply, KEY_DATA, from + offset, length);
    return 0;
}
