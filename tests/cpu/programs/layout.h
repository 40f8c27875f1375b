// Where things lie in the memory of the guest programs: read by the assembler and by the tests, so
// it holds nothing but numbers.
#pragma once

#define RAM_BYTES 0x400000

// Four-level page tables: the first 2 MiB one to one in 4 KiB pages, user and writable; the
// interrupt controllers' and the device's addresses as 2 MiB pages.
#define PML4 0x1000
#define PDPT 0x2000
#define PD 0x3000
#define PT 0x4000
#define PD_HIGH 0x5000
#define PTE(address) (PT + ((address) >> 12) * 8)

#define GDT 0x6000
#define GDT_LIMIT 0x8f
#define TSS 0x6800
#define TSS_LIMIT 0x2ff
#define TSS_IO_BITMAP 0x100
#define IDT 0x7000
#define IDT_LIMIT 0xfff

#define CODE_BASE 0x8000

// The handlers' log: a count, then records of LOG_RECORD bytes.
#define LOG 0x18000
#define LOG_FIRST (LOG + 0x40)
#define LOG_RECORD 96
#define LOG_CAPACITY 80

#define USER_STACK 0x1c000
#define IST1_STACK 0x1d000
#define IST2_STACK 0x1d800
#define KERNEL_STACK 0x1e000
#define STACK 0x1f000

// Results of the programs, and pages to play with.
#define DATA 0x20000
#define PAGES 0x30000

// Selectors. The order of 0x18 to 0x28 is what SYSRET and SYSEXIT want.
#define CODE64 0x08
#define DATA_FLAT 0x10
#define USER_CODE32 0x18
#define USER_DATA 0x20
#define USER_CODE64 0x28
#define USER_DATA_SYSEXIT 0x30
#define TASK 0x38
#define CODE32 0x48
#define CODE16 0x50
#define DATA16 0x58
#define ABSENT_DATA 0x60
#define ABSENT_CODE 0x68
#define READ_ONLY 0x70
#define CONFORMING 0x78
#define BEYOND_GDT 0x98

// The device on the bus.
#define DEVICE 0xfec00000
#define LOCAL_APIC 0xfee00000

// What hosts of guests note of each exit: a count, then records of 1 << EXIT_SHIFT bytes.
#define EXITS 0x100000
#define EXITS_FIRST (EXITS + 0x1000)
#define EXIT_SHIFT 12
#define EXIT_CAPACITY 240
#define EXIT_PLACE 8
#define EXIT_REGISTERS 16
