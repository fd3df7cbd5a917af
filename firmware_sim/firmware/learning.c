#include "agent.h"
#include "sensor.h"

#define LAYOUT_FLAGS ((uint32_t)(TL_STANDARDISE | TL_FMA | TL_MOMENTUM | TL_RECONSTRUCT))
#define LARGEST_INLINE LINK_MAX_CHUNK

int32_t field_uint(const cb_item *item, bool required, uint32_t most, uint32_t *value)
{
    if (item->kind == CB_NONE) {
        return required ? LINK_E_FIELD : 0;
    }
    if ((item->kind != CB_UINT && item->kind != CB_BOOL) || item->value > most) {
        return LINK_E_FIELD;
    }
    *value = item->value;
    return 0;
}

int32_t refuse(agent *a, int32_t status, uint32_t needed, uint32_t available)
{
    a->needed = needed;
    a->available = available;
    return status;
}

static uint32_t sample_bytes(const tl_model *model, const tl_sizes *sizes)
{
    return 4u * (model->n_in + sizes->target + model->n_out);
}

static uint32_t learner_bytes(const tl_sizes *sizes, uint16_t flags)
{
    return (flags & TL_INFER_ONLY) != 0 ? sizes->arena_infer : sizes->arena_train;
}

/* The table of layers comes first in the arena. */
static uint32_t table_bytes(const tl_model *model)
{
    return model->n_layers * (uint32_t)sizeof(tl_layer);
}

static int32_t check_room(agent *a, uint32_t needed)
{
    return needed > a->arena_bytes ? refuse(a, TL_E_ARENA, needed, a->arena_bytes) : 0;
}

int32_t learner_can_run(agent *a, const tl_model *model)
{
    uint32_t target = model->loss == TL_CROSS_ENTROPY ? 1u : model->n_out;
    uint32_t sample = 4u * (model->n_in + target + model->n_out);
    return check_room(a, table_bytes(model) + sample + model->arena_infer);
}

int32_t learner_fits(agent *a, uint16_t train_layers, uint16_t flags)
{
    tl_sizes sizes;
    int32_t status = tl_model_sizes(&a->model, train_layers, flags, &sizes);
    if (status != TL_OK) {
        return status;
    }
    bool reconstructs = (flags & TL_RECONSTRUCT) != 0;
    if (((flags & TL_FMA) != 0 && !tl_has_fma()) ||
        (reconstructs && (a->model.loss != TL_MSE || sizes.features != a->model.n_out))) {
        return TL_E_ARGUMENT;
    }
    uint32_t learner = learner_bytes(&sizes, flags);
    if (learner == 0 && (flags & TL_INFER_ONLY) == 0) {
        return TL_E_FROZEN;
    }
    return check_room(a, table_bytes(&a->model) + sample_bytes(&a->model, &sizes) + learner);
}

int32_t learner_layout(agent *a, uint16_t train_layers, uint16_t flags)
{
    int32_t status = learner_fits(a, train_layers, flags);
    if (status != 0) {
        return status;
    }
    if (a->incoming.target == TARGET_PARAMETERS) {
        a->incoming.open = false; /* it was measured for the weights as they were laid out */
    }
    (void)tl_model_sizes(&a->model, train_layers, flags, &a->sizes);
    uint32_t used = table_bytes(&a->model);
    a->x = (float *)(void *)(a->arena + used);
    a->target = a->x + a->model.n_in;
    a->y = a->target + a->sizes.target;
    used += sample_bytes(&a->model, &a->sizes);
    a->train_layers = train_layers;
    a->flags = flags;
    a->changed = false;
    a->monitor.warm_up = 0;
    a->steps_left = 0;
    status = tl_learner_init(&a->learner, &a->model, train_layers, flags, a->arena + used,
                             a->arena_bytes - used);
    a->whole = status == TL_OK;
    return status;
}

int32_t learner_open(agent *a, const slot_file *file)
{
    tl_layer *layers = (tl_layer *)(void *)a->arena;
    a->file = *file;
    int32_t status = tl_model_open(&a->model, file->data, file->size, layers, UINT16_MAX);
    return status == TL_OK ? learner_start(a) : status;
}

int32_t learner_start(agent *a)
{
    if (learner_fits(a, 0, 0) == 0) {
        return learner_layout(a, 0, 0);
    }
    return learner_layout(a, 0, TL_INFER_ONLY);
}

int32_t learner_wanted(const agent *a, const cb_item *request, uint16_t *train_layers,
                       uint16_t *flags)
{
    uint32_t layers = 0, wanted = 0;
    if (a->slot == SLOT_NONE) {
        return LINK_E_EMPTY;
    }
    int32_t status = field_uint(&request[KEY_TRAIN_LAYERS], false, a->model.n_trainable, &layers);
    if (status == 0) {
        status = field_uint(&request[KEY_FLAGS], false, LAYOUT_FLAGS, &wanted);
    }
    if (status == 0 && (wanted & ~LAYOUT_FLAGS) != 0) {
        status = LINK_E_FIELD;
    }
    *train_layers = (uint16_t)(layers == a->model.n_trainable ? 0 : layers);
    *flags = (uint16_t)wanted;
    return status;
}

