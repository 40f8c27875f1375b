#pragma once
// The form of the MSR tables: number, name, rights, reserved bits and what an access does.
#include <cstdint>
#include <span>
#include <string_view>

#include "hypervisor-model/spec/privileges.h"
#include "hypervisor-model/virtual_processor.h"

namespace hvsim::hv {

struct MsrRow {
    using Read = MsrResult (*)(VirtualProcessor& vp, unsigned n, sim::Time now);
    using Write = MsrResult (*)(VirtualProcessor& vp, unsigned n, std::uint64_t value,
                                sim::Time now);
    std::uint32_t first;
    std::uint32_t count;  ///< consecutive MSRs of this kind
    std::string_view name;
    Privilege privilege;     ///< without it: #GP
    std::uint32_t feature;   ///< CPUID 0x40000003 EDX bits, all needed: else #GP
    std::uint64_t reserved;  ///< a write that sets one of these: #GP
    Read read;               ///< nullptr: #GP
    Write write;             ///< nullptr: #GP
};

/// In numerical order.
std::span<const MsrRow> synthetic_msrs();
std::span<const MsrRow> architectural_msrs();
/// nullptr: neither table has it.
const MsrRow* find_msr_row(std::uint32_t index);

}  // namespace hvsim::hv
