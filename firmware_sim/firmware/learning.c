#include "agent.h"
#include "sensor.h"

#define LARGEST_COUNT 0xffffffu /* samples or epochs */
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

int32_t learner_want(agent *a, const cb_item *request)
{
    uint32_t layers = 0, standardise = 0;
    if (a->slot == SLOT_NONE) {
        return LINK_E_EMPTY;
    }
    int32_t status = field_uint(&request[KEY_TRAIN_LAYERS], false, a->model.n_trainable, &layers);
    if (status == 0) {
        status = field_uint(&request[KEY_STANDARDISE], false, 1, &standardise);
    }
    if (status != 0) {
        return status;
    }
    uint16_t train_layers = (uint16_t)(layers == a->model.n_trainable ? 0 : layers);
    uint16_t flags = standardise != 0 ? TL_STANDARDISE : 0;
    if (train_layers == a->train_layers && flags == a->flags) {
        return 0;
    }
    status = learner_fits(a, train_layers, flags);
    if (status != 0) {
        return status;
    }
    return a->changed ? LINK_E_LAYOUT : learner_layout(a, train_layers, flags);
}

/* Ready to use the weights? */
static int32_t ready(const agent *a)
{
    if (a->slot == SLOT_NONE) {
        return LINK_E_EMPTY;
    }
    return a->whole ? 0 : LINK_E_INVALID;
}

static int32_t take_sample(agent *a)
{
    return sensor_next((uint8_t *)a->x, 4u * (a->model.n_in + a->sizes.target));
}

/* Losses in the order they came; every sum is one float32 addition. */
typedef struct tally {
    uint32_t count;
    float first, sum, last;
} tally;

static void tally_add(tally *t, float loss)
{
    if (t->count == 0) {
        t->first = loss;
    }
    t->sum += loss;
    t->last = loss;
    t->count++;
}

static int32_t train_epoch(agent *a, uint32_t samples, float rate, tally *t)
{
    int32_t status = 0;
    for (uint32_t i = 0; i < samples && status == 0; i++) {
        float loss = 0.0f;
        status = take_sample(a);
        if (status == 0) {
            status = tl_learner_learn(&a->learner, a->x, a->target, rate, &loss);
        }
        if (status == 0) {
            a->changed = true;
            tally_add(t, loss);
        }
    }
    return status;
}

int32_t op_train(agent *a, const cb_item *request, cb_writer *reply)
{
    uint32_t samples = 0, epochs = 1;
    tally t = {0, 0.0f, 0.0f, 0.0f};
    float rate;
    int32_t status = ready(a);
    if (status == 0) {
        status = field_uint(&request[KEY_SAMPLES], true, LARGEST_COUNT, &samples);
    }
    if (status == 0) {
        status = field_uint(&request[KEY_EPOCHS], false, LARGEST_COUNT, &epochs);
    }
    if (status == 0 && (request[KEY_RATE].kind != CB_FLOAT || samples == 0 || epochs == 0)) {
        status = LINK_E_FIELD;
    }
    if (status == 0) {
        status = learner_want(a, request);
    }
    __builtin_memcpy(&rate, &request[KEY_RATE].value, sizeof rate);
    for (uint32_t epoch = 0; epoch < epochs && status == 0; epoch++) {
        if (epoch > 0) {
            sensor_rewind();
        }
        status = train_epoch(a, samples, rate, &t);
    }
    if (status == 0) {
        cb_put_uint(reply, KEY_LEARNT, t.count);
        cb_put_float(reply, KEY_LOSS_FIRST, t.first);
        cb_put_float(reply, KEY_LOSS_MEAN, t.sum / (float)t.count);
        cb_put_float(reply, KEY_LOSS_LAST, t.last);
    }
    return status;
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
    tally t = {0, 0.0f, 0.0f, 0.0f};
    int32_t status = ready(a);
    if (status == 0) {
        status = field_uint(&request[KEY_SAMPLES], true, LARGEST_COUNT, &samples);
    }
    if (status == 0 && samples == 0) {
        status = LINK_E_FIELD;
    }
    for (uint32_t i = 0; i < samples && status == 0; i++) {
        status = evaluate_one(a, &t, &correct);
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
    int32_t status = ready(a);
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
    if (request[KEY_TRAIN_LAYERS].kind == CB_NONE && request[KEY_STANDARDISE].kind == CB_NONE) {
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
