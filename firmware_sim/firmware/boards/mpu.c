/* A fence around the board's memory (PMSAv7 MPU): what the emulator has beyond the board's RAM
 * and flash faults, the image is read-only, RAM and slots do not execute. Does nothing on a core
 * without an MPU. Later regions win over earlier ones. */
#include "../board.h"
#include "startup.h"

#if __ARM_ARCH < 8

#define MPU_TYPE (*(volatile uint32_t *)0xe000ed90u)
#define MPU_CTRL (*(volatile uint32_t *)0xe000ed94u)
#define MPU_RBAR (*(volatile uint32_t *)0xe000ed9cu)
#define MPU_RASR (*(volatile uint32_t *)0xe000eda0u)

#define NO_ACCESS (1u << 28)
#define READ_WRITE (3u << 24 | 1u << 28)
#define READ_ONLY (6u << 24 | 1u << 28)
#define EXECUTE (6u << 24)
#define NORMAL (1u << 17) /* write-through, not shared */
#define BANK_LOG2 23u     /* each memory bank of an MPS2 board and its alias: 8 MB */
#define SMALLEST_LOG2 5u

static uint32_t next_region;

static void region(uint32_t base, uint32_t log2_bytes, uint32_t access)
{
    MPU_RBAR = base | 1u << 4 | next_region++;
    MPU_RASR = access | NORMAL | (log2_bytes - 1u) << 1 | 1u;
}

/* Cover [base, base + bytes) by powers of two, largest first, so that each is aligned. */
static void cover(uint32_t base, uint32_t bytes, uint32_t access)
{
    for (uint32_t log2 = BANK_LOG2; log2 >= SMALLEST_LOG2; log2--) {
        if ((bytes & 1u << log2) != 0) {
            region(base, log2, access);
            base += 1u << log2;
        }
    }
}

void fence_memory(void)
{
    const board_info *info = (const board_info *)BOARD_INFO_ADDRESS;
    if ((MPU_TYPE >> 8 & 0xffu) < 8u || info->magic != BOARD_INFO_MAGIC) {
        return;
    }
    next_region = 0;
    region(0, BANK_LOG2, NO_ACCESS);
    cover(0, info->flash_bytes, READ_WRITE);
    region(0, 16, EXECUTE);
    region(BOARD_INFO_ADDRESS, 12, READ_ONLY);
    region(BOARD_RAM_BASE, BANK_LOG2, NO_ACCESS);
    cover(BOARD_RAM_BASE, info->ram_bytes, READ_WRITE);
    MPU_CTRL = 5; /* on; the default map for all that no region covers */
    __asm__ volatile("dsb\nisb" ::: "memory");
}
#endif
