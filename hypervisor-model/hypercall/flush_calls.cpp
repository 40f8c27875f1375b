// TLB flushes (TLFS 9.4, 18.x HvCallFlushVirtualAddress*).
#include "hypervisor-model/hypercall/handlers.h"

namespace hvsim::hv::handlers {
namespace {

using Targets = std::vector<VirtualProcessor*>;

constexpr u64 kDefinedFlags =
    hc::kFlushAllProcessors | hc::kFlushAllSpaces | hc::kFlushNonGlobalOnly;

HvStatus check_flags(u64 flags) {
    // Extended ranges and target VTLs are not offered.
    return (flags & ~kDefinedFlags) == 0 ? HvStatus::success : HvStatus::invalid_parameter;
}

Targets simple_targets(Call& call, const hc::FlushSpace& in) {
    return (in.flags & hc::kFlushAllProcessors) != 0 ? call.partition.vps()
                                                     : expand_vp_mask(call, in.processor_mask);
}

HvStatus set_targets(Call& call, const hc::FlushSpaceEx& in, Banks banks, Targets& targets) {
    if ((in.flags & hc::kFlushAllProcessors) == 0)
        return expand_vp_set(call, in.set, banks, targets);
    targets = call.partition.vps();
    return HvStatus::success;
}

FlushRequest request(u64 address_space, u64 flags) {
    FlushRequest flush;
    const bool all = (flags & hc::kFlushAllSpaces) != 0;
    flush.scope = all ? FlushRequest::Scope::everything : FlushRequest::Scope::address_space;
    flush.address_space = address_space;
    flush.non_global_only = (flags & hc::kFlushNonGlobalOnly) != 0;
    return flush;
}

void shoot(Call& call, const Targets& targets, const FlushRequest& flush) {
    for (VirtualProcessor* vp : targets)
        call.hypervisor.services().shootdown.flush(*vp, flush, call.now);
}

CallResult shoot_ranges(Call& call, const Targets& targets, FlushRequest flush,
                        std::span<const u64> ranges) {
    for (const u64 range : ranges) {
        flush.scope = FlushRequest::Scope::pages;
        flush.first_linear = sim::page_base(range);
        flush.page_count = (range & (sim::kPageSize - 1)) + 1;
        shoot(call, targets, flush);
    }
    return {HvStatus::success, static_cast<unsigned>(ranges.size())};
}

}  // namespace

HvStatus flush_space(Call& call, const hc::FlushSpace& in) {
    if (const HvStatus status = check_flags(in.flags); status != HvStatus::success) return status;
    shoot(call, simple_targets(call, in), request(in.address_space, in.flags));
    return HvStatus::success;
}

CallResult flush_list(Call& call, const hc::FlushSpace& in, RepRange, std::span<const u64> ranges) {
    if (const HvStatus status = check_flags(in.flags); status != HvStatus::success)
        return {status, 0};
    return shoot_ranges(call, simple_targets(call, in), request(in.address_space, in.flags),
                        ranges);
}

HvStatus flush_space_ex(Call& call, const hc::FlushSpaceEx& in, Banks banks) {
    Targets targets;
    if (const HvStatus status = check_flags(in.flags); status != HvStatus::success) return status;
    if (const HvStatus status = set_targets(call, in, banks, targets); status != HvStatus::success)
        return status;
    shoot(call, targets, request(in.address_space, in.flags));
    return HvStatus::success;
}

CallResult flush_list_ex(Call& call, const hc::FlushSpaceEx& in, Banks banks, RepRange,
                         std::span<const u64> ranges) {
    Targets targets;
    if (const HvStatus status = check_flags(in.flags); status != HvStatus::success)
        return {status, 0};
    if (const HvStatus status = set_targets(call, in, banks, targets); status != HvStatus::success)
        return {status, 0};
    return shoot_ranges(call, targets, request(in.address_space, in.flags), ranges);
}

// Second-level spaces of a guest hypervisor: everything cached from them goes with the partition's
// own second level.
HvStatus flush_guest_physical_space(Call& call, const hc::FlushGuestPhysicalSpace& in) {
    if (!call.partition.features().nested) return HvStatus::access_denied;
    if (in.flags != 0) return HvStatus::invalid_parameter;
    call.hypervisor.services().shootdown.flush_guest_physical(call.partition);
    return HvStatus::success;
}

CallResult flush_guest_physical_list(Call& call, const hc::FlushGuestPhysicalSpace& in, RepRange,
                                     std::span<const u64> ranges) {
    const HvStatus status = flush_guest_physical_space(call, in);
    return {status, status == HvStatus::success ? static_cast<unsigned>(ranges.size()) : 0};
}

}  // namespace hvsim::hv::handlers
