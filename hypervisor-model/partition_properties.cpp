// HvCallGetPartitionProperty and HvCallSetPartitionProperty: one table of properties.
#include <algorithm>
#include <array>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/partition.h"
#include "hypervisor-model/spec/properties.h"

namespace hvsim::hv {
namespace {

enum class SetWhen : std::uint8_t { never, created, before_vps, any };

struct PropertyRow {
    std::uint32_t code;
    SetWhen when;
    std::uint64_t minimum, maximum;  ///< of a value to set
};

constexpr std::uint64_t kAnyValue = ~std::uint64_t{0};
constexpr std::array kProperties{
    PropertyRow{property::kPrivilegeFlags, SetWhen::created, 0, kAnyValue},
    PropertyRow{property::kSyntheticProcessorFeatures, SetWhen::created, 0, kAnyValue},
    PropertyRow{property::kSuspend, SetWhen::any, 0, 1},
    PropertyRow{property::kCpuReserve, SetWhen::any, 0, property::kFullShare},
    PropertyRow{property::kCpuCap, SetWhen::any, 0, property::kFullShare},
    PropertyRow{property::kCpuWeight, SetWhen::any, 1, property::kMaximumWeight},
    PropertyRow{property::kCpuGroupId, SetWhen::any, 0, kAnyValue},
    PropertyRow{property::kTimeFreeze, SetWhen::any, 0, 1},
    PropertyRow{property::kApicFrequency, SetWhen::never, 0, 0},
    PropertyRow{property::kReferenceTime, SetWhen::any, 0, kAnyValue >> 1},
    PropertyRow{property::kVirtualTlbPageCount, SetWhen::never, 0, 0},
    PropertyRow{property::kVsmConfig, SetWhen::never, 0, 0},
    PropertyRow{property::kZeroMemoryOnReset, SetWhen::any, 0, 1},
    PropertyRow{property::kProcessorsPerSocket, SetWhen::before_vps, 0, 2048},
    PropertyRow{property::kUnimplementedMsrAction, SetWhen::any, 0, 1},
    PropertyRow{property::kReferenceTscPageActive, SetWhen::never, 0, 0},
    PropertyRow{property::kAutoEoiEnabled, SetWhen::never, 0, 0},
    PropertyRow{property::kProcessorVendor, SetWhen::never, 0, 0},
    PropertyRow{property::kClflushSize, SetWhen::never, 0, 0},
    PropertyRow{property::kCompatibilityVersion, SetWhen::created, 0, 0xffff'ffff},
    PropertyRow{property::kPhysicalAddressWidth, SetWhen::never, 0, 0},
    PropertyRow{property::kProcessorClockFrequency, SetWhen::never, 0, 0},
    PropertyRow{property::kGuestOsId, SetWhen::never, 0, 0},
};

const PropertyRow* find_property(std::uint32_t code) {
    const auto found = std::find_if(kProperties.begin(), kProperties.end(),
                                    [&](const PropertyRow& row) { return row.code == code; });
    return found == kProperties.end() ? nullptr : &*found;
}

/// HV_PARTITION_SYNTHETIC_PROCESSOR_FEATURES bank 0 to what it turns on.
struct SyntheticFeature {
    unsigned bit;
    PrivilegeMask privileges;
    std::uint32_t features;
    std::uint32_t hints;
};
constexpr std::array kSyntheticFeatures{
    SyntheticFeature{2, mask_of(Privilege::access_vp_runtime), 0, 0},
    SyntheticFeature{3, mask_of(Privilege::access_reference_counter), 0, 0},
    SyntheticFeature{4, mask_of(Privilege::access_synic), 0, 0},
    SyntheticFeature{5, mask_of(Privilege::access_synthetic_timers), 0, 0},
    SyntheticFeature{6, mask_of(Privilege::access_interrupt_control), 0, cpuid::kApicMsrs},
    SyntheticFeature{7, mask_of(Privilege::access_hypercall_msrs), 0, 0},
    SyntheticFeature{8, mask_of(Privilege::access_vp_index), 0, 0},
    SyntheticFeature{9, mask_of(Privilege::access_reference_tsc), 0, 0},
    SyntheticFeature{10, mask_of(Privilege::access_guest_idle), cpuid::kGuestIdleAvailable, 0},
    SyntheticFeature{11, mask_of(Privilege::access_frequencies), cpuid::kFrequencyMsrs, 0},
    SyntheticFeature{20, mask_of(Privilege::start_virtual_processor), 0, 0},
    SyntheticFeature{22, 0, cpuid::kDirectTimers, 0},
    SyntheticFeature{24, 0, 0, cpuid::kExtendedProcessorMasks},
    SyntheticFeature{25, 0, 0, cpuid::kRemoteFlush},
    SyntheticFeature{26, 0, 0, cpuid::kClusterIpi},
    SyntheticFeature{29, mask_of(Privilege::signal_events), 0, 0},
};

std::uint64_t synthetic_features(const PartitionFeatures& features) {
    std::uint64_t value = 3;  // hypervisor present, Hv#1
    for (const SyntheticFeature& row : kSyntheticFeatures)
        if ((features.privileges & row.privileges) == row.privileges &&
            (features.features & row.features) == row.features &&
            (features.hints & row.hints) == row.hints)
            value |= std::uint64_t{1} << row.bit;
    return value;
}

void set_synthetic_features(PartitionFeatures& features, std::uint64_t value) {
    for (const SyntheticFeature& row : kSyntheticFeatures) {
        features.privileges &= ~row.privileges;
        features.features &= ~row.features;
        features.hints &= ~row.hints;
    }
    for (const SyntheticFeature& row : kSyntheticFeatures) {
        if (!sim::bit(value, row.bit)) continue;
        features.privileges |= row.privileges;
        features.features |= row.features;
        features.hints |= row.hints;
    }
}

}  // namespace

HvStatus Partition::get_property(std::uint32_t code, std::uint64_t& value, sim::Time now) const {
    if (find_property(code) == nullptr) return HvStatus::unknown_property;
    const HypervisorConfig& config = hypervisor_.config();
    switch (code) {
        case property::kPrivilegeFlags:
            value = features_.privileges;
            break;
        case property::kSyntheticProcessorFeatures:
            value = synthetic_features(features_);
            break;
        case property::kSuspend:
            value = suspended_;
            break;
        case property::kCpuReserve:
            value = scheduling_.reserve;
            break;
        case property::kCpuCap:
            value = scheduling_.cap;
            break;
        case property::kCpuWeight:
            value = scheduling_.weight;
            break;
        case property::kCpuGroupId:
            value = scheduling_.group;
            break;
        case property::kTimeFreeze:
            value = time_.frozen();
            break;
        case property::kApicFrequency:
            value = config.apic_timer_hz;
            break;
        case property::kReferenceTime:
            value = time_.at(now);
            break;
        case property::kZeroMemoryOnReset:
            value = zero_memory_on_reset_;
            break;
        case property::kProcessorsPerSocket:
            value = processors_per_socket_;
            break;
        case property::kUnimplementedMsrAction:
            value = ignore_unknown_msrs_;
            break;
        case property::kReferenceTscPageActive:
            value = msr::enabled(reference_tsc_msr_);
            break;
        case property::kAutoEoiEnabled:
            value = (features_.hints & cpuid::kAutoEoiDeprecated) == 0;
            break;
        case property::kProcessorVendor:
            value = config.vendor == Vendor::intel ? 1 : 0;
            break;
        case property::kClflushSize:
            value = 8;
            break;  // in 8-byte units, as CPUID 1 EBX
        case property::kCompatibilityVersion:
            value = compatibility_version_;
            break;
        case property::kPhysicalAddressWidth:
            value = config.physical_address_bits;
            break;
        case property::kProcessorClockFrequency:
            value = config.tsc_hz;
            break;
        case property::kGuestOsId:
            value = guest_os_id_;
            break;
        default:
            value = 0;
            break;
    }
    return HvStatus::success;
}

HvStatus Partition::set_privileges(std::uint64_t value) {
    const Partition* parent = hypervisor_.find(parent_);
    // Nobody gives what he has not.
    const PrivilegeMask most = parent != nullptr ? parent->privileges() : kRootPrivileges;
    if ((value & ~most) != 0) return HvStatus::property_value_out_of_range;
    features_.privileges = value;
    return HvStatus::success;
}

HvStatus Partition::set_property(std::uint32_t code, std::uint64_t value, sim::Time now) {
    const PropertyRow* row = find_property(code);
    if (row == nullptr) return HvStatus::unknown_property;
    if (row->when == SetWhen::never) return HvStatus::operation_denied;
    if (state_ == PartitionState::finalized ||
        (row->when == SetWhen::created && state_ != PartitionState::created) ||
        (row->when == SetWhen::before_vps && vp_count_ != 0))
        return HvStatus::invalid_partition_state;
    if (value < row->minimum || value > row->maximum) return HvStatus::property_value_out_of_range;
    switch (code) {
        case property::kPrivilegeFlags:
            return set_privileges(value);
        case property::kSyntheticProcessorFeatures:
            set_synthetic_features(features_, value);
            break;
        case property::kSuspend:
            set_suspended(value != 0, now);
            break;
        case property::kCpuReserve:
            scheduling_.reserve = value;
            break;
        case property::kCpuCap:
            scheduling_.cap = value;
            break;
        case property::kCpuWeight:
            scheduling_.weight = value;
            break;
        case property::kCpuGroupId:
            scheduling_.group = value;
            break;
        case property::kTimeFreeze:
            set_frozen(value != 0, now);
            break;
        case property::kReferenceTime:
            time_.set(value, now);
            update_reference_tsc_page();
            for (VirtualProcessor* vp : vps()) vp->clock_changed(now);
            break;
        case property::kZeroMemoryOnReset:
            zero_memory_on_reset_ = value;
            break;
        case property::kProcessorsPerSocket:
            processors_per_socket_ = static_cast<std::uint32_t>(value);
            break;
        case property::kUnimplementedMsrAction:
            ignore_unknown_msrs_ = value != 0;
            break;
        case property::kCompatibilityVersion:
            compatibility_version_ = value;
            break;
        default:
            break;
    }
    return HvStatus::success;
}

void Partition::set_suspended(bool suspended, sim::Time now) {
    suspended_ = suspended;
    if (suspended) return;
    for (VirtualProcessor* vp : vps()) hypervisor_.services().waker.wake(*vp, now);
}

void Partition::set_frozen(bool frozen, sim::Time now) {
    time_.set_frozen(frozen, now);
    for (VirtualProcessor* vp : vps()) vp->clock_changed(now);
}

}  // namespace hvsim::hv
