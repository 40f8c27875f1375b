// Memory pools, guest-physical mappings, access to a partition's memory (TLFS 5, 6, 18).
#include <algorithm>

#include "hypervisor-model/hypercall/handlers.h"
#include "mmu/walk.h"

namespace hvsim::hv::handlers {
namespace {

constexpr std::uint64_t kLargePages = 512;

/// A page of the caller that it may give away or share: mapped, memory or device window, its own.
bool owned_page(Call& call, u64 page_number, GpaPage& page) {
    const GpaSpace& space = call.partition.gpa_space();
    if (page_number >= space.limit_page() || space.is_overlay(page_number)) return false;
    const std::optional<GpaPage> found = space.mapping(page_number);
    if (!found || call.hypervisor.pages().is_hypervisors(found->system_page)) return false;
    page = *found;
    return true;
}

HvStatus deposit_page(Call& call, Partition& target, u64 page_number) {
    GpaPage page;
    PageOwnership& ownership = call.hypervisor.pages();
    if (!owned_page(call, page_number, page) || !page.rights.read || !page.rights.write ||
        !ownership.is_memory(page.system_page))
        return HvStatus::invalid_parameter;
    // A child's page stays the child's; a page that others map stays where it is.
    const bool root = call.partition.is_root();
    if (ownership.uses(page.system_page) != (root ? 0 : 1)) return HvStatus::invalid_parameter;
    const HvStatus status = call.partition.gpa_space().unmap(page_number);
    if (status == HvStatus::insufficient_memory) return HvStatus::insufficient_root_memory;
    if (status != HvStatus::success) return status;
    if (!root) ownership.remove_mapping(page.system_page);
    ownership.give_to_hypervisor(page.system_page);
    target.pool().deposit({page.system_page, call.partition.id(), page_number});
    return HvStatus::success;
}

HvStatus withdraw_page(Call& call, Partition& target, u64& page_number) {
    const std::optional<PoolPage> page = target.pool().withdraw(call.partition.id());
    if (!page) return HvStatus::no_resources;
    PageOwnership& ownership = call.hypervisor.pages();
    ownership.take_from_hypervisor(page->system_page);
    const HvStatus status =
        call.partition.gpa_space().map(page->depositor_page, {page->system_page, {}, true});
    if (status != HvStatus::success) {
        ownership.give_to_hypervisor(page->system_page);
        target.pool().deposit(*page);
        return HvStatus::insufficient_root_memory;
    }
    if (!call.partition.is_root()) ownership.add_mapping(page->system_page);
    page_number = page->depositor_page;
    return HvStatus::success;
}

struct MapRequest {
    GpaRights rights;
    bool cached = true;
    bool large = false;
    bool no_access = false;
};

bool decode_flags(u32 flags, MapRequest& request) {
    constexpr u32 kDefined = hc::kMapRead | hc::kMapWrite | hc::kMapKernelExecute |
                             hc::kMapUserExecute | hc::kMapAdjustable | hc::kMapNoAccess |
                             hc::kMapNotCached | hc::kMapLarge;
    if ((flags & ~kDefined) != 0) return false;
    request.rights = {.read = (flags & hc::kMapRead) != 0,
                      .write = (flags & hc::kMapWrite) != 0,
                      .execute = (flags & (hc::kMapKernelExecute | hc::kMapUserExecute)) != 0};
    request.cached = (flags & hc::kMapNotCached) == 0;
    request.large = (flags & hc::kMapLarge) != 0;
    request.no_access = (flags & hc::kMapNoAccess) != 0;
    // Neither EPT nor NPT maps what cannot be read, safe for execution alone on some processors.
    return request.rights.read || request.no_access;
}

bool within(const GpaRights& wanted, const GpaRights& held) {
    return (!wanted.read || held.read) && (!wanted.write || held.write) &&
           (!wanted.execute || held.execute);
}

/// `count` pages of the caller that follow each other in system memory as well.
bool source_pages(Call& call, u64 first, std::uint64_t count, const MapRequest& request,
                  std::uint64_t& system_page) {
    for (std::uint64_t i = 0; i < count; ++i) {
        GpaPage page;
        if (!owned_page(call, first + i, page) || !within(request.rights, page.rights))
            return false;
        if (i == 0) system_page = page.system_page;
        if (page.system_page != system_page + i) return false;
    }
    return true;
}

/// Releases what is mapped in the target's [first, first + count) and maps `system_page` on.
HvStatus replace_mapping(Call& call, Partition& target, u64 first, std::uint64_t count,
                         std::uint64_t system_page, const MapRequest& request) {
    PageOwnership& ownership = call.hypervisor.pages();
    GpaSpace& space = target.gpa_space();
    std::vector<std::uint64_t> before;
    for (std::uint64_t i = 0; i < count; ++i)
        if (const std::optional<GpaPage> page = space.mapping(first + i))
            before.push_back(page->system_page);
    std::uint64_t counted = 0;
    while (counted < count && ownership.add_mapping(system_page + counted)) ++counted;
    HvStatus status = counted == count ? HvStatus::success : HvStatus::no_resources;
    const GpaPage page{system_page, request.rights, request.cached};
    if (status == HvStatus::success)
        status = request.large ? space.map_large(first, page) : space.map(first, page);
    if (status != HvStatus::success) {
        for (std::uint64_t i = 0; i < counted; ++i) ownership.remove_mapping(system_page + i);
        return status;
    }
    for (const std::uint64_t old : before) ownership.remove_mapping(old);
    return HvStatus::success;
}

HvStatus unmap_page(Call& call, Partition& target, u64 page_number) {
    const std::optional<GpaPage> page = target.gpa_space().mapping(page_number);
    if (!page) return HvStatus::success;
    const HvStatus status = target.gpa_space().unmap(page_number);
    if (status == HvStatus::success) call.hypervisor.pages().remove_mapping(page->system_page);
    return status;
}

HvStatus map_one(Call& call, Partition& target, u64 first, u64 source, const MapRequest& request) {
    const std::uint64_t count = request.large ? kLargePages : 1;
    if (first > target.gpa_space().limit_page() - count) return HvStatus::invalid_parameter;
    if (request.no_access) {
        // DEVIATION: a page mapped without any access is the same as an unmapped one.
        for (std::uint64_t i = 0; i < count; ++i)
            if (const HvStatus status = unmap_page(call, target, first + i);
                status != HvStatus::success)
                return status;
        return HvStatus::success;
    }
    if (request.large && ((first | source) & (kLargePages - 1)) != 0)
        return HvStatus::invalid_parameter;
    std::uint64_t system_page = 0;
    if (!source_pages(call, source, count, request, system_page))
        return HvStatus::invalid_parameter;
    if (request.large && (system_page & (kLargePages - 1)) != 0) return HvStatus::invalid_parameter;
    return replace_mapping(call, target, first, count, system_page, request);
}

HvStatus active_child(Call& call, PartitionId id, Partition*& target) {
    const HvStatus status = target_partition(call, id, Self::no, target);
    if (status != HvStatus::success) return status;
    return target->active() ? HvStatus::success : HvStatus::invalid_partition_state;
}

hc::AccessGpaCode access_code(const GpaResult& result, bool write) {
    switch (result.code) {
        case GpaResult::Code::ok:
            return hc::AccessGpaCode::success;
        case GpaResult::Code::denied:
            return write ? hc::AccessGpaCode::write_intercept : hc::AccessGpaCode::read_intercept;
        case GpaResult::Code::unmapped:
        case GpaResult::Code::not_memory:
            break;
    }
    return hc::AccessGpaCode::unmapped;
}

HvStatus check_access(Call& call, const hc::AccessGpa& in, VirtualProcessor*& vp) {
    constexpr u32 kMost = 16;
    const HvStatus status = target_vp(call, in.partition, Self::no, in.vp, vp);
    if (status != HvStatus::success) return status;
    const bool crosses = in.gpa % sim::kPageSize + in.byte_count > sim::kPageSize;
    return in.byte_count == 0 || in.byte_count > kMost || crosses ? HvStatus::invalid_parameter
                                                                  : HvStatus::success;
}

}  // namespace

CallResult deposit_memory(Call& call, const hc::PartitionOnly& in, RepRange,
                          std::span<const u64> pages) {
    Partition* target = nullptr;
    if (const HvStatus status = target_partition(call, in.partition, Self::yes, target);
        status != HvStatus::success)
        return {status, 0};
    if (target->state() == PartitionState::finalized) return {HvStatus::invalid_partition_state, 0};
    unsigned done = 0;
    for (const u64 page : pages) {
        const HvStatus status = deposit_page(call, *target, page);
        if (status != HvStatus::success) return {status, done};
        ++done;
    }
    return {HvStatus::success, done};
}

CallResult withdraw_memory(Call& call, const hc::ProximityQuery& in, RepRange,
                           std::span<u64> pages) {
    Partition* target = nullptr;
    if (const HvStatus status = target_partition(call, in.partition, Self::yes, target);
        status != HvStatus::success)
        return {status, 0};
    unsigned done = 0;
    HvStatus status = HvStatus::success;
    for (u64& page : pages) {
        status = withdraw_page(call, *target, page);
        if (status != HvStatus::success) break;
        ++done;
    }
    // More is mapped now: the caller's devices reach it again.
    if (done != 0) call.partition.gpa_space_changed();
    return {status, done};
}

HvStatus get_memory_balance(Call& call, const hc::ProximityQuery& in, hc::MemoryBalance& out) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::yes, target);
    if (status != HvStatus::success) return status;
    out = {target->pool().available(), target->pool().in_use()};
    return HvStatus::success;
}

