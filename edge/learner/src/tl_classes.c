#include "tl_internal.h"

static const tl_layer *last_weighted(const tl_model *m)
{
    const tl_layer *last = &m->layers[m->n_layers - 1u];
    while (!tl_has_weights(last)) {
        last--;
    }
    return last;
}

/* The biases of the last trained layer; null unless it has one for each class. */
static float *class_biases(const tl_learner *l)
{
    uint32_t n = l->model->n_out;
    bool trained = (l->flags & TL_INFER_ONLY) == 0 && l->n_parameters > n;
    bool classes = trained && l->model->loss == TL_CROSS_ENTROPY;
    return classes && last_weighted(l->model)->out.c == n ? l->parameters + l->n_parameters - n : 0;
}

static float mean_in_use(const float *bias, uint32_t n)
{
    float sum = 0.0f;
    uint32_t used = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (bias[i] > TL_SPARE_BIAS) {
            sum += bias[i];
            used++;
        }
    }
    return used > 0 ? sum / (float)used : 0.0f;
}

uint32_t tl_learner_spare_class(const tl_learner *l)
{
    const float *bias = class_biases(l);
    uint32_t n = l->model->n_out;
    for (uint32_t i = 0; bias != 0 && i < n; i++) {
        if (bias[i] <= TL_SPARE_BIAS) {
            return i;
        }
    }
    return n;
}

/* Column `at` of the last layer: weights are [inputs][n], the bias is the row below them. */
static void set_column(float *end, uint32_t rows, uint32_t n, uint32_t at, float bias)
{
    float *row = end - n + at;
    *row = bias;
    for (uint32_t i = 0; i < rows; i++) {
        row -= n;
        *row = 0.0f;
    }
}

tl_status tl_learner_add_class(tl_learner *l, uint32_t class_index)
{
    if (l == 0 || l->model->loss != TL_CROSS_ENTROPY || class_index >= l->model->n_out) {
        return TL_E_ARGUMENT;
    }
    const float *bias = class_biases(l);
    if (bias == 0) {
        return TL_E_FROZEN;
    }
    if (bias[class_index] > TL_SPARE_BIAS) {
        return TL_OK;
    }
    uint32_t n = l->model->n_out, rows = tl_inputs_of_one(last_weighted(l->model));
    set_column(l->parameters + l->n_parameters, rows, n, class_index, mean_in_use(bias, n));
    if ((l->flags & TL_MOMENTUM) != 0) {
        set_column(l->velocity + l->n_parameters, rows, n, class_index, 0.0f);
    }
    return TL_OK;
}
