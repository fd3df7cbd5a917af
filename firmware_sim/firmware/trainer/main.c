/* The smallest image that trains: one dense model from flash, samples from the sensor line, plain
 * SGD until the sensor has none left. No link, no slots, no checks of a digest: the host writes the
 * job into flash beforehand and reads `trainer` in RAM afterwards (firmware_sim/trainer.py). */
#include "../boards/startup.h"
#include "../frames.h"
#include "../port.h"
#include "tinylearn.h"

#define MAX_LAYERS 4u
#define NEXT_SAMPLE 'S' /* as in ../sensor.h; without its second attempts */
#define JOB ((const job *)(BOARD_IMAGE_BASE + 0x10000u))

/* What the host writes where slot A begins. */
typedef struct job {
    uint32_t size; /* of the file, bytes */
    float rate;
    uint32_t unused[2];
    uint8_t file[];
} job;

/* What the host reads. Not static, so that the image's symbols tell where it is. */
typedef struct report {
    int32_t status;  /* 0: the samples ran out; else why it ended */
    uint32_t learnt; /* samples */
    uint32_t arena;  /* bytes of RAM beyond .bss that are used, the sample included */
    float loss;      /* of the last sample, before its step */
    const float *parameters;
    uint32_t n_parameters;
} report;

extern report trainer;
report trainer;

static tl_layer layers[MAX_LAYERS];
static tl_model model;
static tl_learner learner;

void fence_memory(void)
{
}

void report_fault(const uint32_t *frame)
{
    (void)frame;
}

static int32_t begin(uint32_t *sample_bytes)
{
    uint32_t ram;
    uint8_t *arena = port_arena(&ram);
    tl_sizes sizes;
    int32_t status = tl_model_open(&model, JOB->file, JOB->size, layers, MAX_LAYERS);
    if (status == TL_OK) {
        status = tl_model_sizes(&model, 0, 0, &sizes);
    }
    if (status != TL_OK) {
        return status;
    }
    *sample_bytes = 4u * (model.n_in + sizes.target);
    uint32_t used = (*sample_bytes + FR_CRC_BYTES + 3u) & ~3u;
    trainer.arena = used + sizes.arena_train;
    if (trainer.arena > ram) {
        return TL_E_ARENA;
    }
    return tl_learner_init(&learner, &model, 0, 0, arena + used, sizes.arena_train);
}

/* Fill `sample` from the sensor line; false if no sample of this size came. */
static bool next_sample(uint8_t *sample, uint32_t bytes)
{
    fr_decoder decoder;
    int32_t length = FR_MORE;
    fr_init(&decoder, sample, bytes + FR_CRC_BYTES);
    port_put(PORT_SENSOR, NEXT_SAMPLE);
    while (length == FR_MORE && decoder.dropped == 0) {
        uint8_t byte;
        while (!port_get(PORT_SENSOR, &byte)) {
            port_idle(PORT_SENSOR);
        }
        length = fr_push(&decoder, byte);
    }
    return length == (int32_t)bytes;
}

__attribute__((noinline)) int main(void)
{
    uint32_t bytes = 0, ram;
    float *x = (float *)(void *)port_arena(&ram);
    port_init();
    trainer.status = begin(&bytes);
    trainer.parameters = learner.parameters;
    trainer.n_parameters = learner.n_parameters;
    while (trainer.status == TL_OK && next_sample((uint8_t *)x, bytes)) {
        trainer.status = tl_learner_learn(&learner, x, x + model.n_in, JOB->rate, &trainer.loss);
        trainer.learnt += trainer.status == TL_OK ? 1u : 0u;
    }
    return 0;
}
