/*
 * tinylearn: run a .tflite model in place and train it one sample at a time.
 *
 * The same sources are built into Cortex-M firmware and into the host library;
 * both give bit-identical weights. C99, no heap, no recursion, no I/O, no libm.
 * The caller owns all memory: the model file (read in place, never written), the
 * structs below, a table of layers, and one arena.
 *
 * A model is a chain of layers: int8 ones, then float32 ones (either may be none).
 * The float32 layers at the end may be trained: the tail. What is before stays as
 * it is in the file.
 *
 * Arithmetic. Every operation is IEEE-754 binary32, rounded to nearest even;
 * compile with -ffp-contract=off. A contract says what one step of a sum is:
 *   mul_add (default)  s + a * b   two roundings: the product, then the sum
 *   fma (TL_FMA)       s + a * b   one rounding; only where tl_has_fma()
 * Sums run in index order (for a convolution: kernel row, kernel column, channel):
 *   forward    z[o]  = bias[o] + 0; then z[o] += w[o][i] * x[i]   for i = 0, 1, ...
 *   backward   dx[i] = 0;           then dx[i] += w[o][i] * d[o]  for o = 0, 1, ...
 *              (w before this step's update; a convolution: position by position)
 *   update     g[o] = rate * d[o];  w[o][i] -= g[o] * x[i]; bias[o] -= g[o]
 *              (a convolution: position by position, row after row)
 * A term with a factor 0 may be left out: no weight and no sum is ever -0 (trained
 * weights get + 0 when they are loaded), so it changes no bit while weights are finite.
 * exp, tanh and sqrt are computed by this library (tl_math.c), not by libm.
 */
#ifndef TINYLEARN_H
#define TINYLEARN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most elements of a tensor, and most multiply-accumulates of a layer. Bound every size. */
#define TL_MAX_ELEMENTS (1u << 20)
#define TL_MAX_MACS (1u << 28)

/* Status of a call. Negative: nothing was changed, unless said otherwise. */
typedef enum tl_status {
    TL_OK = 0,
    TL_E_TRUNCATED = -1,  /* an offset or length points outside the file */
    TL_E_FORMAT = -2,     /* not a TFLite version 3 flatbuffer, or a broken table */
    TL_E_OP = -3,         /* an operator, version or option outside the supported set;
                             tl_model.culprit holds its builtin code */
    TL_E_TYPE = -4,       /* a tensor type outside float32/int8/int32 as required */
    TL_E_SHAPE = -5,      /* shapes of neighbouring tensors do not agree, or not a chain */
    TL_E_LIMIT = -6,      /* more layers than there is room for, or a tensor too large */
    TL_E_ARENA = -7,      /* arena smaller than tl_model_sizes() says, or not 4-byte aligned */
    TL_E_ARGUMENT = -8,   /* null pointer, class index out of range, bad layer count */
    TL_E_FROZEN = -9,     /* the model has no trainable (float32) layer where one is asked */
    TL_E_NONFINITE = -10  /* a sample, rate or target is NaN or infinite, or the loss before the
                             step is; weights are unchanged, the standardiser may have counted
                             the sample. What a step leaves is not looked at. */
} tl_status;

typedef enum tl_type { TL_FLOAT32 = 0, TL_INT8 = 1 } tl_type;

typedef enum tl_kind {
    TL_DENSE = 0,        /* FULLY_CONNECTED */
    TL_CONV = 1,         /* CONV_2D */
    TL_DEPTHWISE = 2,    /* DEPTHWISE_CONV_2D */
    TL_MAX_POOL = 3,     /* MAX_POOL_2D */
    TL_AVERAGE_POOL = 4, /* AVERAGE_POOL_2D; a pixel of padding does not count */
    TL_MEAN = 5,         /* MEAN over height and width */
    TL_PAD = 6,          /* PAD of height and width with zeros (int8: the zero point) */
    TL_ACTIVATE = 7,     /* an activation that is not fused into the layer before it */
    TL_QUANTIZE = 8,     /* float32 or int8 to int8 */
    TL_DEQUANTIZE = 9    /* int8 to float32 */
} tl_kind;

typedef enum tl_activation {
    TL_LINEAR = 0,
    TL_RELU = 1,
    TL_TANH = 2,
    TL_SOFTMAX = 3,
    TL_RELU6 = 4,
    TL_LOGISTIC = 5
} tl_activation;

/* The loss follows from the model: softmax at the end means cross-entropy on its
 * logits (target: one class index), anything else mean squared error
 * sum((y - t)^2) / n_out (target: n_out values). With TL_RECONSTRUCT the target is the
 * input of the tail itself (an autoencoder; n_out must equal its elements). */
