/* Tensors of a .tflite graph, read with every offset checked. */
#ifndef TL_TENSOR_H
#define TL_TENSOR_H

#include "tl_flatbuffer.h"
#include "tl_internal.h"

enum { TYPE_FLOAT32 = 0, TYPE_INT32 = 2, TYPE_INT8 = 9 }; /* of the TensorFlow Lite schema */

enum { TL_MAX_RANK = 4, TL_MAX_SCALES = 4096 };

/* The graph's vectors; one reader for the whole file. */
typedef struct tl_graph {
    tl_reader reader;
    tl_vector codes, tensors, operators, buffers;
} tl_graph;

typedef struct tl_tensor {
    uint32_t elements;
    uint32_t rank;
    uint32_t sizes[TL_MAX_RANK];
    int32_t type;
    const uint8_t *data;    /* null: not a constant */
    const uint8_t *scales;  /* null: not quantised */
    uint32_t n_scales;
    int32_t axis;           /* that the scales belong to, if there are many */
    float scale;            /* the first */
    int32_t zero;           /* zero point, the same for all scales */
} tl_tensor;

/* Read tensor `index` of the graph. */
tl_status tl_read_tensor(tl_graph *g, int32_t index, tl_tensor *t);

/* The tensor as an activation: [1, h, w, c], or flat with all elements in c. */
tl_status tl_shape_of(const tl_tensor *t, tl_shape *shape);

bool tl_is_aligned(const uint8_t *p); /* to 4 bytes */

/* Element `i` of an int32 constant. */
int32_t tl_constant_i32(const tl_tensor *t, uint32_t i);

#endif
