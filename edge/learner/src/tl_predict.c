#include "tl_internal.h"

tl_weights tl_weights_of(const tl_learner *l, uint32_t index, const float **trained)
{
    const tl_layer *layer = &l->model->layers[index];
    bool in_file = index < l->first || l->n_parameters == 0;
    tl_weights p = {(const float *)(const void *)layer->weights,
                    (const float *)(const void *)layer->bias, in_file};
    if (!in_file && tl_has_weights(layer)) {
        p.w = *trained;
        p.b = p.w + tl_weight_count(layer);
        *trained = p.b + layer->out.c;
    }
    return p;
}

/* Run one layer of any type. */
static void run_layer(const tl_learner *l, uint32_t index, const int32_t **rescale,
                      const float **trained, const void *x, void *y)
{
    const tl_layer *layer = &l->model->layers[index];
#if !TL_DENSE_ONLY
    if (layer->kind == TL_QUANTIZE && layer->type == TL_FLOAT32) {
        tl_quantise_many(layer, (const float *)x, (int8_t *)y);
        return;
    }
    if (layer->kind == TL_DEQUANTIZE) {
        tl_dequantise_many(layer, (const int8_t *)x, (float *)y);
        return;
    }
    if (layer->type == TL_INT8) {
        tl_int8_forward(layer, *rescale, (const int8_t *)x, (int8_t *)y);
        *rescale += tl_has_weights(layer) ? 2u * layer->out.c : 0u;
        return;
    }
#endif
    (void)rescale;
    tl_forward((l->flags & TL_FMA) != 0, layer, tl_weights_of(l, index, trained),
               (const float *)x, (float *)y);
    tl_activate(layer->activation, (float *)y, tl_elements(layer->out));
}

const void *tl_run(const tl_learner *l, uint32_t from, uint32_t to, const void *x, void *out)
{
    const tl_model *m = l->model;
    const float *trained = l->parameters;
    const int32_t *rescale = l->rescale;
    bool at_end = (const uint8_t *)x != l->scratch; /* the first output goes where x is not */
    for (uint32_t i = 0; i < from; i++) {
        const tl_layer *layer = &m->layers[i];
        bool int8 = layer->type == TL_INT8 && tl_has_weights(layer);
        rescale += int8 ? 2u * layer->out.c : 0u;
    }
    for (uint32_t i = from; i < to; i++) {
        uint32_t bytes = tl_out_bytes(&m->layers[i]);
        at_end = !at_end;
        void *y = l->scratch + (at_end ? l->scratch_bytes - bytes : 0u);
        y = i + 1u == to && out != 0 ? out : y;
        run_layer(l, i, &rescale, &trained, x, y);
        x = y;
    }
    return x;
}

/* The input as layer 0 takes it. */
static const void *take_input(tl_learner *l, const float *x)
{
    const tl_model *m = l->model;
    const tl_layer *first = &m->layers[0];
    int8_t *to = (int8_t *)l->scratch;
    if (m->in_type == TL_FLOAT32) {
        return x;
    }
    for (uint32_t i = 0; i < m->n_in; i++) {
        to[i] = tl_quantise(x[i], first->in_scale, first->in_zero);
    }
    return to;
}

static const void *run_all(tl_learner *l, const void *x, void *out)
{
    const tl_model *m = l->model;
    if (!tl_has(l, TL_STANDARDISE)) {
        return tl_run(l, 0, m->n_layers, x, out);
    }
    const void *features = tl_run(l, 0, l->first, x, l->first == 0 ? 0 : l->features);
    tl_standardiser_apply(&l->standardiser, (const float *)features, l->features);
    return tl_run(l, l->first, m->n_layers, l->features, out);
}

tl_status tl_learner_predict(tl_learner *l, const float *x, float *y)
{
    if (l == 0 || x == 0 || y == 0) {
        return TL_E_ARGUMENT;
    }
    const tl_model *m = l->model;
    if (!tl_all_finite(x, m->n_in)) {
        return TL_E_NONFINITE;
    }
    const void *in = take_input(l, x);
    if (m->out_type == TL_FLOAT32) {
        (void)run_all(l, in, y);
        return TL_OK;
    }
    const tl_layer *last = &m->layers[m->n_layers - 1];
    const int8_t *out = (const int8_t *)run_all(l, in, 0);
    for (uint32_t i = 0; i < m->n_out; i++) {
        y[i] = (float)(out[i] - last->out_zero) * last->out_scale;
    }
    return TL_OK;
}

tl_status tl_learner_predict_int8(tl_learner *l, const int8_t *x, int8_t *y)
{
    if (l == 0 || x == 0 || y == 0 || l->model->in_type != TL_INT8 ||
        l->model->out_type != TL_INT8 || tl_has(l, TL_STANDARDISE)) {
        return TL_E_ARGUMENT;
    }
    (void)tl_run(l, 0, l->model->n_layers, x, y);
    return TL_OK;
}
