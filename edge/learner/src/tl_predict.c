#include "tl_internal.h"

static const float *predict_float(tl_learner *l, const float *x, float *scratch)
{
    uint32_t half = tl_widest(l->model, false);
    float *trained = l->parameters;
    for (uint32_t i = 0; i < l->model->n_layers; i++) {
        const tl_layer *layer = &l->model->layers[i];
        float *out = scratch + (i % 2u) * half;
        tl_dense_forward(layer, tl_weights_of(l, i, &trained), x, out);
        tl_activate(layer->activation, out, layer->n_out);
        x = out;
    }
    return x;
}

static const int8_t *predict_int8(tl_learner *l, int8_t *scratch)
{
    uint32_t half = 4u * ((tl_widest(l->model, true) + 3u) / 4u);
    const int8_t *x = scratch + half;
    for (uint32_t i = 0; i < l->model->n_layers; i++) {
        const tl_layer *layer = &l->model->layers[i];
        int8_t *out = scratch + (i % 2u) * half;
        tl_int8_dense(layer, x, out);
        tl_int8_activate(layer, out);
        x = out;
    }
    return x;
}

/* Where predict_int8 expects its input. */
static int8_t *int8_input(tl_learner *l, float *scratch)
{
    return (int8_t *)scratch + 4u * ((tl_widest(l->model, true) + 3u) / 4u);
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
    float *scratch;
    x = tl_prepare(l, x, &scratch);
    if (m->type == TL_FLOAT32) {
        tl_copy(y, predict_float(l, x, scratch), m->n_out);
        return TL_OK;
    }
    const tl_layer *first = &m->layers[0];
    const tl_layer *last = &m->layers[m->n_layers - 1];
    int8_t *in = int8_input(l, scratch);
    for (uint32_t i = 0; i < m->n_in; i++) {
        in[i] = tl_quantise(x[i], first->in_scale, first->in_zero);
    }
    const int8_t *out = predict_int8(l, (int8_t *)scratch);
    for (uint32_t i = 0; i < m->n_out; i++) {
        y[i] = (float)(out[i] - last->act_zero) * last->act_scale;
    }
    return TL_OK;
}

tl_status tl_learner_predict_int8(tl_learner *l, const int8_t *x, int8_t *y)
{
    if (l == 0 || x == 0 || y == 0 || l->model->type != TL_INT8) {
        return TL_E_ARGUMENT;
    }
    float *scratch = l->scratch;
    int8_t *in = int8_input(l, scratch);
    for (uint32_t i = 0; i < l->model->n_in; i++) {
        in[i] = x[i];
    }
    const int8_t *out = predict_int8(l, (int8_t *)scratch);
    for (uint32_t i = 0; i < l->model->n_out; i++) {
        y[i] = out[i];
    }
    return TL_OK;
}
