/* One operator of the graph, turned into a layer. */
#ifndef TL_OPERATOR_H
#define TL_OPERATOR_H

#include "tl_tensor.h"

/* Builtin operator codes of the TensorFlow Lite schema. */
enum {
    OP_AVERAGE_POOL_2D = 1,
    OP_CONV_2D = 3,
    OP_DEPTHWISE_CONV_2D = 4,
    OP_DEQUANTIZE = 6,
    OP_FULLY_CONNECTED = 9,
    OP_LOGISTIC = 14,
    OP_MAX_POOL_2D = 17,
    OP_RELU = 19,
    OP_RELU6 = 21,
    OP_RESHAPE = 22,
    OP_SOFTMAX = 25,
    OP_TANH = 28,
    OP_PAD = 34,
    OP_MEAN = 40,
    OP_QUANTIZE = 114
};

typedef struct tl_operator {
    int32_t code;
    tl_vector inputs;  /* of int32 tensor indices */
    uint32_t options;  /* table, 0 if there is none */
    tl_tensor in, out; /* what it reads first, and what it writes */
} tl_operator;

/* Tensor index of input `i`, -1 if it is left out. */
int32_t tl_input_index(tl_graph *g, const tl_operator *op, uint32_t i);

/* Fill `layer`, whose shapes, scales and type are set, from an operator.
 * TL_E_OP for an option outside the supported set. */
tl_status tl_read_weighted(tl_graph *g, const tl_operator *op, tl_layer *layer);
tl_status tl_read_pool(tl_graph *g, const tl_operator *op, tl_layer *layer);
tl_status tl_read_mean(tl_graph *g, const tl_operator *op, tl_layer *layer);
tl_status tl_read_pad(tl_graph *g, const tl_operator *op, tl_layer *layer);
tl_status tl_read_convert(const tl_operator *op, tl_layer *layer);

/* Window geometry shared by convolutions and pools: padding and strides are fields 0, 1 and 2 of
 * the options. Checks that it gives the output's shape. */
tl_status tl_read_window(tl_graph *g, const tl_operator *op, tl_layer *layer);

/* An activation fused into an operator, in field `slot` of its options. */
tl_status tl_read_fused(tl_graph *g, const tl_operator *op, uint16_t slot, tl_layer *layer);

#endif
