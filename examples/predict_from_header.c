/* One prediction of an exported model, with the learner and nothing else: compile it with every
 * .c of edge/learner/src; docs/EXPORT.md has the commands. */
#include <stdio.h>

#include "model.f32.h"
#include "tinylearn.h"

int main(void) {
    static tl_layer layers[SINE_F32_LAYERS];
    static uint32_t arena[(SINE_F32_ARENA_INFER + 3) / 4]; /* aligned to 4 bytes */
    tl_model model;
    tl_learner learner;
    float x[SINE_F32_INPUTS] = {0.5f}, y[SINE_F32_OUTPUTS];
    if (tl_model_open(&model, sine_f32, SINE_F32_BYTES, layers, SINE_F32_LAYERS) != TL_OK ||
        tl_learner_init(&learner, &model, 0, TL_INFER_ONLY, arena, sizeof arena) != TL_OK ||
        tl_learner_predict(&learner, x, y) != TL_OK) {
        return 1;
    }
    printf("%.9g\n", (double)y[0]);
    return 0;
}
