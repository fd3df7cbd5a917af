/* The last words of a board that has crashed. */
#include "boards/startup.h"
#include "cbor.h"
#include "frames.h"
#include "port.h"
#include "protocol.h"

#define FAULT_ADDRESS (*(volatile uint32_t *)0xe000ed34u) /* MMFAR: what the MPU refused */
#define FAULT_BYTES 32u
#define FRAME_PC 6u /* word of the exception frame */

/* Says where it crashed, as far as the core knows. Called by the fault handler. */
void report_fault(const uint32_t *frame)
{
    static uint8_t message[FAULT_BYTES];
    cb_writer w;
    cb_begin(&w, message, sizeof message);
    cb_put_uint(&w, KEY_OP, OP_FAULT);
    cb_put_uint(&w, KEY_SEQ, 0);
    cb_put_uint(&w, KEY_PC, frame[FRAME_PC]);
    cb_put_uint(&w, KEY_ADDRESS, FAULT_ADDRESS);
    port_put_link(0);
    fr_send(message, w.length, port_put_link);
    port_crashed();
}
