#include "agent.h"
#include "sensor.h"

#define TRAIN_WORDS 4u
#define WATCH_WORDS 8u

/* How a step is made, from a request. */
typedef struct stepping {
    float rate;
    uint32_t linear;  /* whether the rate falls */
    uint32_t samples; /* over so many */
} stepping;

/* What became of the samples. */
typedef struct outcome {
    tally losses;
    uint32_t learnt, unlabelled, drifts;
    float score;
} outcome;

static void put_losses(cb_writer *reply, const tally *t)
{
    float none = __builtin_nanf("");
    cb_put_float(reply, KEY_LOSS_FIRST, t->count > 0 ? t->first : none);
    cb_put_float(reply, KEY_LOSS_MEAN, t->count > 0 ? t->sum / (float)t->count : none);
    cb_put_float(reply, KEY_LOSS_LAST, t->count > 0 ? t->last : none);
}

/* Take the words of KEY_DATA, exactly `count`; none at all are zeros where that is allowed. */
static int32_t read_words(const cb_item *data, bool required, uint32_t count, uint32_t *words)
{
    if (data->kind == CB_NONE && !required) {
        return 0;
    }
    if (data->kind != CB_BYTES || data->value != 4u * count) {
        return LINK_E_FIELD;
    }
    __builtin_memcpy(words, data->bytes, data->value);
    return 0;
}

static float word_as_float(uint32_t word)
{
    float value;
    __builtin_memcpy(&value, &word, sizeof value);
    return value;
}

/* A training starts at rest: what an earlier one was moving with is gone. */
static void come_to_rest(tl_learner *l)
{
    for (uint32_t i = 0; (l->flags & TL_MOMENTUM) != 0 && i < l->n_parameters; i++) {
        l->velocity[i] = 0.0f;
    }
}

/* Lay the learner out as asked, and set its options. */
static int32_t prepare(agent *a, const cb_item *request, const uint32_t *words, stepping *s)
{
    float momentum = word_as_float(words[STEP_MOMENTUM]);
    float decay = word_as_float(words[STEP_DECAY]), clip = word_as_float(words[STEP_CLIP]);
    bool good = momentum >= 0.0f && momentum < 1.0f && decay >= 0.0f && clip >= 0.0f;
    if (!good || request[KEY_RATE].kind != CB_FLOAT || words[STEP_SCHEDULE] > 1u) {
        return LINK_E_FIELD;
    }
    int32_t status = learner_want(a, request);
    bool smooths = momentum > 0.0f || decay > 0.0f || clip > 0.0f;
    if (status == 0 && smooths && (a->flags & TL_MOMENTUM) == 0) {
        return LINK_E_FIELD;
    }
    s->rate = word_as_float(request[KEY_RATE].value);
    if (status == 0 && !is_number(s->rate)) {
        return TL_E_NONFINITE;
    }
    s->linear = words[STEP_SCHEDULE];
    a->learner.momentum = momentum;
    a->learner.decay = decay;
    a->learner.clip = clip;
    return status;
}

static float rate_at(const stepping *s, uint32_t i)
{
    return s->linear ? s->rate * ((float)(s->samples - i) / (float)s->samples) : s->rate;
}

/* Whether the sample taken is of a class that is not in use yet. */
static bool is_new_class(const agent *a)
{
    const tl_learner *l = &a->learner;
    float index = a->target[0], bias;
    uint32_t n = a->model.n_out;
    return a->model.loss == TL_CROSS_ENTROPY && index >= 0.0f && index < (float)n &&
           l->n_parameters > n &&
           tl_learner_read(l, l->n_parameters - n + (uint32_t)index, 1, &bias) == TL_OK &&
           bias <= TL_SPARE_BIAS;
}

/* One step on the sample taken; a class that is seen for the first time is put into use, if the
 * sample can be learnt. */
static int32_t learn(agent *a, float rate, float *loss)
{
    int32_t status = 0;
    if (is_new_class(a)) {
        status = tl_learner_loss(&a->learner, a->x, a->target, loss);
        if (status == 0 && tl_learner_add_class(&a->learner, (uint32_t)a->target[0]) == TL_OK) {
            a->changed = true;
        }
    }
    if (status == 0) {
        status = tl_learner_learn(&a->learner, a->x, a->target, rate, loss);
    }
    a->changed = a->changed || status == 0;
    return status;
}

static int32_t train_one(agent *a, float rate, outcome *o)
{
    float loss = 0.0f;
    int32_t status = take_sample(a);
    if (status == 0 && !labelled(a)) {
        o->unlabelled++;
        return tl_learner_predict(&a->learner, a->x, a->y);
    }
    if (status == 0) {
        status = learn(a, rate, &loss);
    }
    if (status == 0) {
        tally_add(&o->losses, loss);
    }
    return status;
}

static int32_t train_epoch(agent *a, const stepping *s, uint32_t first, uint32_t samples, outcome *o)
{
    int32_t status = 0;
    for (uint32_t i = 0; i < samples && status == 0; i++) {
        status = train_one(a, rate_at(s, first + i), o);
    }
    return status;
}

