#include "tl_internal.h"

#define STEADY_LIMIT 1e18f /* beyond it the squares of a running variance could overflow */

bool tl_can_learn(const tl_learner *l)
{
    return l->n_parameters != 0;
}

static tl_status check_target(const tl_learner *l, const float *target)
{
    const tl_model *m = l->model;
    bool class_index = tl_classifies(m);
    if (tl_has(l, TL_RECONSTRUCT)) {
        return TL_OK;
    }
    if (!tl_all_finite(target, class_index ? 1u : m->n_out)) {
        return TL_E_NONFINITE;
    }
    if (!class_index) {
        return TL_OK;
    }
    bool known = target[0] >= 0.0f && target[0] < (float)m->n_out &&
                 target[0] == (float)(uint32_t)target[0];
    return known ? TL_OK : TL_E_ARGUMENT;
}

/* The input of the tail, standardised if so asked; null if it cannot be. The statistics learn from
 * it where `learns`. */
static const float *tail_input(tl_learner *l, const float *x, bool learns)
{
    const float *features = x;
    if (!TL_DENSE_ONLY && l->first != 0) {
        features = (const float *)tl_run(l, 0, l->first, x, l->features);
    }
    if (!tl_has(l, TL_STANDARDISE)) {
        return features;
    }
    for (uint32_t i = 0; i < l->standardiser.n; i++) {
        if (!(features[i] <= STEADY_LIMIT && features[i] >= -STEADY_LIMIT)) {
            return 0;
        }
    }
    if (learns) {
        tl_standardiser_update(&l->standardiser, features);
    }
    tl_standardiser_apply(&l->standardiser, features, l->features);
    return l->features;
}

/* Forward pass of the tail that keeps every layer's output, one after another. The last softmax
 * is left to the loss. Gives the last output. */
static float *forward_tail(tl_learner *l, const float *x)
{
    const tl_model *m = l->model;
    bool fma = tl_has(l, TL_FMA);
    const float *trained = l->parameters;
    float *out = (float *)(void *)l->scratch;
    float *last = out;
    for (uint32_t i = l->first; i < m->n_layers; i++) {
        const tl_layer *layer = &m->layers[i];
        uint32_t n = tl_elements(layer->out);
        tl_forward(fma, layer, tl_weights_of(l, i, &trained), x, out);
        if (layer->activation != TL_SOFTMAX) {
            tl_activate(layer->activation, out, n);
        }
        x = last = out;
        out += n;
    }
    return last;
}

/* Loss of forward_tail's last output, and where d is given its gradient. */
static float loss_of(const tl_learner *l, const float *features, float *y, const float *target,
                     float *d)
{
    const tl_model *m = l->model;
    if (tl_classifies(m)) {
        return tl_loss_cross_entropy(y, m->n_out, (uint32_t)target[0], d);
    }
    return tl_loss_mse(y, tl_has(l, TL_RECONSTRUCT) ? features : target, m->n_out, d);
}

tl_status tl_learner_loss(tl_learner *l, const float *x, const float *target, float *loss)
{
    bool own_target = l != 0 && tl_has(l, TL_RECONSTRUCT);
    if (l == 0 || x == 0 || (target == 0 && !own_target) || loss == 0) {
        return TL_E_ARGUMENT;
    }
    if (!tl_can_learn(l)) {
        return TL_E_FROZEN;
    }
    tl_status status = check_target(l, target);
    if (status != TL_OK || !tl_all_finite(x, l->model->n_in)) {
        return status != TL_OK ? status : TL_E_NONFINITE;
    }
    const float *features = tail_input(l, x, false);
    if (features == 0) {
        return TL_E_NONFINITE;
    }
    *loss = loss_of(l, features, forward_tail(l, features), target, 0);
    return tl_is_finite(*loss) ? TL_OK : TL_E_NONFINITE;
}

/* Whether x comes out of a ReLU, so that a zero of it has no gradient. */
static bool after_relu(const tl_layer *layer)
{
    return layer->activation == TL_RELU;
}

/* Backward and step of one layer; d holds dL/dz and is overwritten, y may be. Gives whether dx is
 * dL/dz of the layer before already: x comes out of a ReLU. */
