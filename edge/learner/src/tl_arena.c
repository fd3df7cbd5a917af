/*
 * The arena, part after part:
 *   trained parameters; with TL_MOMENTUM their velocity
 *   with TL_STANDARDISE: mean [2][features], m2 [2][features]
 *   features: a copy of the tail's input, where it is standardised or made by layers before it
 *   rescale tables of the int8 layers
 *   scratch, to predict: input and output of a layer, at either end of it;
 *            to learn: the outputs of all layers of the tail one after another, then two deltas
 *            as wide as the widest of them. The layers before the tail, and a prediction, run in
 *            the same place.
 */
#include "tl_internal.h"

uint32_t tl_rescale_bytes(const tl_model *m)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const tl_layer *layer = &m->layers[i];
        bytes += tl_int8_layer(layer) && tl_has_weights(layer) ? 8u * layer->out.c : 0u;
    }
    return bytes;
}

uint32_t tl_peak_bytes(const tl_model *m, uint32_t from, uint32_t to)
{
    uint32_t peak = 0;
    for (uint32_t i = from; i < to; i++) {
        const tl_layer *layer = &m->layers[i];
        bool from_caller = i == 0 && layer->type == TL_FLOAT32;
        uint32_t bytes = tl_out_bytes(layer) + (from_caller ? 0 : tl_in_bytes(layer));
        peak = bytes > peak ? bytes : peak;
    }
    return peak;
}

/* How the arena is laid out. */
typedef struct layout {
    uint32_t first;     /* of the tail */
    uint32_t features, parameters;
    bool copies;        /* the tail's input */
    uint32_t tail;      /* bytes of scratch to learn */
} layout;

/* First layer of the tail: that with the last `train_layers` weights, or the first float32 one
 * after the last int8 one if they are all. */
static uint32_t first_of_tail(const tl_model *m, uint32_t train_layers)
{
    if (TL_DENSE_ONLY) {
        return 0;
    }
    uint32_t first = m->n_layers;
    uint32_t left = train_layers == 0 ? m->n_trainable : train_layers;
    bool all = left == m->n_trainable;
    while (first > 0 && (left > 0 || all)) {
        const tl_layer *layer = &m->layers[first - 1u];
        if (layer->type == TL_INT8 || layer->kind == TL_QUANTIZE) {
            break;
        }
        left -= tl_has_weights(layer) ? 1u : 0u;
        first--;
    }
    return m->n_trainable == 0 ? m->n_layers : first;
}

static layout lay_out(const tl_model *m, uint32_t train_layers, uint16_t flags)
{
    layout l = {0, 0, 0, false, 0};
    uint32_t widest = 0;
    l.first = first_of_tail(m, train_layers);
    l.features = l.first < m->n_layers ? tl_elements(m->layers[l.first].in) : m->n_in;
    l.copies = (flags & TL_STANDARDISE) != 0 || ((flags & TL_INFER_ONLY) == 0 && l.first > 0);
    for (uint32_t i = l.first; i < m->n_layers; i++) {
        const tl_layer *layer = &m->layers[i];
        uint32_t bytes = tl_out_bytes(layer);
        l.parameters += tl_has_weights(layer) ? tl_weight_count(layer) + layer->out.c : 0u;
        l.tail += bytes;
        widest = bytes > widest ? bytes : widest;
    }
    /* to predict in the same arena; with dense layers alone that takes no more */
    uint32_t peak = TL_DENSE_ONLY ? 0u : tl_peak_bytes(m, 0, m->n_layers);
    l.tail += 2u * widest;
    l.tail = peak > l.tail ? peak : l.tail;
    return l;
}

static uint32_t bytes_before_scratch(const tl_model *m, const layout *l, uint16_t flags)
{
    uint32_t floats = (flags & TL_STANDARDISE) != 0 ? 4u * l->features : 0u;
    floats += l->copies ? l->features : 0u;
    return 4u * floats + tl_rescale_bytes(m);
}

/* All layers trained, no flag: what is asked of a build with dense layers only. It predicts in the
 * arena that it learns in, and does not count what a prediction takes. */
static tl_status dense_sizes(const tl_model *m, uint16_t train_layers, uint16_t flags,
                             tl_sizes *sizes)
{
    layout learn = lay_out(m, 0, 0);
    sizes->parameters = learn.parameters;
    sizes->features = m->n_in;
    sizes->target = m->n_out;
    sizes->macs = learn.parameters;
    sizes->arena_infer = sizes->arena_train = 4u * learn.parameters + learn.tail;
    return train_layers == 0 && flags == 0 ? TL_OK : TL_E_ARGUMENT;
}