typedef enum tl_loss { TL_MSE = 0, TL_CROSS_ENTROPY = 1 } tl_loss;

/* Height, width, channels of an activation, stored in that order (NHWC, N = 1).
 * A vector is {1, 1, n}. */
typedef struct tl_shape {
    uint16_t h, w, c;
} tl_shape;

/* One layer, pointing into the model file. 48 bytes where pointers have 4. */
typedef struct tl_layer {
    const uint8_t *weights;   /* float32 or int8, little-endian; null if the kind has none:
                                 dense [n_out][n_in], convolution [c_out][kh][kw][c_in],
                                 depthwise [kh][kw][c_out] */
    const uint8_t *bias;      /* [c_out] float32 or int32; null: zero */
    const uint8_t *scales;    /* int8 only: weight scales, float32, one or (per_channel) c_out */
    float in_scale, out_scale; /* int8 only */
    tl_shape in, out;
    uint8_t kind;             /* tl_kind */
    uint8_t type;             /* tl_type of what is computed with (QUANTIZE: of its input) */
    uint8_t activation;       /* tl_activation */
    uint8_t per_channel;      /* weight scales: 0 one for all, 1 one per output channel */
    uint8_t kernel_h, kernel_w, stride_h, stride_w;
    uint8_t dilation_h, dilation_w, pad_top, pad_left;
    int8_t in_zero, out_zero; /* zero points */
    uint16_t reserved;
} tl_layer;

typedef struct tl_model {
    const uint8_t *file;      /* the .tflite, 4-byte aligned, must outlive this struct */
    const tl_layer *layers;   /* null after a check only */
    uint32_t file_size;       /* bytes */
    uint32_t n_in, n_out;     /* elements of input and output */
    uint32_t arena_infer;     /* bytes of arena to predict only */
    int32_t culprit;          /* after TL_E_OP: the builtin operator code */
    uint16_t n_layers;
    uint16_t n_trainable;     /* float32 layers with weights after the last int8 layer */
    uint8_t in_type, out_type; /* tl_type of input and output */
    uint8_t loss;             /* tl_loss */
    uint8_t reserved;
} tl_model;

/* What a model needs, in bytes unless said otherwise. The table of layers comes on top:
 * n_layers * sizeof(tl_layer). */
typedef struct tl_sizes {
    uint32_t parameters;      /* float32 count in the trained layers */
    uint32_t target;          /* float32 count of a target: 1 (class index) or n_out */
    uint32_t features;        /* elements of the input of the tail (all of it frozen: of n_in) */
    uint32_t arena_infer;     /* arena to predict only */
    uint32_t arena_train;     /* arena to learn; 0 if nothing can be trained */
    uint32_t macs;            /* multiply-accumulates of one forward pass, at most 2^32 - 1 */
} tl_sizes;

/* Running mean and variance of the tail's input, one per feature. The mean and the sum of squared
 * deviations are each kept as an unevaluated sum of two float32. */
typedef struct tl_standardiser {
    uint32_t count;           /* samples seen; saturates at 2^24 */
    uint32_t n;               /* features */
    float *mean;              /* [2][n]: leading parts, then remainders */
    float *m2;                /* [2][n]: the same of the sum of squared deviations */
} tl_standardiser;

typedef struct tl_learner {
    const tl_model *model;
    uint16_t first;           /* index of the first layer of the tail; n_layers: none */
    uint16_t flags;
    uint32_t n_parameters;    /* float32 count */
    float *parameters;        /* trained layers in order: weights as [inputs][c_out] (depthwise
                                 [kh][kw][c_out]), then bias [c_out]; see tl_learner_read */
    float *velocity;          /* with TL_MOMENTUM: as parameters */
    float momentum;           /* with TL_MOMENTUM: 0 <= momentum < 1 */
    float decay;              /* with TL_MOMENTUM: L2 weight decay, not of biases */
    float clip;               /* with TL_MOMENTUM: largest norm of a layer's gradient; 0: none */
    int32_t *rescale;         /* int8 layers with weights: [c_out][2] multiplier and shift each */
    tl_standardiser standardiser;
    float *features;          /* the tail's input: a copy of it, if one is needed */
    uint8_t *scratch;         /* activations and deltas, laid out by tl_learner_init */
    uint32_t scratch_bytes;
} tl_learner;

