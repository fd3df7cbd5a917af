/* From a file in a slot to a running model: boot, first run, rollback. */
#include "state.h"

/* Not inlined: keeps its tl_model out of other frames. */
__attribute__((noinline)) int32_t agent_check(agent *a, const uint8_t *file, uint32_t size)
{
    tl_model candidate;
    int32_t status = tl_model_open(&candidate, file, size, 0, 0);
    return status == TL_OK ? learner_can_run(a, &candidate) : status;
}

int32_t agent_open(agent *a, int32_t slot)
{
    slot_file file;
    if (!slot_verify(slot, &file)) {
        return LINK_E_EMPTY;
    }
    int32_t status = agent_check(a, file.data, file.size);
    if (status == 0) {
        a->slot = slot;
        a->incoming.open = false;
        status = learner_open(a, &file);
    }
    if (status == 0) {
        (void)state_load(a, slot, &file);
    }
    return status;
}

static int32_t self_test(agent *a, float tolerance)
{
    const slot_file *file = &a->file;
    const float *x = (const float *)(const void *)(file->data + slot_extent(file->size, 0));
    const float *wanted = x + a->model.n_in;
    uint32_t bytes = 4u * (a->model.n_in + a->model.n_out);
    if (file->test == 0) {
        return 0;
    }
    if (file->test != bytes) {
        return refuse(a, LINK_E_SIZE, bytes, file->test);
    }
    int32_t status = tl_learner_predict(&a->learner, x, a->y);
    for (uint32_t i = 0; i < a->model.n_out && status == 0; i++) {
        float off = a->y[i] - wanted[i];
        bool good = off <= tolerance && -off <= tolerance; /* NaN is neither */
        status = good ? 0 : LINK_E_SELF_TEST;
    }
    return status;
}

int32_t agent_adopt(agent *a, int32_t slot, const slot_file *file, bool keep, float tolerance)
{
    int32_t old = a->slot;
    slot_file before = a->file;
    slot_try(slot);
    a->slot = slot;
    int32_t status = learner_open(a, file);
    if (status == 0) {
        status = self_test(a, tolerance);
    }
    if (status == 0 && keep && old != SLOT_NONE && state_load(a, old, &before)) {
        status = state_save(a);
    }
    if (status == 0) {
        slot_commit(slot, file);
    } else {
        slot_revoke(slot);
        a->slot = SLOT_NONE;
        (void)agent_open(a, old);
    }
    return status;
}

void agent_boot(agent *a)
{
    int32_t slot = slot_active();
    a->slot = SLOT_NONE;
    if (slot != SLOT_NONE && agent_open(a, slot) != 0) {
        (void)agent_open(a, 1 - slot);
    }
    for (slot = 0; slot < 2; slot++) {
        slot_trial trial = slot_tried(slot);
        if (slot != a->slot && trial != TRIAL_NONE) {
            a->update = trial == TRIAL_FAILED ? LINK_E_SELF_TEST : LINK_E_CRASHED;
        }
    }
}
