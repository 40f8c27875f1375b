// CPUID of a virtual processor: the hypervisor's leaves (TLFS 4) and the host's, made fit for this
// partition and processor.
#include <algorithm>
#include <array>
#include <bit>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/spec/cpuid.h"
#include "hypervisor-model/spec/x86_msr.h"
#include "hypervisor-model/virtual_processor.h"
#include "sim/bits.h"

namespace hvsim::hv {
namespace {

/// Bits a partition never sees: what the hypervisor keeps for itself or does not virtualize.
struct HiddenBits {
    std::uint32_t leaf;
    CpuidResult hidden;
    bool visible_when_nested;
};
constexpr std::uint32_t kAll = ~0u;
constexpr std::array kHidden{
    // MONITOR, DTES64, DS-CPL, SMX, EIST, TM2, SDBG, xTPR, PDCM; DS, ACPI, TM, PBE
    HiddenBits{
        1,
        {0, 0,
         1u << 3 | 1u << 2 | 1u << 4 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 11 | 1u << 14 | 1u << 15,
         1u << 21 | 1u << 22 | 1u << 29 | 1u << 31},
        false},
    HiddenBits{1, {0, 0, 1u << 5, 0}, true},         // VMX
    HiddenBits{5, {kAll, kAll, kAll, kAll}, false},  // MONITOR/MWAIT
    HiddenBits{6, {~4u, kAll, kAll, kAll}, false},   // power management, but ARAT
    HiddenBits{7, {0, 1u << 1 | 1u << 2 | 1u << 12 | 1u << 15 | 1u << 25, 0, 0}, false},
    HiddenBits{0xa, {kAll, kAll, kAll, kAll}, false},   // performance monitoring
    HiddenBits{0x8000'0001, {0, 0, 1u << 2, 0}, true},  // SVM
    HiddenBits{0x8000'0001, {0, 0, 1u << 10 | 1u << 12 | 1u << 13 | 1u << 29, 0}, false},
    HiddenBits{0x8000'0007, {kAll, kAll, kAll, ~(1u << 8)}, false},
    HiddenBits{0x8000'000a, {kAll, kAll, kAll, kAll}, true},
};

constexpr CpuidResult without(const CpuidResult& value, const CpuidResult& hidden) {
    return {value.eax & ~hidden.eax, value.ebx & ~hidden.ebx, value.ecx & ~hidden.ecx,
            value.edx & ~hidden.edx};
}

constexpr void assign(std::uint32_t& word, unsigned n, bool value) {
    word = value ? word | 1u << n : word & ~(1u << n);
}

constexpr std::uint32_t blend(std::uint32_t value, std::uint32_t result, std::uint32_t mask) {
    return (value & ~mask) | (result & mask);
}

CpuidResult hypervisor_leaf(const Hypervisor& hypervisor, const Partition& partition,
                            std::uint32_t leaf) {
    const HypervisorConfig& config = hypervisor.config();
    const PartitionFeatures& features = partition.features();
    switch (leaf) {
        case cpuid::kVendor:
            return {cpuid::kNestedVirtualization, cpuid::kMicr, cpuid::kOsof, cpuid::kTHv};
        case cpuid::kInterface:
            return {cpuid::kHv1, 0, 0, 0};
        case cpuid::kVersion:
            return {config.build, config.major_version << 16 | config.minor_version,
                    config.service_pack, config.service_branch << 24 | config.service_number};
        case cpuid::kFeatures:
            return {static_cast<std::uint32_t>(features.privileges),
                    static_cast<std::uint32_t>(features.privileges >> 32), 0, features.features};
        case cpuid::kRecommendations:
            return {features.hints, features.long_spin_count, config.physical_address_bits, 0};
        case cpuid::kLimits:
            return {config.max_vps, hypervisor.services().processors.count(), 0, 0};
        case cpuid::kHardwareFeatures:
            return {cpuid::kMsrBitmaps | cpuid::kSecondLevelTranslation | cpuid::kDmaRemapping |
                        cpuid::kInterruptRemapping,
                    0, 0, 0};
        case cpuid::kStackVendor:
            return {cpuid::kStackProperties, cpuid::kMicr, cpuid::kOsof, cpuid::kTVs};
        case cpuid::kStackInterface:
            return {cpuid::kVs1, 0, 0, 0};
        default:
            return {};
    }
}

}  // namespace

CpuidResult VirtualProcessor::cpuid(std::uint32_t leaf, std::uint32_t subleaf) const {
    const bool hypervisors = leaf >= cpuid::kVendor && leaf <= cpuid::kRangeEnd;
    CpuidResult value =
        hypervisors ? hypervisor_leaf(hypervisor_, partition_, leaf) : guest_cpuid(leaf, subleaf);
    auto found = cpuid_overrides_.find({leaf, subleaf});
    if (found == cpuid_overrides_.end()) {
        found = cpuid_overrides_.find({leaf, 0});
        if (found == cpuid_overrides_.end() || found->second.subleaf_specific) return value;
    }
    const auto& [specific, result, mask] = found->second;
    return {blend(value.eax, result.eax, mask.eax), blend(value.ebx, result.ebx, mask.ebx),
            blend(value.ecx, result.ecx, mask.ecx), blend(value.edx, result.edx, mask.edx)};
}

HvStatus VirtualProcessor::register_cpuid_result(const hc::RegisterInterceptResult& input) {
    constexpr std::size_t kMostResults = 256;
    const auto& c = input.cpuid;
    const std::pair key{c.eax, c.subleaf_specific != 0 ? c.ecx : 0u};
    if (cpuid_overrides_.size() >= kMostResults && !cpuid_overrides_.contains(key))
        return HvStatus::no_resources;
    cpuid_overrides_[key] = {c.subleaf_specific != 0,
                             {c.result_eax, c.result_ebx, c.result_ecx, c.result_edx},
                             {c.mask_eax, c.mask_ebx, c.mask_ecx, c.mask_edx}};
    return HvStatus::success;
}

CpuidResult VirtualProcessor::guest_cpuid(std::uint32_t leaf, std::uint32_t subleaf) const {
    constexpr unsigned kCr4Osxsave = 18, kCr4Pke = 22;
    CpuidResult value = hypervisor_.services().cpuid.cpuid(leaf, subleaf);
    for (const HiddenBits& row : kHidden)
        if (row.leaf == leaf && !(row.visible_when_nested && partition_.features().nested))
            value = without(value, row.hidden);
    const std::uint64_t cr4 = context_ != nullptr ? context_->cr(4) : 0;
    switch (leaf) {
        case 1:
            assign(value.ecx, 31, true);  // a hypervisor is present
            assign(value.ecx, 27, sim::bit(cr4, kCr4Osxsave));
            assign(value.ecx, 21, apic_.config().x2apic);
            assign(value.ecx, 24, apic_.config().tsc_deadline);
            assign(value.edx, 9, apic_.mode() != apic::ApicMode::disabled);
            break;
        case 7:
            if (subleaf == 0) assign(value.ecx, 4, sim::bit(cr4, kCr4Pke));
            break;
        case 0x8000'0001:
            assign(value.edx, 9,
                   sim::bit(value.edx, 9) && apic_.mode() != apic::ApicMode::disabled);
            break;
        case 0x8000'0007:
            // Only a guest that asked for it is told that its TSC is invariant (TLFS 12.2.3).
            if (!partition_.is_root() && (partition_.tsc_invariant_control() & 1) == 0)
                assign(value.edx, 8, false);
            break;
        default:
            break;
    }
    if (leaf == 0xd) return xsave_cpuid(subleaf, value);
    return topology_cpuid(leaf, subleaf, value);
}

/// Size of the XSAVE area for the components that XCR0 enables now (SDM 2A CPUID leaf 0DH).
CpuidResult VirtualProcessor::xsave_cpuid(std::uint32_t subleaf, CpuidResult base) const {
    constexpr std::uint32_t kLegacyArea = 512 + 64;
    if (subleaf > 1 || context_ == nullptr) return base;
    const std::uint64_t enabled = context_->xcr0();
    const bool compacted = subleaf == 1;
    if (compacted && base.eax == 0) return base;
    std::uint32_t size = kLegacyArea;
    for (unsigned i = 2; i < 63; ++i) {
        if (!sim::bit(enabled, i)) continue;
        const CpuidResult part = hypervisor_.services().cpuid.cpuid(0xd, i);
        size = compacted ? size + part.eax : std::max(size, part.ebx + part.eax);
    }
    base.ebx = size;
    return base;
}

/// One socket holds ProcessorsPerSocket cores (0: all of the partition) of one thread each.
CpuidResult VirtualProcessor::topology_cpuid(std::uint32_t leaf, std::uint32_t subleaf,
                                             CpuidResult base) const {
    const std::uint32_t per_socket = partition_.processors_per_socket() != 0
                                         ? partition_.processors_per_socket()
                                         : std::max(1u, partition_.vp_count());
    const std::uint32_t width = std::countr_zero(std::bit_ceil(per_socket));
    switch (leaf) {
        case 1:
            base.ebx =
                (base.ebx & 0xffff) | std::min(per_socket, 255u) << 16 | (apic_id() & 0xff) << 24;
            assign(base.edx, 28, per_socket > 1);  // HTT: several APIC ids in the package
            return base;
        case 4: {
            if ((base.eax & 0x1f) == 0) return base;
            const std::uint32_t level = base.eax >> 5 & 7;
            const std::uint32_t sharing = level >= 3 ? std::bit_ceil(per_socket) - 1 : 0;
            const std::uint32_t cores = std::min(std::bit_ceil(per_socket) - 1, 63u);
            base.eax = (base.eax & 0x3fff) | std::min(sharing, 0xfffu) << 14 | cores << 26;
            return base;
        }
        case 0xb:
        case 0x1f:
            base = {0, 0, subleaf & 0xff, apic_id()};
            if (subleaf == 0) {
                base.ebx = 1;
                base.ecx |= 1u << 8;  // SMT level
            } else if (subleaf == 1) {
                base.eax = width;
                base.ebx = per_socket;
                base.ecx |= 2u << 8;  // core level
            }
            return base;
        case 0x8000'0008:
            if (hypervisor_.config().vendor == Vendor::amd)
                base.ecx = width << 12 | (std::min(per_socket, 256u) - 1);
            return base;
        case 0x8000'001d: {
            if ((base.eax & 0x1f) == 0) return base;
            const std::uint32_t level = base.eax >> 5 & 7;
            base.eax = (base.eax & 0x3fff) | (level >= 3 ? per_socket - 1 : 0) << 14;
            return base;
        }
        case 0x8000'001e:
            if (hypervisor_.config().vendor == Vendor::amd)
                base = {apic_id(), apic_id() & 0xff, 0, 0};
            return base;
        default:
            return base;
    }
}

}  // namespace hvsim::hv
