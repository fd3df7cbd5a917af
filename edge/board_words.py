"""Numbers and words of the serial link; firmware_sim/firmware/protocol.h holds the same ones."""

from enum import IntEnum

__all__ = ["COMMIT_REPLACE", "HINTS", "MAX_CHUNK", "MEANINGS", "Key", "Op", "Status", "Target"]

MAX_CHUNK = 448
"""Most bytes of data in one WRITE or READ."""
COMMIT_REPLACE = 1
"""Flag of COMMIT: the weights of the file, though the architecture stays the same."""


class Op(IntEnum):
    """Operations."""

    HELLO = 1
    BEGIN = 2
    WRITE = 3
    COMMIT = 4
    READ = 5
    PREDICT = 6
    TRAIN = 7
    EVALUATE = 8
    ROLLBACK = 9
    RESET_LEARNER = 10
    SAVE = 11
    ADD_CLASS = 20
    WATCH = 21
    FAULT = 127


class Target(IntEnum):
    """What BEGIN, WRITE and READ are about."""

    SLOT = 0
    PARAMETERS = 1
    INPUT = 2
    OUTPUT = 3


class Key(IntEnum):
    """Keys of the CBOR maps."""

    OP = 0
    SEQ = 1
    STATUS = 2
    NEEDED = 3
    AVAILABLE = 4
    TARGET = 5
    SIZE = 6
    DIGEST = 7
    OFFSET = 8
    DATA = 9
    LENGTH = 10
    SAMPLES = 11
    EPOCHS = 12
    RATE = 13
    TRAIN_LAYERS = 14
    FLAGS = 15
    LEARNT = 16
    LOSS_FIRST = 17
    LOSS_MEAN = 18
    LOSS_LAST = 19
    CORRECT = 20
    PROTOCOL = 21
    CORE = 22
    BOARD = 23
    ARENA = 24
    SLOT = 25
    ACTIVE = 26
    FIRMWARE = 27
    DROPPED = 28
    N_IN = 29
    N_OUT = 30
    PARAMETERS = 31
    ARENA_TRAIN = 32
    ARENA_INFER = 33
    CAN_TRAIN = 34
    PEAK_STACK = 35
    PC = 36
    ADDRESS = 37
    SAVED = 38
    UPDATE = 39
    UNLABELLED = 50
    DRIFTS = 51
    DRIFTING = 52
    SCORE = 53
    CLASS = 54


class Status(IntEnum):
    """Statuses: those of the learner (tl_status), those of the link, and NO_ANSWER of the host."""

    OK = 0
    TRUNCATED = -1
    FORMAT = -2
    OPERATOR = -3
    TYPE = -4
    SHAPE = -5
    LIMIT = -6
    ARENA = -7
    ARGUMENT = -8
    FROZEN = -9
    NONFINITE = -10
    OP = -32
    FIELD = -33
    ORDER = -34
    DIGEST = -35
    SPACE = -36
    EMPTY = -37
    SENSOR = -38
    INVALID = -39
    LAYOUT = -40
    SIZE = -41
    SELF_TEST = -42
    CRASHED = -43
    NO_ANSWER = -100


MEANINGS: dict[int, str] = {
    Status.TRUNCATED: "the artefact is cut short or damaged",
    Status.FORMAT: "the artefact is not a .tflite file",
    Status.OPERATOR: "the artefact uses an operator that the learner does not have",
    Status.TYPE: "the artefact uses a tensor type that the learner does not have",
    Status.SHAPE: "the artefact's shapes do not agree",
    Status.LIMIT: "the artefact has too many or too wide layers",
    Status.ARENA: "it does not fit into the board's RAM",
    Status.ARGUMENT: "the learner refused an argument",
    Status.FROZEN: "the model has nothing that can be trained",
    Status.NONFINITE: "a value is NaN or infinite",
    Status.OP: "the board does not know this operation",
    Status.FIELD: "a field of the request is missing or out of range",
    Status.ORDER: "a chunk is missing or was not announced",
    Status.DIGEST: "what arrived has another SHA-256 than announced",
    Status.SPACE: "it does not fit into a flash slot",
    Status.EMPTY: "no such model is on the board",
    Status.SENSOR: "the sensor gave no sample that fits the model, or none with a label",
    Status.INVALID: "the weights on the board are half written",
    Status.LAYOUT: "changing the trained layers would lose what the board has learnt",
    Status.SIZE: "the byte count does not match the model",
    Status.SELF_TEST: "the new model did not answer its self-test as it should; the old one runs",
    Status.CRASHED: "the first run of the new model ended in a crash or a power cut",
    Status.NO_ANSWER: "the board does not answer",
}
HINTS: dict[int, str] = {
    Status.ARENA: "a smaller model, fewer trained layers, or a board with more RAM",
    Status.SPACE: "a smaller model, or a board with more flash",
    Status.EMPTY: "upload_artifact() first",
    Status.INVALID: "set_parameters() or reset_learner()",
    Status.LAYOUT: "reset_learner() or set_parameters() with the wanted layers first",
    Status.SELF_TEST: "host and board disagree on this model: report it with the artefact",
    Status.NO_ANSWER: "check that the board is powered and the port is the right one",
}
