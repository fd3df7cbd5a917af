/* The port for Arm's MPS2 and MPS3 boards, as QEMU and our Unicorn machine model them: CMSDK UARTs, and
 * flash that is written like memory. */
#include "port.h"

#include "boards/startup.h"

#define UART_STRIDE 0x1000u
#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_RX_RXINT 0x0bu
#define NVIC_ENABLE (*(volatile uint32_t *)(0xe000e100u + 4u * BOARD_NVIC_WORD))
#define NVIC_UNPEND (*(volatile uint32_t *)(0xe000e280u + 4u * BOARD_NVIC_WORD))

typedef struct uart {
    volatile uint32_t data, state, ctrl, interrupt, divider;
} uart;

static uart *const LINES[2] = {(uart *)BOARD_UART_BASE, (uart *)(BOARD_UART_BASE + UART_STRIDE)};

const board_info *port_info(void)
{
    return (const board_info *)BOARD_INFO_ADDRESS;
}

uint8_t *port_arena(uint32_t *size)
{
    uintptr_t end = BOARD_RAM_BASE + (uintptr_t)port_info()->ram_bytes;
    *size = (uint32_t)(end - (uintptr_t)image_arena);
    return image_arena;
}

uint32_t port_peak_stack(void)
{
    const uint32_t *at = image_stack;
    while (at < image_stack_top && *at == STACK_PAINT) {
        at++;
    }
    return (uint32_t)((uintptr_t)image_stack_top - (uintptr_t)at);
}

void port_init(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        LINES[i]->divider = 16;
        LINES[i]->ctrl = CTRL_TX_RX_RXINT;
        (void)LINES[i]->data; /* drops what is stale, and makes QEMU offer what is waiting */
    }
    NVIC_ENABLE = BOARD_RX_INTERRUPTS;
}

bool port_get(port_line line, uint8_t *byte)
{
    if ((LINES[line]->state & STATE_RX_FULL) == 0) {
        return false;
    }
    *byte = (uint8_t)LINES[line]->data;
    return true;
}

void port_put(port_line line, uint8_t byte)
{
    while ((LINES[line]->state & STATE_TX_FULL) != 0) {
    }
    LINES[line]->data = byte;
}

void port_put_link(uint8_t byte)
{
    port_put(PORT_LINK, byte);
}

/* Interrupts stay masked: a pending one only ends the sleep. A byte that comes after the flags
 * are cleared and before `wfi` sets them again, so none is slept through. */
void port_idle(port_line line)
{
    LINES[0]->interrupt = 2;
    LINES[1]->interrupt = 2;
    NVIC_UNPEND = BOARD_RX_INTERRUPTS;
    if ((LINES[line]->state & STATE_RX_FULL) == 0) {
        __asm__ volatile("wfi" ::: "memory");
    }
}

#define FLASH_PAGE 4096u

uint32_t port_flash_page(void)
{
    return FLASH_PAGE;
}

/* The emulator's flash is plain memory. What silicon would not do is a crash here. */
static void insist(bool allowed)
{
    if (!allowed) {
        __builtin_trap();
    }
}

void port_flash_erase(uint32_t address)
{
    volatile uint32_t *word = (volatile uint32_t *)(uintptr_t)address;
    insist(address % FLASH_PAGE == 0);
    for (uint32_t i = 0; i < FLASH_PAGE / 4u; i++) {
        word[i] = 0xffffffffu;
    }
}

void port_flash_write(uint32_t address, const uint8_t *data, uint32_t size)
{
    volatile uint8_t *byte = (volatile uint8_t *)(uintptr_t)address;
    insist(address % 4u == 0);
    for (uint32_t i = 0; i < size; i++) {
        insist((byte[i] & data[i]) == data[i]);
        byte[i] = data[i];
    }
}

/* Whoever runs the emulator restarts it: a reset of its own would lose QEMU's flash. */
void port_crashed(void)
{
}