CallResult map_gpa_pages(Call& call, const hc::MapGpa& in, RepRange reps,
                         std::span<const u64> pages) {
    Partition* target = nullptr;
    if (const HvStatus status = active_child(call, in.partition, target);
        status != HvStatus::success)
        return {status, 0};
    MapRequest request;
    if (!decode_flags(in.flags, request) || in.target_page >= target->gpa_space().limit_page())
        return {HvStatus::invalid_parameter, 0};
    const std::uint64_t step = request.large ? kLargePages : 1;
    unsigned done = 0;
    for (const u64 source : pages) {
        const u64 first = in.target_page + (reps.start + done) * step;
        const HvStatus status = map_one(call, *target, first, source, request);
        if (status != HvStatus::success) return {status, done};
        ++done;
    }
    return {HvStatus::success, done};
}

CallResult unmap_gpa_pages(Call& call, const hc::UnmapGpa& in, RepRange reps) {
    Partition* target = nullptr;
    if (const HvStatus status = active_child(call, in.partition, target);
        status != HvStatus::success)
        return {status, 0};
    if ((in.flags & ~hc::kUnmapLarge) != 0) return {HvStatus::invalid_parameter, 0};
    const std::uint64_t step = (in.flags & hc::kUnmapLarge) != 0 ? kLargePages : 1;
    const std::uint64_t limit = target->gpa_space().limit_page();
    if (in.target_page % step != 0) return {HvStatus::invalid_parameter, 0};
    for (unsigned done = 0; done < reps.count; ++done) {
        const u64 first = in.target_page + (reps.start + done) * step;
        if (in.target_page >= limit || first > limit - step)
            return {HvStatus::invalid_parameter, done};
        for (std::uint64_t i = 0; i < step; ++i)
            if (const HvStatus status = unmap_page(call, *target, first + i);
                status != HvStatus::success)
                return {status, done};
    }
    return {HvStatus::success, reps.count};
}

