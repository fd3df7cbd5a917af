/* Trained parameters in the order of the file: the arena holds weights transposed. */
#include "tl_internal.h"

/* Where parameter `index` of the file's order lies, in the arena's. `layer` walks along; `start` is
 * the index of its first parameter. */
typedef struct cursor {
    uint32_t layer, start;
} cursor;

static uint32_t place(const tl_learner *l, cursor *at, uint32_t index)
{
    for (;;) {
        const tl_layer *layer = &l->model->layers[at->layer];
        uint32_t count = tl_has_weights(layer) ? tl_weight_count(layer) : 0u;
        uint32_t all = tl_has_weights(layer) ? count + layer->out.c : 0u;
        if (index >= at->start + all) {
            at->start += all;
            at->layer++;
            continue;
        }
        uint32_t offset = index - at->start;
        if (offset >= count || layer->kind == TL_DEPTHWISE) {
            return index;
        }
        uint32_t inputs = tl_inputs_of_one(layer);
        return at->start + (offset % inputs) * layer->out.c + offset / inputs;
    }
}

static bool are_there(const tl_learner *l, uint32_t first, uint32_t count)
{
    return l != 0 && first <= l->n_parameters && count <= l->n_parameters - first;
}

tl_status tl_learner_read(const tl_learner *l, uint32_t first, uint32_t count, float *to)
{
    if (!are_there(l, first, count) || to == 0) {
        return TL_E_ARGUMENT;
    }
    cursor at = {l->first, 0};
    for (uint32_t i = 0; i < count; i++) {
        to[i] = l->parameters[place(l, &at, first + i)];
    }
    return TL_OK;
}

tl_status tl_learner_write(tl_learner *l, uint32_t first, uint32_t count, const float *from)
{
    if (!are_there(l, first, count) || from == 0) {
        return TL_E_ARGUMENT;
    }
    cursor at = {l->first, 0};
    for (uint32_t i = 0; i < count; i++) {
        l->parameters[place(l, &at, first + i)] = from[i] + 0.0f; /* no -0: see the contract */
    }
    return TL_OK;
}
