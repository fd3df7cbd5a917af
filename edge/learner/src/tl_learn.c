#include "tl_internal.h"

#define STEADY_LIMIT 1e18f /* beyond it the squares of a running variance could overflow */

/* Forward pass that keeps every layer's output: outputs one after another, then the logits. */
static void forward_all(tl_learner *l, const float *x, float *outputs)
{
    const tl_model *m = l->model;
    float *trained = l->parameters;
    float *out = outputs;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const tl_layer *layer = &m->layers[i];
        tl_dense_forward(layer, tl_weights_of(l, i, &trained), x, out);
        if (i + 1u == m->n_layers) {
            tl_copy(out + layer->n_out, out, layer->n_out);
        }
        tl_activate(layer->activation, out, layer->n_out);
        x = out;
        out += layer->n_out;
    }
}

static float *last_output(const tl_model *m, float *outputs)
{
    for (uint32_t i = 0; i + 1u < m->n_layers; i++) {
        outputs += m->layers[i].n_out;
    }
    return outputs;
}

static tl_status check_sample(const tl_learner *l, const float *x, const float *target)
{
    const tl_model *m = l->model;
    uint32_t n_target = m->loss == TL_CROSS_ENTROPY ? 1u : m->n_out;
    if (!tl_all_finite(x, m->n_in) || !tl_all_finite(target, n_target)) {
        return TL_E_NONFINITE;
    }
    for (uint32_t i = 0; (l->flags & TL_STANDARDISE) != 0 && i < m->n_in; i++) {
        if (x[i] > STEADY_LIMIT || x[i] < -STEADY_LIMIT) {
            return TL_E_NONFINITE;
        }
    }
    if (m->loss != TL_CROSS_ENTROPY) {
        return TL_OK;
    }
    bool index = target[0] >= 0.0f && target[0] < (float)m->n_out &&
                 target[0] == (float)(uint32_t)target[0];
    return index ? TL_OK : TL_E_ARGUMENT;
}

/* Loss of the outputs of forward_all, and where d is given its gradient. */
static float loss_of(const tl_model *m, float *outputs, const float *target, float *d)
{
    float *y = last_output(m, outputs);
    if (m->loss == TL_CROSS_ENTROPY) {
        return tl_loss_cross_entropy(y + m->n_out, y, m->n_out, (uint32_t)target[0], d);
    }
    return tl_loss_mse(y, target, m->n_out, d);
}

/* Whether the arena was laid out to learn. */
static bool can_learn(const tl_learner *l)
{
    return l->model->type == TL_FLOAT32 && (l->flags & TL_INFER_ONLY) == 0;
}

tl_status tl_learner_loss(tl_learner *l, const float *x, const float *target, float *loss)
{
    if (l == 0 || x == 0 || target == 0 || loss == 0) {
        return TL_E_ARGUMENT;
    }
    if (!can_learn(l)) {
        return TL_E_FROZEN;
    }
    tl_status status = check_sample(l, x, target);
    if (status != TL_OK) {
        return status;
    }
    float *outputs;
    x = tl_prepare(l, x, &outputs);
    forward_all(l, x, outputs);
    *loss = loss_of(l->model, outputs, target, 0);
    return tl_is_finite(*loss) ? TL_OK : TL_E_NONFINITE;
}

/* From the last layer to the first trained one; d holds dL/dy of the last layer. */
static void backward(tl_learner *l, const float *x, float *outputs, float *d, float rate)
{
    const tl_model *m = l->model;
    uint32_t width = tl_widest(m, false);
    float *spare = d + width;
    float *y = last_output(m, outputs);
    float *end = l->parameters + l->n_parameters;
    for (uint32_t i = m->n_layers; i-- > l->first_trainable;) {
        const tl_layer *layer = &m->layers[i];
        const float *in = i == 0 ? x : y - layer->n_in;
        float *b = end - layer->n_out;
        float *w = b - (uint32_t)layer->n_in * layer->n_out;
        tl_activate_back(layer->activation, y, d, layer->n_out);
        tl_dense_step(layer, w, b, in, d, rate, i > l->first_trainable ? spare : 0);
        float *swap = d;
        d = spare;
        spare = swap;
        end = w;
        y = i == 0 ? y : y - layer->n_in;
    }
}

tl_status tl_learner_learn(tl_learner *l, const float *x, const float *target, float rate,
                           float *loss)
{
    if (l == 0 || x == 0 || target == 0 || loss == 0) {
        return TL_E_ARGUMENT;
    }
    if (!can_learn(l)) {
        return TL_E_FROZEN;
    }
    tl_status status = tl_is_finite(rate) ? check_sample(l, x, target) : TL_E_NONFINITE;
    if (status != TL_OK) {
        return status;
    }
    if ((l->flags & TL_STANDARDISE) != 0) {
        tl_standardiser_update(&l->standardiser, x);
    }
    const tl_model *m = l->model;
    float *outputs;
    x = tl_prepare(l, x, &outputs);
    forward_all(l, x, outputs);
    float *d = last_output(m, outputs) + 2u * m->n_out;
    *loss = loss_of(m, outputs, target, d);
    if (!tl_is_finite(*loss)) {
        return TL_E_NONFINITE;
    }
    backward(l, x, outputs, d, rate);
    return TL_OK;
}

tl_status tl_learner_learn_many(tl_learner *l, uint32_t n, const float *x, const float *targets,
                                float rate, float *losses, uint32_t *done)
{
    if (l == 0 || done == 0) {
        return TL_E_ARGUMENT;
    }
    const tl_model *m = l->model;
    uint32_t n_target = m->loss == TL_CROSS_ENTROPY ? 1u : m->n_out;
    tl_status status = TL_OK;
    float loss;
    for (*done = 0; *done < n; (*done)++) {
        status = tl_learner_learn(l, x + *done * m->n_in, targets + *done * n_target, rate, &loss);
        if (status != TL_OK) {
            break;
        }
        if (losses != 0) {
            losses[*done] = loss;
        }
    }
    return status;
}
