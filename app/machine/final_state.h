#pragma once
#include "cpu/arch_state.h"
#include "sim/ram.h"
#include "sim/recorder.h"

namespace hvsim::app {

/// Adds a core's registers to the digest, in a fixed order.
void add_registers(sim::Digest& digest, const cpu::ArchState& core);
/// Adds the pages of [address, address+length) that are not all zero, with their addresses.
void add_memory(sim::Digest& digest, const sim::Ram& ram, std::uint64_t address,
                std::uint64_t length);

}  // namespace hvsim::app