static bool step_layer(tl_learner *l, const tl_layer *layer, float *w, const float *x, float *y,
                       float *d, float *dx, bool masked, float rate)
{
    bool fma = tl_has(l, TL_FMA);
    float *b = w + tl_weight_count(layer);
    bool plain = !tl_has(l, TL_MOMENTUM);
    if (masked && layer->kind == TL_DENSE && layer->out.c > 1u && plain) {
        uint32_t n_in = layer->in.c, n_out = layer->out.c;
        float *g = y; /* the output is not needed any more */
        tl_bias_step(b, d, g, n_out, rate);
        tl_back_update(fma, w, x, d, g, n_in, n_out, dx);
        return true;
    }
    if (dx != 0) {
        tl_back_layer(fma, layer, w, x, d, dx);
    }
    if (!tl_has_weights(layer)) {
        return false;
    }
    if (plain) {
        tl_update_layer(fma, layer, w, b, x, d, rate);
    } else {
        tl_momentum_step(l, layer, w, l->velocity + (w - l->parameters), x, d, rate);
    }
    return false;
}

/* From the last layer to the first trained one; d holds dL/dy of the last layer, and the delta
 * after it has room for another. */
static void backward(tl_learner *l, const float *features, float *y, float *d, float *spare,
                     float rate)
{
    const tl_model *m = l->model;
    float *w = l->parameters + l->n_parameters;
    bool ready = false; /* d holds dL/dz */
    uint32_t last = l->first; /* to go back to: the first layer with weights */
    while (!tl_has_weights(&m->layers[last])) {
        last++;
    }
    for (uint32_t i = m->n_layers; i-- > last;) {
        const tl_layer *layer = &m->layers[i];
        bool first = i == l->first;
        float *x = first ? 0 : y - tl_elements(layer->in);
        bool masked = !first && after_relu(&m->layers[i - 1u]);
        if (layer->activation != TL_SOFTMAX && !ready) {
            tl_activate_back(layer->activation, y, d, tl_elements(layer->out));
        }
        w -= tl_has_weights(layer) ? tl_weight_count(layer) + layer->out.c : 0u;
        ready = step_layer(l, layer, w, first ? features : x, y, d, i == last ? 0 : spare, masked && i != last, rate);
        float *swap = d;
        d = spare;
        spare = swap;
        y = x;
    }
}

static float *deltas(const tl_learner *l, uint32_t *widest)
{
    float *at = (float *)(void *)l->scratch;
    *widest = 0;
    for (uint32_t i = l->first; i < l->model->n_layers; i++) {
        uint32_t n = tl_elements(l->model->layers[i].out);
        at += n;
        *widest = n > *widest ? n : *widest;
    }
    return at;
}

tl_status tl_learner_learn(tl_learner *l, const float *x, const float *target, float rate,
                           float *loss)
{
    bool own_target = l != 0 && tl_has(l, TL_RECONSTRUCT);
    if (l == 0 || x == 0 || (target == 0 && !own_target) || loss == 0) {
        return TL_E_ARGUMENT;
    }
    if (!tl_can_learn(l)) {
        return TL_E_FROZEN;
    }
    tl_status status = tl_is_finite(rate) ? check_target(l, target) : TL_E_NONFINITE;
    if (status != TL_OK || !tl_all_finite(x, l->model->n_in)) {
        return status != TL_OK ? status : TL_E_NONFINITE;
    }
    const float *features = tail_input(l, x, true);
    if (features == 0) {
        return TL_E_NONFINITE;
    }
    uint32_t widest;
    float *d = deltas(l, &widest);
    float *y = forward_tail(l, features);
    *loss = loss_of(l, features, y, target, d);
    if (!tl_is_finite(*loss)) {
        return TL_E_NONFINITE;
    }
    backward(l, features, y, d, d + widest, rate);
    return TL_OK;
}

tl_status tl_learner_learn_many(tl_learner *l, uint32_t n, const float *x, const float *targets,
                                float rate, float *losses, uint32_t *done)
{
    if (l == 0 || done == 0) {
        return TL_E_ARGUMENT;
    }
    const tl_model *m = l->model;
    uint32_t n_target = tl_has(l, TL_RECONSTRUCT)  ? 0u
                        : tl_classifies(m) ? 1u
                                                      : m->n_out;
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
