#include "tinylearn.h"

const char *tl_status_name(tl_status status)
{
    switch (status) {
    case TL_OK:
        return "ok";
    case TL_E_TRUNCATED:
        return "truncated";
    case TL_E_FORMAT:
        return "not a tflite file";
    case TL_E_OP:
        return "unsupported operator";
    case TL_E_TYPE:
        return "unsupported type";
    case TL_E_SHAPE:
        return "shapes do not agree";
    case TL_E_LIMIT:
        return "too many or too wide layers";
    case TL_E_ARENA:
        return "arena too small";
    case TL_E_ARGUMENT:
        return "bad argument";
    case TL_E_FROZEN:
        return "no trainable layer";
    case TL_E_NONFINITE:
        return "not finite";
    }
    return "unknown status";
}
