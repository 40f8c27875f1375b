#pragma once
// The table of hypercalls that exist, ascending by code.
#include <span>

#include "hypervisor-model/hypercall/call.h"

namespace hvsim::hv {

std::span<const HypercallRow> hypercall_table();
/// nullptr: no such hypercall.
const HypercallRow* find_hypercall(std::uint16_t code);

}  // namespace hvsim::hv
