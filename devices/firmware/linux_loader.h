#pragma once
// Puts a Linux kernel into memory by the 64-bit boot protocol (boot.rst, "64-bit boot protocol").
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "devices/firmware/guest_memory_writer.h"
#include "devices/firmware/memory_plan.h"
#include "devices/firmware/start_state.h"

namespace hvsim::devices::firmware {

/// What the loader uses of low memory; all of it usable RAM once the kernel has its own tables.
inline constexpr std::uint64_t kGdtAddress = 0x1000;
inline constexpr std::uint64_t kBootParamsAddress = 0x2000;
inline constexpr std::uint64_t kCommandLineAddress = 0x3000;  ///< one page
inline constexpr std::uint64_t kPageTablesAddress = 0x4000;   ///< six pages

struct LinuxBootRequest {
    std::span<const std::uint8_t> kernel;     ///< a bzImage
    std::span<const std::uint8_t> initramfs;  ///< empty: none
    std::string command_line;
    MemoryPlan memory;
    std::uint64_t acpi_rsdp = 0;         ///< 0: the guest searches itself
    std::string kernel_name = "kernel";  ///< names for error messages: the files' paths
    std::string initramfs_name = "initramfs";
    sim::SourceLocation where;  ///< of the machine in its configuration file
};

/// Registers of the first processor when the kernel starts. General registers not named are zero,
/// RFLAGS is 2 (interrupts off), the IDT is empty.
struct LinuxBootState {
    BootSegment cs, ds, es, ss, fs, gs, tr, ldtr;
    std::uint64_t gdt_base = 0;
    std::uint16_t gdt_limit = 0;
    std::uint64_t cr0 = 0;
    std::uint64_t cr3 = 0;
    std::uint64_t cr4 = 0;
    std::uint64_t efer = 0;
    std::uint64_t rip = 0;
    std::uint64_t rsi = 0;  ///< boot_params
    // Where things were put, for reports.
    AddressRange kernel_file;    ///< the bytes of the image
    AddressRange kernel_memory;  ///< what the kernel claims before it reads the memory map
    AddressRange initramfs;
};

/// Whether the file has a bzImage's signatures.
bool is_linux_kernel(std::span<const std::uint8_t> file);

/// Writes GDT, page tables, boot_params, command line, kernel and initramfs. Throws ConfigError
/// with a hint when the image is no 64-bit bzImage of protocol 2.12 or later, is truncated or
/// contradicts itself, when the command line is too long, or when RAM is too small.
LinuxBootState load_linux(const LinuxBootRequest& request, GuestMemoryWriter& memory);

/// The same registers in the form that all loaders share.
StartState start_state(const LinuxBootState& state);

}  // namespace hvsim::devices::firmware
