/*
 * tinylearn: run a .tflite model in place and train it one sample at a time.
 *
 * The same sources are built into Cortex-M firmware and into the host library;
 * both give bit-identical weights. C99, no heap, no recursion, no I/O, no libm.
 * The caller owns all memory: the model file (read in place, never written), the
 * structs below, and one arena.
 *
 * Arithmetic contract `mul_add` (the only one so far). Every product and every
 * sum is one IEEE-754 binary32 operation, rounded to nearest even; compile with
 * -ffp-contract=off. Sums run in index order:
 *   forward    z[o]  = bias[o]; then z[o] += w[o][i] * x[i]    for i = 0, 1, ...
 *   backward   dx[i] = 0;       then dx[i] += w[o][i] * d[o]   for o = 0, 1, ...
 *              (w before this step's update)
 *   update     g = rate * d[o]; w[o][i] -= g * x[i]; bias[o] -= g
 * A row o whose delta d[o] == 0 is skipped in `backward` and `update`.
 * exp, tanh and sqrt are computed by this library (tl_math.c), not by libm.
 */
#ifndef TINYLEARN_H
#define TINYLEARN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most layers in a model. Costs sizeof(tl_layer) of RAM each in tl_model. */
#ifndef TL_MAX_LAYERS
#define TL_MAX_LAYERS 8
#endif

/* Largest width of a layer, in elements. Bounds every size computation. */
#define TL_MAX_WIDTH 4096u

/* Status of a call. Negative: nothing was changed, unless said otherwise. */
typedef enum tl_status {
    TL_OK = 0,
    TL_E_TRUNCATED = -1,  /* an offset or length points outside the file */
    TL_E_FORMAT = -2,     /* not a TFLite version 3 flatbuffer, or a broken table */
    TL_E_OP = -3,         /* an operator or operator version outside the supported set;
                             tl_model.culprit holds its builtin code */
    TL_E_TYPE = -4,       /* a tensor type outside float32/int8/int32 as required */
    TL_E_SHAPE = -5,      /* shapes of neighbouring tensors do not agree, or not 2-D [1, n] */
    TL_E_LIMIT = -6,      /* more layers than TL_MAX_LAYERS or wider than TL_MAX_WIDTH */
    TL_E_ARENA = -7,      /* arena smaller than tl_model_sizes() says, or not 4-byte aligned */
    TL_E_ARGUMENT = -8,   /* null pointer, class index out of range, bad layer count */
    TL_E_FROZEN = -9,     /* the model has no trainable (float32) layer where one is asked */
    TL_E_NONFINITE = -10  /* a sample, rate or target is NaN or infinite, or the step would
                             have produced a non-finite loss; weights are unchanged */
} tl_status;

typedef enum tl_type { TL_FLOAT32 = 0, TL_INT8 = 1 } tl_type;
typedef enum tl_activation { TL_LINEAR = 0, TL_RELU = 1, TL_TANH = 2, TL_SOFTMAX = 3 } tl_activation;

/* The loss follows from the model: softmax at the end means cross-entropy on its
 * logits (target: one class index), anything else mean squared error
 * sum((y - t)^2) / n_out (target: n_out values). */
typedef enum tl_loss { TL_MSE = 0, TL_CROSS_ENTROPY = 1 } tl_loss;

/* One dense layer, pointing into the model file. */
typedef struct tl_layer {
    const uint8_t *weights;   /* [n_out][n_in] float32 or int8, little-endian */
    const uint8_t *bias;      /* [n_out] float32 or int32; null: zero */
    const uint8_t *scales;    /* int8 only: weight scales, n_scales float32 */
    uint16_t n_in, n_out;     /* elements */
    uint16_t n_scales;        /* 1 (per tensor) or n_out (per channel) */
    uint8_t type;             /* tl_type */
    uint8_t activation;       /* tl_activation */
    float in_scale, out_scale, act_scale;  /* int8 only; act_scale: of a separate TANH/SOFTMAX output */
    int32_t in_zero, out_zero, act_zero;   /* zero points */
} tl_layer;