HvStatus read_gpa(Call& call, const hc::AccessGpa& in, hc::ReadGpaOut& out) {
    VirtualProcessor* vp = nullptr;
    if (const HvStatus status = check_access(call, in, vp); status != HvStatus::success)
        return status;
    const GpaResult result =
        vp->partition().gpa_space().read(in.gpa, std::span(out.data).first(in.byte_count));
    out.result.code = static_cast<u32>(access_code(result, false));
    return HvStatus::success;
}

HvStatus write_gpa(Call& call, const hc::WriteGpa& in, hc::AccessGpaResult& out) {
    VirtualProcessor* vp = nullptr;
    if (const HvStatus status = check_access(call, in.access, vp); status != HvStatus::success)
        return status;
    const GpaResult result = vp->partition().gpa_space().write(
        in.access.gpa, std::span(in.data).first(in.access.byte_count));
    out.code = static_cast<u32>(access_code(result, true));
    return HvStatus::success;
}

namespace {

mmu::PagingState paging_state(const VirtualProcessor& vp, const mmu::SecondStage& stage) {
    const VpContext& c = vp.context();
    const std::uint64_t cr0 = c.cr(0), cr4 = c.cr(4), efer = c.efer();
    mmu::PagingState state;
    state.mode = mmu::paging_mode(sim::bit(cr0, 31), sim::bit(cr4, 5), sim::bit(cr4, 12),
                                  sim::bit(efer, 10));
    state.write_protect = sim::bit(cr0, 16);
    state.page_size_extensions = sim::bit(cr4, 4);
    state.smep = sim::bit(cr4, 20);
    state.smap = sim::bit(cr4, 21);
    state.no_execute = sim::bit(efer, 11);
    state.alignment_check = sim::bit(c.rflags(), 18);
    state.maxphyaddr = stage.maxphyaddr;
    state.cr3 = c.cr(3);
    if (state.mode == mmu::PagingMode::pae)
        state.pdpte = mmu::load_pdptes(stage, state.cr3, stage.maxphyaddr).pdpte;
    return state;
}

hc::TranslateCode translate_code(const mmu::WalkResult& walk, const GpaSpace& space,
                                 mmu::Access access) {
    using Code = hc::TranslateCode;
    constexpr u32 kPresent = 1, kReserved = 8;
    switch (walk.outcome) {
        case mmu::WalkOutcome::ok:
            return Code::success;
        case mmu::WalkOutcome::non_canonical:
            return Code::page_not_present;
        case mmu::WalkOutcome::page_fault:
            if ((walk.error_code & kReserved) != 0) return Code::invalid_page_table_flags;
            return (walk.error_code & kPresent) != 0 ? Code::privilege_violation
                                                     : Code::page_not_present;
        case mmu::WalkOutcome::nested_fault:
            break;
    }
    if (!space.visible(sim::page_of(walk.nested.guest_physical))) return Code::gpa_unmapped;
    return access == mmu::Access::write ? Code::gpa_no_write : Code::gpa_no_read;
}

}  // namespace

