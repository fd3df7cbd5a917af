#include "tl_internal.h"

/* The arena, in 4-byte words: trained parameters; with TL_STANDARDISE the mean, the squares and
 * the standardised input, n_in words each; then
 *   to learn:    the output of every layer, the last layer's logits, two deltas of the widest layer;
 *   to predict:  two layers' outputs of the widest (int8: the same in bytes). */

#define STEADY_LIMIT 1e18f /* beyond it the squares of a running variance could overflow */

static uint32_t widest(const tl_model *m, bool with_input)
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
    return m->type == TL_INT8 ? 2u * ((widest(m, true) + 3u) / 4u) : 2u * widest(m, false);
}

static uint32_t words_to_learn(const tl_model *m)
{
    uint32_t words = m->n_out + 2u * widest(m, false);
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

static tl_weights weights_in_file(const tl_layer *layer)
{
    tl_weights p = {(const float *)(const void *)layer->weights,
                    (const float *)(const void *)layer->bias};
    return p;
}

static void copy(float *to, const float *from, uint32_t n)
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
        tl_weights p = weights_in_file(layer);
        copy(to, p.w, count);
        copy(to + count, p.b, layer->n_out);
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
    copy(at, 0, 2u * features);
    l->scratch = at + 2u * features;
    return TL_OK;
}

/* Where layer `index` has its weights now; `*trained` walks along the trained parameters. */
static tl_weights weights_of(const tl_learner *l, uint32_t index, float **trained)
{
    const tl_layer *layer = &l->model->layers[index];
    if (index < l->first_trainable) {
        return weights_in_file(layer);
    }
    float *w = *trained;
    float *b = w + (uint32_t)layer->n_in * layer->n_out;
    *trained = b + layer->n_out;
    tl_weights p = {w, b};
    return p;
}

/* The input as the first layer sees it, and the scratch behind it. */
static const float *prepare(tl_learner *l, const float *x, float **scratch)
{
    *scratch = l->scratch;
    if ((l->flags & TL_STANDARDISE) == 0) {
        return x;
    }
    *scratch += l->model->n_in;
    tl_standardiser_apply(&l->standardiser, x, l->scratch);
    return l->scratch;
}

static const float *predict_float(tl_learner *l, const float *x, float *scratch)
{
    uint32_t half = widest(l->model, false);
    float *trained = l->parameters;
    for (uint32_t i = 0; i < l->model->n_layers; i++) {
        const tl_layer *layer = &l->model->layers[i];
        float *out = scratch + (i % 2u) * half;
        tl_dense_forward(layer, weights_of(l, i, &trained), x, out);
        tl_activate(layer->activation, out, layer->n_out);
        x = out;
    }
    return x;
}

static const int8_t *predict_int8(tl_learner *l, int8_t *scratch)
{
    uint32_t half = 4u * ((widest(l->model, true) + 3u) / 4u);
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
    return (int8_t *)scratch + 4u * ((widest(l->model, true) + 3u) / 4u);
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
    x = prepare(l, x, &scratch);
    if (m->type == TL_FLOAT32) {
        copy(y, predict_float(l, x, scratch), m->n_out);
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

/* Forward pass that keeps every layer's output: outputs one after another, then the logits. */
static void forward_all(tl_learner *l, const float *x, float *outputs)
{
    const tl_model *m = l->model;
    float *trained = l->parameters;
    float *out = outputs;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const tl_layer *layer = &m->layers[i];
        tl_dense_forward(layer, weights_of(l, i, &trained), x, out);
        if (i + 1u == m->n_layers) {
            copy(out + layer->n_out, out, layer->n_out);
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
    x = prepare(l, x, &outputs);
    forward_all(l, x, outputs);
    *loss = loss_of(l->model, outputs, target, 0);
    return tl_is_finite(*loss) ? TL_OK : TL_E_NONFINITE;
}

/* From the last layer to the first trained one; d holds dL/dy of the last layer. */
static void backward(tl_learner *l, const float *x, float *outputs, float *d, float rate)
{
    const tl_model *m = l->model;
    uint32_t width = widest(m, false);
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
    x = prepare(l, x, &outputs);
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
