/* Touches the address that the info page gives as clock_hz, and says so; 1 means: overflow the
 * stack. Linked with the firmware's startup, fence and fault report. */
#include "boards/startup.h"
#include "port.h"

int main(void)
{
    uint32_t address = port_info()->clock_hz;
    port_init();
    port_put_link('A');
    if (address == 1) {
        __asm__ volatile("mov sp, %0\npush {r0}" ::"r"(BOARD_RAM_BASE));
    }
    *(volatile uint32_t *)(uintptr_t)address = 1;
    port_put_link('B');
    return 0;
}
