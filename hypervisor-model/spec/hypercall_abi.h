#pragma once
// The hypercall input and result values (TLFS 3.8, 3.9).
#include <cstdint>

#include "hypervisor-model/spec/status.h"
#include "sim/bits.h"

namespace hvsim::hv {

struct HypercallInput {
    using CallCode = sim::Bits<15, 0>;
    using Fast = sim::Bits<16>;
    using VariableHeaderSize = sim::Bits<26, 17>;  ///< 8-byte units
    using Reserved0 = sim::Bits<30, 27>;
    using Nested = sim::Bits<31>;
    using RepCount = sim::Bits<43, 32>;
    using Reserved1 = sim::Bits<47, 44>;
    using RepStart = sim::Bits<59, 48>;
    using Reserved2 = sim::Bits<63, 60>;

    std::uint64_t value = 0;

    std::uint16_t code() const { return static_cast<std::uint16_t>(CallCode::get(value)); }
    bool fast() const { return Fast::test(value); }
    unsigned variable_bytes() const {
        return static_cast<unsigned>(VariableHeaderSize::get(value)) * 8;
    }
    unsigned rep_count() const { return static_cast<unsigned>(RepCount::get(value)); }
    unsigned rep_start() const { return static_cast<unsigned>(RepStart::get(value)); }
    bool reserved_clear() const {
        return !Reserved0::test(value) && !Reserved1::test(value) && !Reserved2::test(value) &&
               !Nested::test(value);
    }
};

struct HypercallResult {
    using Status = sim::Bits<15, 0>;
    using RepsCompleted = sim::Bits<43, 32>;
    static constexpr std::uint64_t make(HvStatus status, unsigned reps) {
        return RepsCompleted::set(static_cast<std::uint64_t>(status), reps);
    }
};

inline constexpr unsigned kFastRegisterBytes = 16;  ///< RDX, R8
inline constexpr unsigned kFastXmmBytes = 112;      ///< RDX, R8, XMM0-5

}  // namespace hvsim::hv