int32_t learner_want(agent *a, const cb_item *request)
{
    uint16_t train_layers, flags;
    int32_t status = learner_wanted(a, request, &train_layers, &flags);
    if (status != 0) {
        return status;
    }
    if (train_layers == a->train_layers && flags == a->flags) {
        return 0;
    }
    status = learner_fits(a, train_layers, flags);
    if (status != 0) {
        return status;
    }
    return a->changed ? LINK_E_LAYOUT : learner_layout(a, train_layers, flags);
}

int32_t learner_ready(const agent *a)
{
    if (a->slot == SLOT_NONE) {
        return LINK_E_EMPTY;
    }
    return a->whole ? 0 : LINK_E_INVALID;
}

int32_t take_sample(agent *a)
{
    uint8_t request = (a->flags & TL_RECONSTRUCT) != 0 ? SENSOR_NEXT_INPUT : SENSOR_NEXT;
    return sensor_next(request, (uint8_t *)a->x, 4u * (a->model.n_in + a->sizes.target));
}

bool labelled(const agent *a)
{
    return (a->flags & TL_RECONSTRUCT) != 0 || a->target[0] == a->target[0];
}

void tally_add(tally *t, float loss)
{
    if (t->count == 0) {
        t->first = loss;
    }
    t->sum += loss;
    t->last = loss;
    t->count++;
}

static uint32_t largest(const float *y, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (y[i] > y[best]) {
            best = i;
        }
    }
    return best;
}

/* The learner has losses for float models only. An int8 regression is measured by its answers;
 * an int8 classifier has right and wrong ones, and no loss. */
static float loss_of_answer(const agent *a)
{
    if (a->model.loss == TL_CROSS_ENTROPY) {
        return __builtin_nanf("");
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < a->model.n_out; i++) {
        float error = a->y[i] - a->target[i];
        sum += error * error;
    }
    return sum / (float)a->model.n_out;
}

static int32_t evaluate_one(agent *a, tally *t, uint32_t *correct)
{
    float loss = 0.0f;
    bool frozen = a->learner.n_parameters == 0;
    int32_t status = take_sample(a);
    if (status == 0 && !labelled(a)) {
        return 0;
    }
    if (status == 0 && !frozen) {
        status = tl_learner_loss(&a->learner, a->x, a->target, &loss);
    }
    if (status == 0 && (frozen || a->model.loss == TL_CROSS_ENTROPY)) {
        status = tl_learner_predict(&a->learner, a->x, a->y);
    }
    if (status == 0 && frozen) {
        loss = loss_of_answer(a);
    }
    if (status == 0 && a->model.loss == TL_CROSS_ENTROPY) {
        *correct += (float)largest(a->y, a->model.n_out) == a->target[0] ? 1u : 0u;
    }
    if (status == 0) {
        tally_add(t, loss);
    }
    return status;
}

int32_t op_evaluate(agent *a, const cb_item *request, cb_writer *reply)
{
    uint32_t samples = 0, correct = 0;
    tally t = {0};
    int32_t status = learner_ready(a);
    if (status == 0) {
        status = field_uint(&request[KEY_SAMPLES], true, LARGEST_COUNT, &samples);
    }
    if (status == 0 && samples == 0) {
        status = LINK_E_FIELD;
    }
    for (uint32_t i = 0; i < samples && status == 0; i++) {
        status = evaluate_one(a, &t, &correct);
    }
    if (status == 0 && t.count == 0) {
        status = LINK_E_SENSOR;
    }
    if (status == 0) {
        cb_put_float(reply, KEY_LOSS_MEAN, t.sum / (float)t.count);
        cb_put_uint(reply, KEY_CORRECT, correct);
        cb_put_uint(reply, KEY_SAMPLES, t.count);
    }
    return status;
}

int32_t op_predict(agent *a, const cb_item *request, cb_writer *reply)
{
    const cb_item *data = &request[KEY_DATA];
    int32_t status = learner_ready(a);
    if (status == 0 && data->kind != CB_NONE) {
        if (data->kind != CB_BYTES) {
            return LINK_E_FIELD;
        }
        if (data->value != 4u * a->model.n_in) {
            return refuse(a, LINK_E_SIZE, 4u * a->model.n_in, data->value);
        }
        __builtin_memcpy(a->x, data->bytes, data->value);
    }
    if (status == 0) {
        status = tl_learner_predict(&a->learner, a->x, a->y);
    }
    if (status == 0) {
        uint32_t bytes = 4u * a->model.n_out;
        cb_put_uint(reply, KEY_SIZE, bytes);
        if (bytes <= LARGEST_INLINE) {
            cb_put_bytes(reply, KEY_DATA, (const uint8_t *)a->y, bytes);
        }
    }
    return status;
}

int32_t op_reset_learner(agent *a, const cb_item *request, cb_writer *reply)
{
    (void)reply;
    if (a->slot == SLOT_NONE) {
        return LINK_E_EMPTY;
    }
    if (request[KEY_TRAIN_LAYERS].kind == CB_NONE && request[KEY_FLAGS].kind == CB_NONE) {
        return learner_layout(a, a->train_layers, a->flags);
    }
    bool changed = a->changed;
    a->changed = false;
    uint16_t layers = a->train_layers, flags = a->flags;
    int32_t status = learner_want(a, request);
    if (status != 0) {
        a->changed = changed;
        return status;
    }
    bool kept = layers == a->train_layers && flags == a->flags;
    return kept ? learner_layout(a, layers, flags) : 0;
}
