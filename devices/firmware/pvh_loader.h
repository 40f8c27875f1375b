#pragma once
// Puts an ELF kernel into memory by the x86/HVM direct boot ABI (spec/pvh.h).
#include "devices/firmware/kernel_request.h"

namespace hvsim::devices::firmware {

/// Writes the kernel, its modules, command line, memory map and start information. Throws
/// ConfigError for a file that is no PVH kernel, contradicts itself or does not fit RAM.
StartState load_pvh(const KernelRequest& request, GuestMemoryWriter& memory);

}  // namespace hvsim::devices::firmware
