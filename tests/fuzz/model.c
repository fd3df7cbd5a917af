/* The flatbuffer reader and all that runs on what it accepted. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tinylearn.h"

enum { MOST_LAYERS = 64, MOST_ARENA = 4 << 20, MOST_MACS = 1 << 20 };

static tl_layer table[MOST_LAYERS];

static float *values(uint32_t n)
{
    float *found = malloc(4u * n + 1u);
    for (uint32_t i = 0; found != 0 && i < n; i++) {
        found[i] = (float)((i * 37u) % 17u) / 8.0f - 1.0f;
    }
    return found;
}

static void use(tl_learner *l, const tl_model *m, const tl_sizes *sizes, bool trains)
{
    float *x = values(m->n_in), *y = values(m->n_out), *target = values(sizes->target);
    float loss;
    if (m->loss == TL_CROSS_ENTROPY && sizes->target != 0) {
        target[0] = (float)(m->n_out - 1u);
    }
    (void)tl_learner_predict(l, x, y);
    if (trains) {
        float *p = malloc(4u * l->n_parameters + 1u);
        (void)tl_learner_loss(l, x, target, &loss);
        (void)tl_learner_learn(l, x, target, 0.01f, &loss);
        CHECK(tl_learner_read(l, 0, l->n_parameters, p) == TL_OK);
        CHECK(tl_learner_write(l, 0, l->n_parameters, p) == TL_OK);
        CHECK(tl_learner_read(l, 1, l->n_parameters, p) == TL_E_ARGUMENT);
        free(p);
    }
    if (m->in_type == TL_INT8 && m->out_type == TL_INT8) {
        int8_t *in = calloc(m->n_in, 1), *out = calloc(m->n_out, 1);
        (void)tl_learner_predict_int8(l, in, out);
        free(in);
        free(out);
    }
    free(x);
    free(y);
    free(target);
}

static void lay_out(const tl_model *m, uint16_t train_layers, uint16_t flags)
{
    tl_sizes sizes;
    tl_learner l;
    bool trains = (flags & TL_INFER_ONLY) == 0;
    if (tl_model_sizes(m, train_layers, flags, &sizes) != TL_OK || sizes.macs > MOST_MACS) {
        return;
    }
    uint32_t bytes = trains ? sizes.arena_train : sizes.arena_infer;
    if (bytes > MOST_ARENA) {
        return;
    }
    void *arena = malloc(bytes + (bytes == 0 ? 1u : 0u)); /* exact: one byte too far is found */
    tl_status status = tl_learner_init(&l, m, train_layers, flags, arena, bytes);
    if (status == TL_OK) {
        use(&l, m, &sizes, trains);
    }
    free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(size + 1u); /* malloc aligns; no byte behind the file is there */
    tl_model counted, opened;
    memcpy(file, data, size);
    file = realloc(file, size == 0 ? 1u : size);
    tl_status check = tl_model_open(&counted, file, (uint32_t)size, 0, 0);
    tl_status status = tl_model_open(&opened, file, (uint32_t)size, table, MOST_LAYERS);
    CHECK(check == status || (check == TL_OK && status == TL_E_LIMIT));
    if (status == TL_OK) {
        static const uint16_t FLAGS[] = {TL_INFER_ONLY, 0, TL_STANDARDISE, TL_MOMENTUM,
                                         TL_RECONSTRUCT, TL_INFER_ONLY | TL_STANDARDISE, TL_FMA};
        CHECK(counted.n_layers == opened.n_layers && counted.arena_infer == opened.arena_infer);
        for (uint32_t i = 0; i < sizeof FLAGS / sizeof FLAGS[0]; i++) {
            lay_out(&opened, 0, FLAGS[i]);
            lay_out(&opened, 1, FLAGS[i]);
        }
    }
    free(file);
    return 0;
}
