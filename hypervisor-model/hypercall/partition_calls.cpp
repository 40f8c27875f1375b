// Life and properties of partitions (TLFS 5, 18).
#include "hypervisor-model/hypercall/handlers.h"

namespace hvsim::hv::handlers {

// DEVIATION: the masks of disabled processor features that later revisions append to this input are
// not read: a child sees the features of HypervisorConfig::guest_features and the host's CPUID.
HvStatus create_partition(Call& call, const hc::CreatePartition& in, hc::PartitionOut& out) {
    constexpr u32 kProximityValid = 1u << 31;
    // One memory domain: number 0.
    if ((in.proximity_flags & kProximityValid) != 0 && in.proximity_domain != 0)
        return HvStatus::invalid_proximity_domain_info;
    Partition* created = nullptr;
    const HvStatus status = call.hypervisor.create_partition(call.partition, created, call.now);
    if (status == HvStatus::success) out.partition = created->id();
    return status;
}

HvStatus initialize_partition(Call& call, const hc::PartitionOnly& in) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::no, target);
    return status == HvStatus::success ? target->initialize(call.now) : status;
}

HvStatus finalize_partition(Call& call, const hc::PartitionOnly& in) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::no, target);
    return status == HvStatus::success ? target->finalize(call.now) : status;
}

HvStatus delete_partition(Call& call, const hc::PartitionOnly& in) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::no, target);
    return status == HvStatus::success ? call.hypervisor.delete_partition(*target, call.now)
                                       : status;
}

HvStatus get_partition_property(Call& call, const hc::GetProperty& in, hc::Value64& out) {
    const Self self =
        call.partition.has_privilege(Privilege::access_partition_id) ? Self::yes : Self::no;
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, self, target);
    return status == HvStatus::success ? target->get_property(in.code, out.value, call.now)
                                       : status;
}

HvStatus set_partition_property(Call& call, const hc::SetProperty& in) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::no, target);
    return status == HvStatus::success ? target->set_property(in.code, in.value, call.now) : status;
}

HvStatus get_partition_id(Call& call, hc::PartitionOut& out) {
    out.partition = call.partition.id();
    return HvStatus::success;
}

HvStatus get_next_child_partition(Call& call, const hc::NextChild& in, hc::PartitionOut& out) {
    const Self self =
        call.partition.has_privilege(Privilege::create_partitions) ? Self::yes : Self::no;
    Partition* parent = nullptr;
    const HvStatus status = target_partition(call, in.parent, self, parent);
    if (status != HvStatus::success) return status;
    out.partition = call.hypervisor.next_child(parent->id(), in.previous);
    return HvStatus::success;
}

HvStatus install_intercept(Call& call, const hc::InstallIntercept& in) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::no, target);
    if (status != HvStatus::success) return status;
    return target->install_intercept(static_cast<InterceptType>(in.type), in.access, in.parameter);
}

HvStatus get_lp_run_time(Call& call, const hc::LpOnly& in, hc::LpRunTime& out) {
    const LogicalProcessors& processors = call.hypervisor.services().processors;
    if (in.lp >= processors.count()) return HvStatus::invalid_lp_index;
    const LpRunTimes times = processors.run_times(in.lp, call.now);
    out.global_time = call.now / (100 * sim::kNanosecond);
    out.local_run_time = times.run_time;
    out.hypervisor_time = times.hypervisor_time;
    return HvStatus::success;
}

// No extended capability is offered.
HvStatus ext_query_capabilities(Call&, hc::Value64& out) {
    out.value = 0;
    return HvStatus::success;
}

CallResult ext_memory_heat_hint(Call&, const hc::Value64& in, RepRange,
                                std::span<const u64> ranges) {
    constexpr u64 kColdDiscard = 2, kTypeMask = 3;
    if ((in.value & kTypeMask) != kColdDiscard) return {HvStatus::invalid_parameter, 0};
    // A hint may be ignored.
    return {HvStatus::success, static_cast<unsigned>(ranges.size())};
}

}  // namespace hvsim::hv::handlers
