/* The state of the board and the operations on it, shared by agent.c, learning.c, transfer.c. */
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cbor.h"
#include "protocol.h"
#include "slots.h"
#include "tinylearn.h"

/* What BEGIN announced. */
typedef struct transfer {
    bool open;
    uint8_t target;             /* TARGET_SLOT or TARGET_PARAMETERS */
    int32_t slot;               /* TARGET_SLOT: the slot written to */
    uint32_t size, test;        /* bytes of the file or the weights, and of the self-test */
    uint32_t total, received;   /* bytes to write, padding included */
    uint8_t digest[SHA256_BYTES];
} transfer;

typedef struct agent {
    tl_model model;
    tl_learner learner;
    tl_sizes sizes;        /* of the model as laid out now */
    uint8_t *arena;        /* table of layers; x, target and y of one sample; the learner's */
    uint32_t arena_bytes;
    float *x, *target, *y; /* [n_in], [sizes.target], [n_out], contiguous */
    slot_file file;        /* the running artefact */
    int32_t slot;          /* where it lies; SLOT_NONE: nothing runs */
    uint16_t train_layers; /* layout: trained layers, 0 for all */
    uint16_t flags;        /* layout: as for tl_learner_init */
    bool whole;            /* the weights are not half written */
    bool changed;          /* the weights are not those of the file */
    tl_monitor monitor;    /* of WATCH; warm_up 0: not started */
    uint32_t steps_left;   /* of WATCH: while above 0, it learns */
    transfer incoming;
    int32_t update;        /* how the last update ended; 0: well, or there was none */
    uint32_t needed, available; /* of a refusal, bytes */
} agent;

#define LARGEST_COUNT 0xffffffu /* samples or epochs */

/* Losses in the order they came; every sum is one float32 addition. */
typedef struct tally {
    uint32_t count;
    float first, sum, last;
} tally;

void tally_add(tally *t, float loss);

/* Neither NaN nor infinite. */
static inline bool is_number(float value)
{
    return value - value == 0.0f;
}

/* All operations: fields of the request in, a status out, more keys into the reply. */
int32_t op_begin(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_write(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_commit(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_read(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_predict(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_train(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_evaluate(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_rollback(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_reset_learner(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_save(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_add_class(agent *a, const cb_item *request, cb_writer *reply);
int32_t op_watch(agent *a, const cb_item *request, cb_writer *reply);

/* Read a field into *value; LINK_E_FIELD if it is there with the wrong type or above `most`.
 * Absent: LINK_E_FIELD if `required`, else *value stays. */
int32_t field_uint(const cb_item *item, bool required, uint32_t most, uint32_t *value);

/* Remember both figures of a refusal, and give its status back. */
int32_t refuse(agent *a, int32_t status, uint32_t needed, uint32_t available);

/* Check that a model, opened for a check only, can at least predict on this board. */
int32_t learner_can_run(agent *a, const tl_model *model);

/* Check that the running model can be laid out so. */
int32_t learner_fits(agent *a, uint16_t train_layers, uint16_t flags);

/* Open a file that learner_can_run, over what ran before. */
int32_t learner_open(agent *a, const slot_file *file);

/* Lay the running model out; on success the weights are those of the file. */
int32_t learner_layout(agent *a, uint16_t train_layers, uint16_t flags);

/* Lay it out to train all layers if that fits, else to predict only. */
int32_t learner_start(agent *a);

/* The layout that a request asks for. */
int32_t learner_wanted(const agent *a, const cb_item *request, uint16_t *train_layers,
                       uint16_t *flags);

/* Lay it out so, if it differs from the one there. */
int32_t learner_want(agent *a, const cb_item *request);

/* Are the weights there and whole? */
int32_t learner_ready(const agent *a);

/* Ask the sensor for a sample: into x and target. */
int32_t take_sample(agent *a);

/* Whether its target is known: NaN says that nobody knows it. */
bool labelled(const agent *a);

/* Check that a file could run on this board. */
int32_t agent_check(agent *a, const uint8_t *file, uint32_t size);

/* Run the artefact in a slot, with what it has learnt. On failure what runs goes on. */
int32_t agent_open(agent *a, int32_t slot);

/* Run the file in a slot for the first time and have it pass its self-test; only then write the
 * slot's record. With `keep` a model of the same architecture takes over what the one before has
 * learnt. On failure the one before runs on, with what it had saved. */
int32_t agent_adopt(agent *a, int32_t slot, const slot_file *file, bool keep, float tolerance);

/* Run the active slot, or the other one if it does not work. */
void agent_boot(agent *a);

#endif
