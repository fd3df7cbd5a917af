#include "tl_internal.h"

/* The arena, in 4-byte words: trained parameters; with TL_STANDARDISE the mean, the squares and
 * the standardised input, n_in words each; then
 *   to learn:    the output of every layer, the last layer's logits, two deltas of the widest layer;
 *   to predict:  two layers' outputs of the widest (int8: the same in bytes). */

uint32_t tl_widest(const tl_model *m, bool with_input)
{
    uint32_t most = with_input ? m->n_in : 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        most = m->layers[i].n_out > most ? m->layers[i].n_out : most;
    }
    return most;
}

static uint32_t parameters_from(const tl_model *m, uint32_t first)
{
    uint32_t count = 0;
    for (uint32_t i = first; i < m->n_layers; i++) {
        count += (m->layers[i].n_in + 1u) * m->layers[i].n_out;
    }
    return count;
}

static uint32_t words_to_standardise(const tl_model *m, uint16_t flags)
{
    return (flags & TL_STANDARDISE) != 0 ? 3u * m->n_in : 0;
}

static uint32_t words_to_predict(const tl_model *m)
{
    return m->type == TL_INT8 ? 2u * ((tl_widest(m, true) + 3u) / 4u) : 2u * tl_widest(m, false);
}

static uint32_t words_to_learn(const tl_model *m)
{
    uint32_t words = m->n_out + 2u * tl_widest(m, false);
    for (uint32_t i = 0; i < m->n_layers; i++) {
        words += m->layers[i].n_out;
    }
    return words;
}

tl_status tl_model_sizes(const tl_model *m, uint16_t train_layers, uint16_t flags, tl_sizes *sizes)
{
    if (m == 0 || sizes == 0 || m->n_layers == 0 || train_layers > m->n_layers) {
        return TL_E_ARGUMENT;
    }
    bool trains = m->type == TL_FLOAT32;
    uint32_t first = train_layers == 0 ? 0 : (uint32_t)(m->n_layers - train_layers);
    uint32_t fixed = words_to_standardise(m, flags);
    sizes->parameters = trains ? parameters_from(m, first) : 0;
    sizes->target = m->loss == TL_CROSS_ENTROPY ? 1u : m->n_out;
    sizes->arena_infer = 4u * (fixed + words_to_predict(m));
    sizes->arena_train = trains ? 4u * (sizes->parameters + fixed + words_to_learn(m)) : 0;
    sizes->macs = 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        sizes->macs += (uint32_t)m->layers[i].n_in * m->layers[i].n_out;
    }
    return TL_OK;
}

tl_weights tl_weights_in_file(const tl_layer *layer)
{
    tl_weights p = {(const float *)(const void *)layer->weights,
                    (const float *)(const void *)layer->bias};
    return p;
}

void tl_copy(float *to, const float *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        to[i] = from != 0 ? from[i] : 0.0f;
    }
}

static void copy_parameters(tl_learner *l)
{
    float *to = l->parameters;
    for (uint32_t i = l->first_trainable; i < l->model->n_layers; i++) {
        const tl_layer *layer = &l->model->layers[i];
        uint32_t count = (uint32_t)layer->n_in * layer->n_out;
        tl_weights p = tl_weights_in_file(layer);
        tl_copy(to, p.w, count);
        tl_copy(to + count, p.b, layer->n_out);
        to += count + layer->n_out;
    }
}

tl_status tl_learner_init(tl_learner *l, const tl_model *m, uint16_t train_layers, uint16_t flags,
                          void *arena, uint32_t arena_size)
{
    tl_sizes sizes;
    tl_status status = tl_model_sizes(m, train_layers, flags, &sizes);
    if (l == 0 || arena == 0 || status != TL_OK) {
        return TL_E_ARGUMENT;
    }
    bool trains = (flags & TL_INFER_ONLY) == 0;
    if (trains && m->type != TL_FLOAT32) {
        return TL_E_FROZEN;
    }
    uint32_t needed = trains ? sizes.arena_train : sizes.arena_infer;
    if (arena_size < needed || ((uintptr_t)arena & 3u) != 0) {
        return TL_E_ARENA;
    }
    float *at = (float *)arena;
    l->model = m;
    l->flags = flags;
    l->first_trainable = (uint16_t)(!trains           ? m->n_layers
                                    : train_layers == 0 ? 0
                                                        : m->n_layers - train_layers);
    l->n_parameters = trains ? sizes.parameters : 0;
    l->parameters = at;
    at += l->n_parameters;
    copy_parameters(l);
    uint16_t features = (flags & TL_STANDARDISE) != 0 ? m->n_in : 0;
    l->standardiser.count = 0;
    l->standardiser.n = features;
    l->standardiser.mean = at;
    l->standardiser.m2 = at + features;
    tl_copy(at, 0, 2u * features);
    l->scratch = at + 2u * features;
    return TL_OK;
}

tl_weights tl_weights_of(const tl_learner *l, uint32_t index, float **trained)
{
    const tl_layer *layer = &l->model->layers[index];
    if (index < l->first_trainable) {
        return tl_weights_in_file(layer);
    }
    float *w = *trained;
    float *b = w + (uint32_t)layer->n_in * layer->n_out;
    *trained = b + layer->n_out;
    tl_weights p = {w, b};
    return p;
}

const float *tl_prepare(tl_learner *l, const float *x, float **scratch)
{
    *scratch = l->scratch;
    if ((l->flags & TL_STANDARDISE) == 0) {
        return x;
    }
    *scratch += l->model->n_in;
    tl_standardiser_apply(&l->standardiser, x, l->scratch);
    return l->scratch;
}
