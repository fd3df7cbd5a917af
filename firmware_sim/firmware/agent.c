/* The board's agent: take a request off the link, carry it out, answer, sleep. */
#include "agent.h"
#include "boards/startup.h"
#include "frames.h"
#include "port.h"
#include "state.h"

#ifndef CORE_NAME
#define CORE_NAME "unknown"
#endif

#define OUTCOME_BYTES 18u /* status, needed and available at the end of a reply */

static agent board;
static fr_decoder link;
static uint8_t inbox[LINK_MAX_PAYLOAD + FR_CRC_BYTES];
static uint8_t outbox[LINK_MAX_PAYLOAD];
static uint32_t outbox_bytes; /* of the last reply, kept to send again; 0: none yet */
static uint32_t last_op, last_seq;

int32_t op_save(agent *a, const cb_item *request, cb_writer *reply)
{
    int32_t status = learner_ready(a);
    (void)request;
    (void)reply;
    return status == 0 ? state_save(a) : status;
}

/* What was saved goes too, or the next power cut would bring it back. */
static int32_t reset_learner(agent *a, const cb_item *request, cb_writer *reply)
{
    int32_t status = op_reset_learner(a, request, reply);
    if (status == 0) {
        state_forget(a);
    }
    return status;
}

int32_t op_rollback(agent *a, const cb_item *request, cb_writer *reply)
{
    int32_t old = a->slot;
    (void)request;
    (void)reply;
    if (old == SLOT_NONE) {
        return LINK_E_EMPTY;
    }
    int32_t status = agent_open(a, 1 - old);
    if (status == 0) {
        slot_revoke(old);
    }
    return status;
}

__attribute__((noinline)) static void put_model(const agent *a, cb_writer *reply)
{
    tl_sizes sizes;
    bool frozen = tl_model_sizes(&a->model, a->train_layers, a->flags, &sizes) != TL_OK;
    bool can_train = !frozen && (a->flags & TL_INFER_ONLY) == 0;
    cb_put_bytes(reply, KEY_ACTIVE, a->file.digest, SHA256_BYTES);
    cb_put_uint(reply, KEY_N_IN, a->model.n_in);
    cb_put_uint(reply, KEY_N_OUT, a->model.n_out);
    cb_put_uint(reply, KEY_PARAMETERS, can_train ? a->learner.n_parameters : 0);
    cb_put_uint(reply, KEY_ARENA_TRAIN, frozen ? 0 : sizes.arena_train);
    cb_put_uint(reply, KEY_ARENA_INFER, a->sizes.arena_infer);
    cb_put_uint(reply, KEY_CAN_TRAIN, can_train);
    cb_put_uint(reply, KEY_SAVED, state_saved(a));
}

static int32_t op_hello(agent *a, const cb_item *request, cb_writer *reply)
{
    const board_info *info = port_info();
    uint32_t name = 0;
    (void)request;
    while (name < BOARD_NAME_BYTES && info->name[name] != 0) {
        name++;
    }
    cb_put_uint(reply, KEY_PROTOCOL, LINK_PROTOCOL);
    cb_put_text(reply, KEY_CORE, CORE_NAME, sizeof CORE_NAME - 1u);
    cb_put_text(reply, KEY_BOARD, info->name, name);
    cb_put_uint(reply, KEY_ARENA, a->arena_bytes);
    cb_put_uint(reply, KEY_SLOT, slot_capacity());
    cb_put_uint(reply, KEY_FIRMWARE, LINK_FIRMWARE);
    cb_put_uint(reply, KEY_DROPPED, link.dropped);
    cb_put_uint(reply, KEY_PEAK_STACK, port_peak_stack());
    cb_put_int(reply, KEY_UPDATE, a->update);
    if (a->slot != SLOT_NONE) {
        put_model(a, reply);
    } else {
        cb_put_null(reply, KEY_ACTIVE);
    }
    return 0;
}

static int32_t carry_out(agent *a, uint32_t op, const cb_item *request, cb_writer *reply)
{
    switch (op) {
    case OP_HELLO:
        return op_hello(a, request, reply);
    case OP_BEGIN:
        return op_begin(a, request, reply);
    case OP_WRITE:
        return op_write(a, request, reply);
    case OP_COMMIT:
        return op_commit(a, request, reply);
    case OP_READ:
        return op_read(a, request, reply);
    case OP_PREDICT:
        return op_predict(a, request, reply);
    case OP_TRAIN:
        return op_train(a, request, reply);
    case OP_EVALUATE:
        return op_evaluate(a, request, reply);
    case OP_ROLLBACK:
        return op_rollback(a, request, reply);
    case OP_RESET_LEARNER:
        return reset_learner(a, request, reply);
    case OP_SAVE:
        return op_save(a, request, reply);
    case OP_ADD_CLASS:
        return op_add_class(a, request, reply);
    case OP_WATCH:
        return op_watch(a, request, reply);
    default:
        return LINK_E_OP;
    }
}

static void answer(agent *a, uint32_t op, uint32_t seq, const cb_item *request)
{
    cb_writer reply;
    cb_begin(&reply, outbox, sizeof outbox - OUTCOME_BYTES);
    cb_put_uint(&reply, KEY_OP, op);
    cb_put_uint(&reply, KEY_SEQ, seq);
    cb_writer empty = reply;
    uint8_t pairs = outbox[0];
    a->needed = a->available = 0;
    int32_t status = request == 0 ? LINK_E_OP : carry_out(a, op, request, &reply);
    if (status != 0 || reply.overflow) {
        reply = empty;
        outbox[0] = pairs;
    }
    reply.capacity = sizeof outbox;
    cb_put_int(&reply, KEY_STATUS, status);
    if (a->needed != 0 && status != 0) {
        cb_put_uint(&reply, KEY_NEEDED, a->needed);
        cb_put_uint(&reply, KEY_AVAILABLE, a->available);
    }
    outbox_bytes = reply.length;
}

static void handle(agent *a, uint32_t size)
{
    cb_item request[LINK_REQUEST_KEYS];
    bool good = cb_parse(inbox, size, request, LINK_REQUEST_KEYS) &&
                request[KEY_OP].kind == CB_UINT && request[KEY_SEQ].kind == CB_UINT;
    uint32_t op = good ? request[KEY_OP].value : 0;
    uint32_t seq = good ? request[KEY_SEQ].value : 0;
    bool repeated = outbox_bytes != 0 && op == last_op && seq == last_seq && op != OP_HELLO;
    if (!repeated) {
        answer(a, op, seq, good ? request : 0);
        last_op = op;
        last_seq = seq;
    }
    fr_send(outbox, outbox_bytes, port_put_link);
}

/* Not inlined: its prologue may use the FPU, which Reset_Handler has to turn on first. */
__attribute__((noinline)) int main(void)
{
    port_init();
    board.arena = port_arena(&board.arena_bytes);
    agent_boot(&board);
    fr_init(&link, inbox, sizeof inbox);
    for (;;) {
        uint8_t byte;
        while (!port_get(PORT_LINK, &byte)) {
            port_idle(PORT_LINK);
        }
        int32_t size = fr_push(&link, byte);
        if (size != FR_MORE) {
            handle(&board, (uint32_t)size);
        }
    }
}
