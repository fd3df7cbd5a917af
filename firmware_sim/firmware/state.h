/*
 * What the learner has learnt, in flash: two banks behind the artefact that it belongs to, each
 * written in turn, so a power cut leaves the state before. A bank is a record, then the trained
 * parameters in the order of the file, then mean and m2 of the standardiser:
 *   0   magic         "TFST"
 *   4   sequence      the valid bank with the highest one counts
 *   8   architecture  of the model: kinds, shapes and options of all its layers, as 32 bits
 *   12  layout        train_layers, flags << 16
 *   16  parameters    float32 count
 *   20  features      of the standardiser; 0: it has none
 *   24  count         samples that the standardiser has seen
 *   28  owner         SHA-256 of the artefact
 *   60  digest        SHA-256 of what follows the record
 *   92  check         CRC-16 of bytes 0-91
 *   96  dropped       0xffffffff; else it was thrown away
 *   100 unused, up to STATE_RECORD_BYTES
 * The record is written last.
 */
#ifndef STATE_H
#define STATE_H

#include "agent.h"

#define STATE_RECORD_BYTES 128u

/* Write what the running model has learnt behind its file. LINK_E_SPACE: no room, both figures. */
int32_t state_save(agent *a);

/* Take what was saved for the file in `slot` into the running model, if the architectures agree;
 * lays the learner out as it was then. False: there is nothing, and nothing was changed. */
bool state_load(agent *a, int32_t slot, const slot_file *file);

/* Throw away what was saved for the running artefact. */
void state_forget(const agent *a);

/* Whether something is saved for the running artefact. */
bool state_saved(const agent *a);

#endif
