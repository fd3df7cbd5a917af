/* Tensors of a .tflite graph, read with every offset checked. */
#ifndef TL_TENSOR_H
#define TL_TENSOR_H

#include "tl_flatbuffer.h"
#include "tl_internal.h"

enum { TYPE_FLOAT32 = 0, TYPE_INT32 = 2, TYPE_INT8 = 9 }; /* of the TensorFlow Lite schema */

typedef struct tl_parser {
    tl_reader reader;
    tl_vector codes, tensors, operators, buffers;
    int32_t current;  /* tensor that the next operator must read */
    uint32_t width;   /* its elements */
    tl_model *model;
} tl_parser;

typedef struct tl_tensor {
    uint32_t elements;
    int32_t type;
    const uint8_t *data;    /* null: not a constant */
    const uint8_t *scales;  /* null: not quantised */
    uint32_t n_scales;
    float scale;            /* the first */
    int32_t zero;           /* zero point */
} tl_tensor;

bool tl_is_aligned(const uint8_t *p); /* to 4 bytes */

/* Read tensor `index` of the graph. */
tl_status tl_read_tensor(tl_parser *p, int32_t index, tl_tensor *t);

/* Whether the shape of a tensor is [rows][columns]. */
bool tl_is_matrix(tl_parser *p, int32_t index, uint32_t rows, uint32_t columns);

#endif