typedef struct tl_model {
    const uint8_t *file;      /* the .tflite, 4-byte aligned, must outlive this struct */
    uint32_t file_size;       /* bytes */
    uint16_t n_layers;
    uint16_t n_in, n_out;     /* elements of input and output */
    uint8_t type;             /* tl_type of input and output */
    uint8_t loss;             /* tl_loss */
    int32_t culprit;          /* after TL_E_OP: the builtin operator code */
    tl_layer layers[TL_MAX_LAYERS];
} tl_model;

/* What a model needs, in bytes unless said otherwise. */
typedef struct tl_sizes {
    uint32_t parameters;      /* float32 count in the trainable layers */
    uint32_t target;          /* float32 count of a target: 1 (class index) or n_out */
    uint32_t arena_infer;     /* arena to predict only */
    uint32_t arena_train;     /* arena to learn; 0 if the model is int8 */
    uint32_t macs;            /* multiply-accumulates of one forward pass */
} tl_sizes;

/* Running mean and variance of the input (Welford 1962), one per feature. */
typedef struct tl_standardiser {
    uint32_t count;           /* samples seen; saturates at 2^24 */
    uint16_t n;               /* features */
    float *mean;              /* [n] */
    float *m2;                /* [n], sum of squared deviations */
} tl_standardiser;

typedef struct tl_learner {
    const tl_model *model;
    uint16_t first_trainable; /* index of the first trained layer */
    uint16_t flags;           /* TL_STANDARDISE */
    uint32_t n_parameters;    /* float32 count */
    float *parameters;        /* trained layers in order: weights [n_out][n_in], then bias [n_out] */
    tl_standardiser standardiser;
    float *scratch;           /* activations and deltas, laid out by tl_learner_init */
} tl_learner;

/* tl_learner_init flags */
#define TL_STANDARDISE 1u     /* standardise inputs with running statistics; learn() updates them */
#define TL_INFER_ONLY 2u      /* predict only: weights stay in the file, arena_infer suffices */

/* Open a .tflite in place. Every offset is checked against `size`. */
tl_status tl_model_open(tl_model *model, const uint8_t *file, uint32_t size);

/* Sizes for training the last `train_layers` layers (0: all). `flags` as for init. */
tl_status tl_model_sizes(const tl_model *model, uint16_t train_layers, uint16_t flags, tl_sizes *sizes);

/* Lay out the arena and copy the trainable parameters into it. */
tl_status tl_learner_init(tl_learner *learner, const tl_model *model, uint16_t train_layers,
                          uint16_t flags, void *arena, uint32_t arena_size);

/* y[n_out] = model(x[n_in]). An int8 model quantises x and dequantises y. Does not learn,
 * and does not update the standardiser. */
tl_status tl_learner_predict(tl_learner *learner, const float *x, float *y);

/* Loss of one sample without learning. */
tl_status tl_learner_loss(tl_learner *learner, const float *x, const float *target, float *loss);

/* One SGD step on one sample. *loss is the loss before the step. */
tl_status tl_learner_learn(tl_learner *learner, const float *x, const float *target, float rate,
                           float *loss);

/* `n` steps on consecutive samples x[n][n_in], targets[n][target]; losses[n] may be null.
 * Stops at the first failing sample and returns its status; *done is how many were learnt. */
tl_status tl_learner_learn_many(tl_learner *learner, uint32_t n, const float *x,
                                const float *targets, float rate, float *losses, uint32_t *done);

/* Int8 inference without floats: y[n_out] = model(x[n_in]), int8 models only. */
tl_status tl_learner_predict_int8(tl_learner *learner, const int8_t *x, int8_t *y);

/* Add one observation to the running statistics; or standardise x into out (may alias). */
void tl_standardiser_update(tl_standardiser *s, const float *x);
void tl_standardiser_apply(const tl_standardiser *s, const float *x, float *out);

/* Correctly rounded square root; exp and tanh to within 2 ulp; same bits on every target. */
float tl_sqrt(float x);
float tl_exp(float x);
float tl_tanh(float x);

/* A short English name for a status, for logs. Never null. */
const char *tl_status_name(tl_status status);

#ifdef __cplusplus
}
#endif
#endif
