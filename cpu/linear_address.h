#pragma once
#include <cstdint>

#include "mmu/spec/paging.h"

namespace hvsim::cpu {

/// Canonical on the processor models, which all have 48-bit linear addresses.
constexpr bool is_canonical(std::uint64_t address) noexcept {
    return mmu::paging::is_canonical(address, 48);
}

}  // namespace hvsim::cpu
