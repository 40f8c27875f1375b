#pragma once
// Puts a kernel into memory by the Multiboot specification, version 1 (spec/multiboot.h).
#include "devices/firmware/kernel_request.h"

namespace hvsim::devices::firmware {

/// Whether the file's first 8 KiB hold a multiboot header with a right checksum.
bool has_multiboot_header(std::span<const std::uint8_t> file);

/// Writes the kernel (ELF, or what the header's address fields say), its modules, command line,
/// memory map and the multiboot information. The kernel's name is the command line's first word.
/// The modules' strings are file name and text. Throws ConfigError for a file that is no multiboot
/// kernel, contradicts itself, wants what there is not (a video mode), or does not fit RAM.
StartState load_multiboot(const KernelRequest& request, GuestMemoryWriter& memory);

}  // namespace hvsim::devices::firmware
