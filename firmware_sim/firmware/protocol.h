/*
 * The words of the serial link: operations, keys and statuses.
 * edge/board_words.py holds the same numbers; a test compares the two.
 *
 * A frame is COBS(payload, CRC-16/CCITT-FALSE little-endian) and a zero byte. A payload is one
 * CBOR map with small integer keys. Each request carries KEY_OP and KEY_SEQ; its reply repeats
 * both and adds KEY_STATUS. A request with the sequence number of the last one gets the last
 * reply again and is not carried out twice.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#define LINK_PROTOCOL 1
#define LINK_FIRMWARE 1
#define LINK_MAX_PAYLOAD 512u /* bytes of CBOR in a frame, both ways */
#define LINK_MAX_CHUNK 448u   /* bytes of data in one WRITE or READ */

enum link_op {
    OP_HELLO = 1,
    OP_BEGIN = 2,
    OP_WRITE = 3,
    OP_COMMIT = 4,
    OP_READ = 5,
    OP_PREDICT = 6,
    OP_TRAIN = 7,
    OP_EVALUATE = 8,
    OP_ROLLBACK = 9,
    OP_RESET_LEARNER = 10,
    OP_SAVE = 11, /* what was learnt, into flash */
    OP_ADD_CLASS = 20, /* put a spare class into use: the first, or that of KEY_LENGTH */
    OP_WATCH = 21,     /* infer on the sensor's samples, and learn while their loss has drifted */
    OP_FAULT = 127 /* sent by the board, unasked: it has crashed */
};

enum link_target { TARGET_SLOT = 0, TARGET_PARAMETERS = 1, TARGET_INPUT = 2, TARGET_OUTPUT = 3 };

enum link_key {
    KEY_OP = 0,
    KEY_SEQ = 1,
    KEY_STATUS = 2,
    KEY_NEEDED = 3,
    KEY_AVAILABLE = 4,
    KEY_TARGET = 5,
    KEY_SIZE = 6,
    KEY_DIGEST = 7,
    KEY_OFFSET = 8,
    KEY_DATA = 9,
    KEY_LENGTH = 10,
    KEY_SAMPLES = 11,
    KEY_EPOCHS = 12,
    KEY_RATE = 13,
    KEY_TRAIN_LAYERS = 14,
    KEY_FLAGS = 15, /* layout of the learner: bits of tl_learner_init */
    KEY_LEARNT = 16,
    KEY_LOSS_FIRST = 17,
    KEY_LOSS_MEAN = 18,
    KEY_LOSS_LAST = 19,
    KEY_CORRECT = 20,
    KEY_PROTOCOL = 21,
    KEY_CORE = 22,
    KEY_BOARD = 23,
    KEY_ARENA = 24,
    KEY_SLOT = 25,
    KEY_ACTIVE = 26,
    KEY_FIRMWARE = 27,
    KEY_DROPPED = 28,
    KEY_N_IN = 29,
    KEY_N_OUT = 30,
    KEY_PARAMETERS = 31,
    KEY_ARENA_TRAIN = 32,
    KEY_ARENA_INFER = 33,
    KEY_CAN_TRAIN = 34,
    KEY_PEAK_STACK = 35,
    KEY_PC = 36,
    KEY_ADDRESS = 37,
    KEY_SAVED = 38,  /* whether flash holds what the running model learnt */
    KEY_UPDATE = 39, /* how the last update ended: a status */
    KEY_UNLABELLED = 50, /* samples without a target: predicted, not learnt */
    KEY_DRIFTS = 51,     /* drifts that began */
    KEY_DRIFTING = 52,   /* whether the losses have drifted now */
    KEY_SCORE = 53,      /* standard deviations that the last loss was above the mean before it */
    KEY_CLASS = 54
};

/* KEY_DATA of TRAIN (the first four, or none) and WATCH (all): little-endian words of 4 bytes. */
enum link_step_word {
    STEP_MOMENTUM = 0, /* float32; so are decay and clip: as in tl_learner */
    STEP_DECAY = 1,
    STEP_CLIP = 2,
    STEP_SCHEDULE = 3,  /* 0: rate; 1: rate * ((n - i) / n) for sample i of n, in float32 */
    STEP_WARM_UP = 4,   /* losses before the monitor judges */
    STEP_ALLOWANCE = 5, /* float32; so is the threshold: as in tl_monitor */
    STEP_THRESHOLD = 6,
    STEP_MOST = 7 /* steps that one drift may switch on */
};

/* KEY_FLAGS of COMMIT */
#define COMMIT_REPLACE 1u /* the weights of the file, though the architecture stays the same */

#define LINK_REQUEST_KEYS 16 /* a request uses keys below this one only */

/* Statuses beside those of the learner (tl_status, -1 to -31). */
enum link_status {
    LINK_E_OP = -32,      /* unknown operation, or a payload that is not a request */
    LINK_E_FIELD = -33,   /* a field is missing, of the wrong type or out of range */
    LINK_E_ORDER = -34,   /* WRITE or COMMIT without BEGIN, a gap, or too little written */
    LINK_E_DIGEST = -35,  /* the SHA-256 of what arrived is not the announced one */
    LINK_E_SPACE = -36,   /* no room in a flash slot: needed, available */
    LINK_E_EMPTY = -37,   /* no model is loaded, or there is no older one to go back to */
    LINK_E_SENSOR = -38,  /* the sensor has no sample, or one of the wrong size */
    LINK_E_INVALID = -39, /* the weights are half written: send them again or RESET_LEARNER */
    LINK_E_LAYOUT = -40,  /* another choice of trained layers would lose changed weights */
    LINK_E_SIZE = -41,    /* not the byte count of this model: needed, available (= what came) */
    LINK_E_SELF_TEST = -42, /* the new model did not answer its self-test as it should */
    LINK_E_CRASHED = -43    /* the first run of the new model ended in a crash or a power cut */
};

#endif
