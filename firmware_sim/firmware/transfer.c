#include "state.h"

static uint32_t parameter_bytes(const agent *a)
{
    return 4u * a->learner.n_parameters;
}

/* Bytes of weights come and go in whole floats. */
static int32_t write_parameters(agent *a, uint32_t offset, const uint8_t *data, uint32_t size)
{
    if (((offset | size) & 3u) != 0) {
        return LINK_E_FIELD;
    }
    for (uint32_t at = 0; at < size; at += 4) {
        float value;
        __builtin_memcpy(&value, data + at, sizeof value);
        (void)tl_learner_write(&a->learner, (offset + at) / 4u, 1, &value);
    }
    return 0;
}

static int32_t begin_slot(agent *a, const cb_item *request, uint32_t size)
{
    uint32_t test = 0, most = slot_capacity();
    int32_t status = field_uint(&request[KEY_LENGTH], false, most, &test);
    if (status != 0 || (test & 3u) != 0) {
        return LINK_E_FIELD;
    }
    uint32_t total = slot_extent(size, test);
    if (size != 0 && total == 0) {
        return refuse(a, LINK_E_SPACE, size > most ? size : size + test, most);
    }
    a->incoming.test = test;
    a->incoming.total = test == 0 ? size : total;
    a->incoming.slot = a->slot == 0 ? 1 : 0;
    slot_erase(a->incoming.slot);
    return 0;
}

static int32_t begin_parameters(agent *a, const cb_item *request, uint32_t size)
{
    uint16_t train_layers, flags;
    tl_sizes sizes;
    int32_t status = learner_wanted(a, request, &train_layers, &flags);
    if (status == 0) {
        status = learner_fits(a, train_layers, flags);
    }
    if (status == 0) {
        status = tl_model_sizes(&a->model, train_layers, flags, &sizes);
    }
    if (status == 0 && size != 4u * sizes.parameters) {
        return refuse(a, LINK_E_SIZE, 4u * sizes.parameters, size);
    }
    if (status == 0) {
        bool changed = a->changed;
        a->changed = false; /* they are replaced whole: another layout loses nothing */
        status = learner_want(a, request);
        a->changed = a->changed || changed;
    }
    if (status != 0) {
        return status;
    }
    a->incoming.total = size;
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
        status = target == TARGET_SLOT ? begin_slot(a, request, size) : begin_parameters(a, request, size);
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
    if (!t->open || t->target != target || offset != t->received || data->value > t->total - offset) {
        return LINK_E_ORDER;
    }
    if (target == TARGET_SLOT) {
        if ((offset & 3u) != 0) {
            return LINK_E_FIELD;
        }
        slot_write(t->slot, offset, data->bytes, data->value);
    } else {
        status = write_parameters(a, offset, data->bytes, data->value);
        if (status != 0) {
            return status;
        }
    }
    t->received += data->value;
    return 0;
}

static bool same_digest(const uint8_t *digest, const uint8_t *wanted)
{
    uint32_t difference = 0;
    for (uint32_t i = 0; i < SHA256_BYTES; i++) {
        difference |= (uint32_t)(digest[i] ^ wanted[i]);
    }
    return difference == 0;
}

/* What was learnt has to lie in flash before another model takes the arena. */
static int32_t secure(agent *a, bool keep)
{
    if (a->slot == SLOT_NONE || !a->changed || !a->whole) {
        return 0;
    }
    int32_t status = state_save(a);
    return keep && status == LINK_E_SPACE ? status : 0;
}

static int32_t commit_slot(agent *a, const cb_item *request)
{
    const transfer *t = &a->incoming;
    slot_file file = {slot_data(t->slot), t->size, t->test, {0}};
    uint32_t flags = 0;
    float tolerance = 0.0f;
    int32_t status = field_uint(&request[KEY_FLAGS], false, COMMIT_REPLACE, &flags);
    if (request[KEY_RATE].kind == CB_FLOAT) {
        __builtin_memcpy(&tolerance, &request[KEY_RATE].value, sizeof tolerance);
    }
    bool keep = (flags & COMMIT_REPLACE) == 0;
    sha256(file.data, file.size, file.digest);
    if (status == 0 && !same_digest(file.digest, t->digest)) {
        status = LINK_E_DIGEST;
    }
    if (status == 0) {
        status = agent_check(a, file.data, file.size);
    }
    if (status == 0) {
        status = secure(a, keep);
    }
    if (status == 0) {
        status = agent_adopt(a, t->slot, &file, keep, tolerance);
    }
    a->update = status;
    return status;
}

/* The weights in the order of the file: their digest, and whether they are all numbers. */
static int32_t check_parameters(const agent *a)
{
    uint32_t count = a->learner.n_parameters;
    float block[SHA256_BLOCK / 4u];
    const uint8_t *bytes = (const uint8_t *)(const void *)block;
    uint8_t digest[SHA256_BYTES];
    sha256_state state;
    int32_t status = 0;
    sha256_begin(&state);
    for (uint32_t at = 0; at < count; at += SHA256_BLOCK / 4u) {
        uint32_t n = count - at < SHA256_BLOCK / 4u ? count - at : SHA256_BLOCK / 4u;
        (void)tl_learner_read(&a->learner, at, n, block);
        for (uint32_t i = 0; i < n; i++) {
            status = is_number(block[i]) ? status : TL_E_NONFINITE;
        }
        if (n == SHA256_BLOCK / 4u) {
            sha256_block(&state, bytes);
        }
    }
    sha256_end(&state, bytes, 4u * count, digest);
    return same_digest(digest, a->incoming.digest) ? status : LINK_E_DIGEST;
}

/* Bad weights are already in place: those of the file come back, so none of them is ever used. */
static int32_t commit_parameters(agent *a)
{
    int32_t status = check_parameters(a);
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
    (void)reply;
    if (!t->open || t->received != t->total) {
        return LINK_E_ORDER;
    }
    t->open = false;
    return t->target == TARGET_SLOT ? commit_slot(a, request) : commit_parameters(a);
}

static int32_t put_parameters(const agent *a, uint32_t offset, uint32_t length, cb_writer *reply)
{
    float values[LINK_MAX_CHUNK / 4u];
    if (((offset | length) & 3u) != 0) {
        return LINK_E_FIELD;
    }
    (void)tl_learner_read(&a->learner, offset / 4u, length / 4u, values);
    cb_put_bytes(reply, KEY_DATA, (const uint8_t *)(const void *)values, length);
    return 0;
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
    uint32_t size = target == TARGET_OUTPUT ? 4u * a->model.n_out : parameter_bytes(a);
    if (offset > size || length > size - offset) {
        return refuse(a, LINK_E_SIZE, size, offset);
    }
    if (target == TARGET_PARAMETERS) {
        return put_parameters(a, offset, length, reply);
    }
    cb_put_bytes(reply, KEY_DATA, (const uint8_t *)a->y + offset, length);
    return 0;
}