int32_t op_train(agent *a, const cb_item *request, cb_writer *reply)
{
    uint32_t samples = 0, epochs = 1, words[TRAIN_WORDS] = {0};
    outcome o = {0};
    stepping s;
    int32_t status = learner_ready(a);
    if (status == 0) {
        status = field_uint(&request[KEY_SAMPLES], true, LARGEST_COUNT, &samples);
    }
    if (status == 0) {
        status = field_uint(&request[KEY_EPOCHS], false, LARGEST_COUNT, &epochs);
    }
    if (status == 0 && (samples == 0 || epochs == 0 || epochs > UINT32_MAX / samples)) {
        status = LINK_E_FIELD;
    }
    if (status == 0) {
        status = read_words(&request[KEY_DATA], false, TRAIN_WORDS, words);
    }
    if (status == 0) {
        status = prepare(a, request, words, &s);
    }
    if (status == 0) {
        s.samples = samples * epochs;
        come_to_rest(&a->learner);
    }
    for (uint32_t epoch = 0; epoch < epochs && status == 0; epoch++) {
        if (epoch > 0) {
            sensor_rewind();
        }
        status = train_epoch(a, &s, epoch * samples, samples, &o);
    }
    if (status == 0 && o.losses.count == 0) {
        status = LINK_E_SENSOR;
    }
    cb_put_uint(reply, KEY_LEARNT, o.losses.count);
    cb_put_uint(reply, KEY_UNLABELLED, o.unlabelled);
    put_losses(reply, &o.losses);
    return status;
}

/* Go by what the monitor says of one loss; `learnt`: a step was made. */
static void heed(agent *a, float loss, bool learnt, uint32_t most, outcome *o)
{
    tl_monitor *m = &a->monitor;
    bool before = m->state == TL_DRIFT;
    o->score = tl_monitor_score(m, loss);
    bool now = tl_monitor_update(m, loss) == TL_DRIFT;
    a->steps_left -= learnt ? 1u : 0u;
    if (now && !before) {
        o->drifts++;
        a->steps_left = most;
        come_to_rest(&a->learner);
    } else if (now && a->steps_left == 0) {
        (void)tl_monitor_init(m, m->warm_up, m->allowance, m->threshold);
    } else if (!now) {
        a->steps_left = 0;
    }
}

static int32_t watch_one(agent *a, const stepping *s, outcome *o)
{
    float loss = 0.0f;
    bool learns = a->steps_left > 0;
    int32_t status = take_sample(a);
    if (status == 0 && !labelled(a)) {
        o->unlabelled++;
        return tl_learner_predict(&a->learner, a->x, a->y);
    }
    if (status == 0) {
        status = learns ? learn(a, rate_at(s, s->samples - a->steps_left), &loss)
                        : (int32_t)tl_learner_loss(&a->learner, a->x, a->target, &loss);
    }
    if (status == 0) {
        tally_add(&o->losses, loss);
        o->learnt += learns ? 1u : 0u;
        heed(a, loss, learns, s->samples, o);
    }
    return status;
}

/* Start the monitor, unless it runs with these very options. */
static int32_t start_monitor(agent *a, const uint32_t *words)
{
    tl_monitor *m = &a->monitor;
    float allowance = word_as_float(words[STEP_ALLOWANCE]);
    float threshold = word_as_float(words[STEP_THRESHOLD]);
    bool same = m->warm_up == words[STEP_WARM_UP] && m->allowance == allowance &&
                m->threshold == threshold && a->steps_left <= words[STEP_MOST];
    if (same && m->warm_up != 0) {
        return 0;
    }
    tl_monitor wanted;
    if (tl_monitor_init(&wanted, words[STEP_WARM_UP], allowance, threshold) != TL_OK) {
        return LINK_E_FIELD;
    }
    a->steps_left = 0;
    *m = wanted;
    return 0;
}

int32_t op_watch(agent *a, const cb_item *request, cb_writer *reply)
{
    uint32_t samples = 0, words[WATCH_WORDS];
    outcome o = {0};
    stepping s;
    int32_t status = learner_ready(a);
    if (status == 0) {
        status = field_uint(&request[KEY_SAMPLES], true, LARGEST_COUNT, &samples);
    }
    if (status == 0) {
        status = read_words(&request[KEY_DATA], true, WATCH_WORDS, words);
    }
    if (status == 0 && (samples == 0 || words[STEP_MOST] == 0)) {
        status = LINK_E_FIELD;
    }
    if (status == 0) {
        status = prepare(a, request, words, &s);
    }
    if (status == 0) {
        s.samples = words[STEP_MOST];
        status = start_monitor(a, words);
    }
    for (uint32_t i = 0; i < samples && status == 0; i++) {
        status = watch_one(a, &s, &o);
    }
    cb_put_uint(reply, KEY_SAMPLES, samples);
    cb_put_uint(reply, KEY_LEARNT, o.learnt);
    cb_put_uint(reply, KEY_UNLABELLED, o.unlabelled);
    cb_put_uint(reply, KEY_DRIFTS, o.drifts);
    cb_put_uint(reply, KEY_DRIFTING, a->monitor.state);
    cb_put_float(reply, KEY_SCORE, o.score);
    put_losses(reply, &o.losses);
    return status;
}

int32_t op_add_class(agent *a, const cb_item *request, cb_writer *reply)
{
    int32_t status = learner_ready(a);
    if (status != 0) {
        return status;
    }
    uint32_t index = tl_learner_spare_class(&a->learner);
    status = field_uint(&request[KEY_LENGTH], false, LARGEST_COUNT, &index);
    if (status == 0) {
        status = tl_learner_add_class(&a->learner, index);
    }
    a->changed = a->changed || status == 0;
    cb_put_uint(reply, KEY_CLASS, index);
    return status;
}
