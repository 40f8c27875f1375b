// Whom a hypercall names: partitions, processors, sets of processors.
#include <bit>

#include "hypervisor-model/hypercall/call.h"

namespace hvsim::hv {

HvStatus target_partition(Call& call, PartitionId id, Self self, Partition*& target) {
    if (id == kSelfPartition || id == call.partition.id()) {
        if (self == Self::no) return HvStatus::access_denied;
        target = &call.partition;
        return HvStatus::success;
    }
    Partition* found = call.hypervisor.find(id);
    if (found == nullptr) return HvStatus::invalid_partition_id;
    if (found->parent() != call.partition.id()) return HvStatus::access_denied;
    target = found;
    return HvStatus::success;
}

HvStatus target_vp(Call& call, PartitionId id, Self self, VpIndex index,
                   VirtualProcessor*& target) {
    Partition* partition = nullptr;
    if (const HvStatus status = target_partition(call, id, self, partition);
        status != HvStatus::success)
        return status;
    if (!partition->active()) return HvStatus::invalid_partition_state;
    if (index == kSelfVp && partition == &call.partition)
        target = &call.vp;
    else
        target = partition->vp(index);
    return target != nullptr ? HvStatus::success : HvStatus::invalid_vp_index;
}

HvStatus expand_vp_set(Call& call, const hc::VpSetHeader& set, Banks banks,
                       std::vector<VirtualProcessor*>& targets) {
    if (set.format == hc::kVpSetAll) {
        targets = call.partition.vps();
        return HvStatus::success;
    }
    if (set.format != hc::kVpSetSparse ||
        banks.size() != static_cast<std::size_t>(std::popcount(set.valid_bank_mask)))
        return HvStatus::invalid_parameter;
    std::size_t next = 0;
    for (unsigned bank = 0; bank < 64; ++bank) {
        if (!sim::bit(set.valid_bank_mask, bank)) continue;
        const std::uint64_t members = banks[next++];
        for (unsigned i = 0; i < 64; ++i)
            if (sim::bit(members, i))
                if (VirtualProcessor* vp = call.partition.vp(bank * 64 + i)) targets.push_back(vp);
    }
    return HvStatus::success;
}

std::vector<VirtualProcessor*> expand_vp_mask(Call& call, std::uint64_t mask) {
    std::vector<VirtualProcessor*> targets;
    for (unsigned i = 0; i < 64; ++i)
        if (sim::bit(mask, i))
            if (VirtualProcessor* vp = call.partition.vp(i)) targets.push_back(vp);
    return targets;
}

}  // namespace hvsim::hv