// DEVIATION: A bits of the guest's tables are set whether or not the control flags ask for it.
HvStatus translate_virtual_address(Call& call, const hc::TranslateAddress& in,
                                   hc::TranslateResult& out) {
    constexpr u64 kDefined = 0x3ff;
    VirtualProcessor* vp = nullptr;
    const Self self =
        call.partition.has_privilege(Privilege::access_vp_registers) ? Self::yes : Self::no;
    if (const HvStatus status = target_vp(call, in.partition, self, in.vp, vp);
        status != HvStatus::success)
        return status;
    if ((in.control & ~kDefined) != 0 || in.gva_page >> 52 != 0) return HvStatus::invalid_parameter;

    const GpaSpace& space = vp->partition().gpa_space();
    mmu::SecondStage stage;
    stage.ram = &call.hypervisor.ram();
    stage.kind = call.hypervisor.config().vendor == Vendor::intel ? mmu::SecondStageKind::ept
                                                                  : mmu::SecondStageKind::npt;
    stage.root = space.root();
    stage.maxphyaddr = static_cast<std::uint8_t>(call.hypervisor.config().physical_address_bits);
    mmu::AccessRequest request;
    request.access = (in.control & hc::kTranslateWrite) != 0     ? mmu::Access::write
                     : (in.control & hc::kTranslateExecute) != 0 ? mmu::Access::execute
                                                                 : mmu::Access::read;
    const bool exempt =
        (in.control & (hc::kTranslatePrivilegeExempt | hc::kTranslateSupervisor)) != 0;
    request.user = (in.control & hc::kTranslateUser) != 0 || (!exempt && vp->context().cpl() == 3);
    mmu::PagingState paging = paging_state(*vp, stage);
    if ((in.control & hc::kTranslatePrivilegeExempt) != 0) paging.smap = paging.smep = false;
    const mmu::WalkResult walk = mmu::walk(paging, stage, in.gva_page << sim::kPageShift, request);
    out.code = static_cast<u32>(translate_code(walk, space, request.access));
    out.cache_type = 6;
    if (walk.outcome == mmu::WalkOutcome::ok) {
        out.gpa_page = sim::page_of(walk.guest_physical);
        out.overlay = space.is_overlay(out.gpa_page) ? 1 : 0;
    }
    return HvStatus::success;
}

}  // namespace hvsim::hv::handlers