tl_status tl_model_sizes(const tl_model *m, uint16_t train_layers, uint16_t flags, tl_sizes *sizes)
{
    if (m == 0 || sizes == 0 || m->n_layers == 0 || m->layers == 0 ||
        train_layers > m->n_trainable) {
        return TL_E_ARGUMENT;
    }
    if (TL_DENSE_ONLY) {
        return dense_sizes(m, train_layers, flags, sizes);
    }
    layout infer = lay_out(m, train_layers, flags | TL_INFER_ONLY);
    layout learn = lay_out(m, train_layers, flags & (uint16_t)~TL_INFER_ONLY);
    uint32_t copies = (flags & TL_MOMENTUM) != 0 ? 2u : 1u;
    bool reconstructs = (flags & TL_RECONSTRUCT) != 0;
    sizes->parameters = learn.parameters;
    sizes->features = learn.features;
    sizes->target = reconstructs ? 0u : m->loss == TL_CROSS_ENTROPY ? 1u : m->n_out;
    sizes->arena_infer = bytes_before_scratch(m, &infer, flags) + tl_peak_bytes(m, 0, m->n_layers);
    sizes->arena_train = m->n_trainable == 0 ? 0u
                                             : 4u * copies * learn.parameters + learn.tail +
                                                   bytes_before_scratch(m, &learn, flags);
    sizes->macs = 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        uint32_t macs = tl_macs(&m->layers[i]);
        sizes->macs += macs < UINT32_MAX - sizes->macs ? macs : UINT32_MAX - sizes->macs;
    }
    return TL_OK;
}

static void zero(float *to, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        to[i] = 0.0f;
    }
}

/* The file's parameters into the arena. */
static void copy_parameters(tl_learner *l)
{
    const tl_model *m = l->model;
    uint32_t at = 0;
    for (uint32_t i = l->first; i < m->n_layers; i++) {
        const tl_layer *layer = &m->layers[i];
        if (tl_has_weights(layer)) {
            uint32_t count = tl_weight_count(layer);
            zero(l->parameters + at, count + layer->out.c);
            (void)tl_learner_write(l, at, count, (const float *)(const void *)layer->weights);
            if (layer->bias != 0) {
                (void)tl_learner_write(l, at + count, layer->out.c,
                                       (const float *)(const void *)layer->bias);
            }
            at += count + layer->out.c;
        }
    }
}

static void prepare_int8(tl_learner *l)
{
    int32_t *rescale = l->rescale;
    for (uint32_t i = 0; i < l->model->n_layers; i++) {
        const tl_layer *layer = &l->model->layers[i];
        if (layer->type == TL_INT8 && tl_has_weights(layer)) {
            tl_int8_prepare(layer, rescale);
            rescale += 2u * layer->out.c;
        }
    }
}

static tl_status check_init(const tl_model *m, uint16_t flags, const layout *l)
{
    bool reconstructs = (flags & TL_RECONSTRUCT) != 0;
    bool left_out = TL_DENSE_ONLY && (flags != 0 || l->first != 0);
    if (left_out || ((flags & TL_FMA) != 0 && !tl_has_fma())) {
        return TL_E_ARGUMENT;
    }
    if ((flags & (TL_INFER_ONLY | TL_STANDARDISE)) != TL_INFER_ONLY && m->n_trainable == 0) {
        return TL_E_FROZEN;
    }
    return reconstructs && (m->loss != TL_MSE || l->features != m->n_out) ? TL_E_ARGUMENT : TL_OK;
}

tl_status tl_learner_init(tl_learner *l, const tl_model *m, uint16_t train_layers, uint16_t flags,
                          void *arena, uint32_t arena_size)
{
    tl_sizes sizes;
    tl_status status = tl_model_sizes(m, train_layers, flags, &sizes);
    if (l == 0 || arena == 0 || status != TL_OK) {
        return TL_E_ARGUMENT;
    }
    if (TL_DENSE_ONLY) {
        flags = train_layers = 0; /* checked by then */
    }
    layout parts = lay_out(m, train_layers, flags);
    bool trains = TL_DENSE_ONLY || (flags & TL_INFER_ONLY) == 0;
    status = check_init(m, flags, &parts);
    if (status != TL_OK) {
        return status;
    }
    uint32_t needed = trains ? sizes.arena_train : sizes.arena_infer;
    if (arena_size < needed || ((uintptr_t)arena & 3u) != 0) {
        return TL_E_ARENA;
    }
    float *at = (float *)arena;
    l->model = m;
    l->flags = flags;
    l->first = (uint16_t)parts.first;
    l->n_parameters = trains ? parts.parameters : 0;
    l->momentum = l->decay = l->clip = 0.0f;
    l->parameters = at;
    at += l->n_parameters;
    l->velocity = at;
    at += (flags & TL_MOMENTUM) != 0 ? l->n_parameters : 0;
    zero(l->velocity, (uint32_t)(at - l->velocity));
    uint32_t features = (flags & TL_STANDARDISE) != 0 ? parts.features : 0;
    l->standardiser.count = 0;
    l->standardiser.n = features;
    l->standardiser.mean = at;
    l->standardiser.m2 = at + 2u * features;
    zero(at, 4u * features);
    at += 4u * features;
    l->features = at;
    at += parts.copies ? parts.features : 0;
    l->rescale = (int32_t *)(void *)at;
    at += tl_rescale_bytes(m) / 4u;
    l->scratch = (uint8_t *)at;
    l->scratch_bytes = needed - (uint32_t)(l->scratch - (uint8_t *)arena);
    if (trains) {
        copy_parameters(l);
    }
    if (!TL_DENSE_ONLY) {
        prepare_int8(l);
    }
    return TL_OK;
}