/* tl_learner_init flags */
#define TL_STANDARDISE 1u     /* standardise the tail's input with running statistics; learn() updates them */
#define TL_INFER_ONLY 2u      /* predict only: weights stay in the file, arena_infer suffices */
#define TL_FMA 4u             /* arithmetic contract fma; TL_E_ARGUMENT where tl_has_fma() is false */
#define TL_MOMENTUM 8u        /* momentum, weight decay and clipping: a second copy of the parameters */
#define TL_RECONSTRUCT 16u    /* the target is the tail's input; `target` arguments are ignored */

/* Open a .tflite in place. Every offset is checked against `size`. The layers are written to
 * layers[capacity]; with layers == null the file is checked as strictly, and only counted. */
tl_status tl_model_open(tl_model *model, const uint8_t *file, uint32_t size, tl_layer *layers,
                        uint16_t capacity);

/* Sizes for training the last `train_layers` layers that have weights (0: all that can be).
 * `flags` as for init. */
tl_status tl_model_sizes(const tl_model *model, uint16_t train_layers, uint16_t flags, tl_sizes *sizes);

/* Lay out the arena and copy the trained parameters into it. */
tl_status tl_learner_init(tl_learner *learner, const tl_model *model, uint16_t train_layers,
                          uint16_t flags, void *arena, uint32_t arena_size);

/* Trained parameters in the order of the file (layer after layer: weights, then bias):
 * `count` float32 from index `first`. TL_E_ARGUMENT if they are not all there. Write does not
 * check that values are finite. */
tl_status tl_learner_read(const tl_learner *learner, uint32_t first, uint32_t count, float *to);
tl_status tl_learner_write(tl_learner *learner, uint32_t first, uint32_t count, const float *from);

/* y[n_out] = model(x[n_in]). int8 inputs are quantised and outputs dequantised. Does not learn,
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

/* Int8 inference without floats at either end: y[n_out] = model(x[n_in]); only where input and
 * output of the model are int8. */
tl_status tl_learner_predict_int8(tl_learner *learner, const int8_t *x, int8_t *y);

/* Whether this build has the fma contract. */
bool tl_has_fma(void);

/* Add one observation to the running statistics; or standardise x into out (may alias). */
void tl_standardiser_update(tl_standardiser *s, const float *x);
void tl_standardiser_apply(const tl_standardiser *s, const float *x, float *out);

/* --- classes added at run time ---
 * A softmax model may hold spare classes: biases of its last layer with weights at or below
 * TL_SPARE_BIAS, so that their probability is about 0. Such a class is put into use with weights
 * 0 and the mean of the biases in use, summed in index order (0 if there are none). */
#define TL_SPARE_BIAS (-30.0f)

/* Put a class into use; nothing happens if it is. TL_E_ARGUMENT: no such class, or not a softmax
 * model; TL_E_FROZEN: its layer is not trained. */
tl_status tl_learner_add_class(tl_learner *learner, uint32_t class_index);

/* The first spare class, or n_out if there is none. */
uint32_t tl_learner_spare_class(const tl_learner *learner);

/* --- drift monitor ---
 * The test of Page and Hinkley on a stream of losses or reconstruction errors (E. S. Page,
 * Biometrika 41 (1954) 100-115), each counted in standard deviations from the mean of those before
 * it and cut off at TL_MONITOR_CUT:
 *   excess = max(0, excess + z - allowance)
 * Above `threshold` the state becomes TL_DRIFT, and the mean and deviation stand still; there
 * the excess is held at the threshold, and TL_STABLE comes back when it has fallen to 0. */
#define TL_MONITOR_CUT 4.0f

typedef enum tl_monitor_state { TL_STABLE = 0, TL_DRIFT = 1 } tl_monitor_state;

typedef struct tl_monitor {
    uint32_t warm_up;         /* losses seen before it judges */
    float allowance;          /* a rise that is no drift, in standard deviations */
    float threshold;          /* summed rise that is one, in standard deviations */
    uint32_t count;           /* losses in the mean; saturates at 2^24 */
    float mean[2], m2[2];     /* as in tl_standardiser, n = 1 */
    float excess;             /* in standard deviations */
    uint32_t state;           /* tl_monitor_state */
} tl_monitor;

/* Start anew. TL_E_ARGUMENT unless 2 <= warm_up <= 2^24, allowance >= 0 and threshold > 0, all finite. */
tl_status tl_monitor_init(tl_monitor *m, uint32_t warm_up, float allowance, float threshold);

/* Take one loss and give the state after it. What is not finite or beyond 1e18 is not counted. */
tl_monitor_state tl_monitor_update(tl_monitor *m, float loss);

/* Standard deviations above the mean of the losses so far; centred only where they do not vary. */
float tl_monitor_score(const tl_monitor *m, float loss);

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
