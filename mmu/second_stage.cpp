#include "mmu/second_stage.h"

#include <array>

namespace hvsim::mmu {
namespace {

/// One table entry on the path of a walk, kept for its A/D update.
struct PathEntry {
    std::uint64_t address;
    std::uint64_t value;
};

std::uint64_t read_entry(const SecondStage& stage, std::uint64_t address, WalkSteps& steps) {
    std::uint64_t value = ~std::uint64_t{0};  // nobody answers outside of RAM
    stage.ram->read(address, value);
    ++steps.nested;
    return value;
}

void set_flags(const SecondStage& stage, const PathEntry& entry, std::uint64_t flags,
               WalkSteps& steps) {
    if ((entry.value & flags) == flags) return;
    stage.ram->write(entry.address, entry.value | flags);
    ++steps.updates;
}

constexpr std::uint64_t low_bits(unsigned count) noexcept {
    return (std::uint64_t{1} << count) - 1;
}

// ---------------------------------------------------------------------------------------------
// EPT (SDM 3C 29.3)

/// Rights that an access needs, as bits of an EPT entry; a pair of the same for the qualification.
struct EptNeed {
    std::uint64_t rights = 0;
    std::uint64_t qualification = 0;
};

EptNeed ept_need(const SecondStage& stage, const NestedRequest& request) {
    namespace q = ept::qualification;
    // SDM 3C 29.3.5: with A/D enabled the processor's accesses to guest paging structures are
    // writes, except loads of the PDPTE registers.
    if (request.guest_table && request.linear_valid && ept::EPTP_AD_ENABLE::test(stage.root))
        return {ept::R::kMask | ept::W::kMask, q::kRead | q::kWrite};
    switch (request.access) {
        case Access::read:
            return {ept::R::kMask, q::kRead};
        case Access::write:  // of a guest table: an A or D bit is set by reading and writing
            return {ept::W::kMask, request.guest_table ? q::kRead | q::kWrite : q::kWrite};
        case Access::execute:
            break;
    }
    const bool user = stage.mode_based_execute && request.user_linear;
    return {user ? ept::XU::kMask : ept::X::kMask, q::kFetch};
}

NestedFault ept_violation(const SecondStage& stage, std::uint64_t gpa, const NestedRequest& request,
                          std::uint64_t rights) {
    namespace q = ept::qualification;
    std::uint64_t information = ept_need(stage, request).qualification;
    if (ept::R::test(rights)) information |= q::kReadable;
    if (ept::W::test(rights)) information |= q::kWritable;
    if (ept::X::test(rights)) information |= q::kExecutable;
    if (stage.mode_based_execute && ept::XU::test(rights)) information |= q::kUserExecutable;
    if (request.linear_valid) {
        information |= q::kLinearValid;
        if (!request.guest_table) information |= q::kFinalAccess;
    }
    return {NestedFaultKind::ept_violation, gpa, information};
}

/// Whether a present entry of `level` (1 = PTE) holds an unsupported value (SDM 3C 29.3.3.1).
bool ept_misconfigured(const SecondStage& stage, std::uint64_t entry, int level, bool leaf) {
    if (!ept::R::test(entry)) {
        if (ept::W::test(entry)) return true;
        if (!stage.execute_only) return true;  // present, so one of the execute bits is set
    }
    std::uint64_t reserved = paging::address_bits_above(stage.maxphyaddr);
    if (!leaf) {
        reserved |= level >= 4 ? ept::RESERVED_TABLE_TOP::kMask : ept::RESERVED_TABLE::kMask;
        if (level == 3 && !stage.pages_1g) reserved |= ept::PS::kMask;
    } else if (level == 2) {
        reserved |= ept::RESERVED_2M::kMask;
    } else if (level == 3) {
        reserved |= ept::RESERVED_1G::kMask;
    }
    if ((entry & reserved) != 0) return true;
    return leaf && !ept::is_valid_memory_type(ept::MEMORY_TYPE::get(entry));
}

bool ept_is_leaf(const SecondStage& stage, std::uint64_t entry, int level) {
    if (level == 1) return true;
    if (!ept::PS::test(entry)) return false;
    return level == 2 || (level == 3 && stage.pages_1g);
}

/// NestedRights of the conjunction of a path's entries.
std::uint8_t ept_rights(std::uint64_t entry, bool dirty) {
    unsigned rights = 0;
    if (ept::R::test(entry)) rights |= NestedRights::kRead;
    if (ept::W::test(entry)) rights |= NestedRights::kWrite;
    if (ept::X::test(entry)) rights |= NestedRights::kExecuteSupervisor;
    if (ept::XU::test(entry)) rights |= NestedRights::kExecuteUser;
    if (dirty) rights |= NestedRights::kDirty;
    return static_cast<std::uint8_t>(rights);
}

void walk_ept(const SecondStage& stage, std::uint64_t gpa, const NestedRequest& request,
              WalkSteps& steps, NestedTranslation& out, std::uint8_t& cached) {
    const int levels = ept::EPTP_WALK_LENGTH::get(stage.root) == 4 ? 5 : 4;
    const bool accessed_dirty = ept::EPTP_AD_ENABLE::test(stage.root);
    const std::uint64_t execute_bits =
        ept::X::kMask | (stage.mode_based_execute ? ept::XU::kMask : 0);
    const std::uint64_t present_bits = ept::R::kMask | ept::W::kMask | execute_bits;
    std::uint64_t rights = present_bits;

    // SDM 3C 29.3.2: bits above the width that the table translates cause an EPT violation.
    if ((gpa >> (12 + 9 * levels)) != 0) {
        out.fault = ept_violation(stage, gpa, request, 0);
        return;
    }

    std::array<PathEntry, 5> path;
    int used = 0;
    std::uint64_t table = stage.root & ept::EPTP_ADDRESS::kMask;
    int level = levels;
    std::uint64_t entry = 0;
    for (;; --level) {
        const std::uint64_t address = table | ((gpa >> (12 + 9 * (level - 1))) & low_bits(9)) << 3;
        entry = read_entry(stage, address, steps);
        if ((entry & present_bits) == 0) {
            out.fault = ept_violation(stage, gpa, request, 0);
            return;
        }
        const bool leaf = ept_is_leaf(stage, entry, level);
        if (ept_misconfigured(stage, entry, level, leaf)) {
            out.fault = {NestedFaultKind::ept_misconfiguration, gpa, 0};
            return;
        }
        rights &= entry;
        path[static_cast<std::size_t>(used++)] = {address, entry};
        if (leaf) break;
        table = entry & ept::ADDRESS::kMask;
    }

    const std::uint64_t need = ept_need(stage, request).rights;
    if ((rights & need) != need) {
        out.fault = ept_violation(stage, gpa, request, rights);
        return;
    }
    bool dirty = true;
    if (accessed_dirty) {
        const bool write = (need & ept::W::kMask) != 0;
        if (write && !ept::D::test(entry) && stage.log != nullptr && !stage.log->append(gpa)) {
            out.fault = {NestedFaultKind::page_modification_log_full, gpa, 0};
            return;
        }
        for (int i = 0; i + 1 < used; ++i)
            set_flags(stage, path[static_cast<std::size_t>(i)], ept::A::kMask, steps);
        set_flags(stage, path[static_cast<std::size_t>(used - 1)],
                  ept::A::kMask | (write ? ept::D::kMask : 0), steps);
        dirty = write || ept::D::test(entry);
    }

    const unsigned shift = 12 + 9 * static_cast<unsigned>(level - 1);
    out.system_physical =
        (entry & ept::ADDRESS::kMask & ~low_bits(shift)) | (gpa & low_bits(shift));
    out.page_shift = static_cast<std::uint8_t>(shift);
    out.memory_type = static_cast<std::uint8_t>(entry >> ept::MEMORY_TYPE::kLow & 0xf);
    cached = ept_rights(rights, dirty);
}

// ---------------------------------------------------------------------------------------------
// NPT (APM 2 15.25)

NestedFault npt_fault(const SecondStage& stage, std::uint64_t gpa, const NestedRequest& request,
                      std::uint64_t reason) {
    namespace e = npt::exitinfo1;
    // APM 2 15.25.6: accesses to guest tables are data writes, whatever the guest's access was.
    std::uint64_t information = e::kUser | reason;
    if (request.guest_table || request.access == Access::write) information |= e::kWrite;
    if (!request.guest_table && request.access == Access::execute && stage.npt_tells_fetches)
        information |= e::kInstruction;
    information |= request.guest_table ? e::kTableWalk : e::kFinalAccess;
    return {NestedFaultKind::npt_fault, gpa, information};
}

std::uint64_t npt_reserved(const SecondStage& stage, std::uint64_t entry, int level) {
    std::uint64_t reserved = paging::address_bits_above(stage.maxphyaddr);
    if (!stage.npt_nx) reserved |= paging::XD::kMask;
    if (stage.npt_mode == NptMode::pae) {
        reserved |= paging::PAE_RESERVED_HIGH::kMask;
        if (level == 3)
            return reserved | paging::XD::kMask | paging::PDPTE_RESERVED_LOW::kMask |
                   paging::PDPTE_RESERVED_HIGH::kMask;
    }
    // Bits 8:7 of PML4Es and PML5Es must be zero (APM 2 5.3.3).
    if (level >= 4) return reserved | paging::PS::kMask | paging::G::kMask;
    if (level == 3 && !stage.pages_1g) return reserved | paging::PS::kMask;
    if (level == 1 || !paging::PS::test(entry)) return reserved;
    return reserved | (level == 2 ? paging::RESERVED_2M::kMask : paging::RESERVED_1G::kMask);
}

bool npt_writes(const NestedRequest& request) noexcept {
    return request.guest_table || request.access == Access::write;
}

/// Rights of a path by its entries' R/W and U/S, all of them, and NX, any of them; `allowed` for
/// the request. Nested accesses are user accesses, so R/W counts whatever CR0.WP says (APM 2
/// 15.25.5).
struct NptGrant {
    bool allowed = false;
    unsigned rights = NestedRights::kRead;
};

NptGrant npt_grant(const SecondStage& stage, const NestedRequest& request, std::uint64_t all_of,
                   bool no_execute) {
    NptGrant grant;
    const bool user_page = paging::US::test(all_of);
    const bool user = user_page || stage.npt_execute_trap;
    const bool writable = user && paging::RW::test(all_of);
    const bool trapped = stage.npt_execute_trap && user_page != request.user_mode;
    const bool executable = user && !no_execute && !trapped;
    const bool fetch = !request.guest_table && request.access == Access::execute;
    grant.allowed = user && (!npt_writes(request) || writable) && (!fetch || executable);
    if (writable) grant.rights |= NestedRights::kWrite;
    if (!no_execute && user) {
        if (!stage.npt_execute_trap || user_page) grant.rights |= NestedRights::kExecuteUser;
        if (!stage.npt_execute_trap || !user_page) grant.rights |= NestedRights::kExecuteSupervisor;
    }
    return grant;
}

/// The two levels of a host in legacy paging without PAE, with entries of 4 bytes (APM 2 5.2.1).
void walk_npt_legacy(const SecondStage& stage, std::uint64_t gpa, const NestedRequest& request,
                     WalkSteps& steps, NestedTranslation& out, std::uint8_t& cached) {
    namespace e = npt::exitinfo1;
    struct Entry {
        std::uint64_t address = 0;
        std::uint32_t value = ~std::uint32_t{0};
    };
    const auto read = [&](std::uint64_t table, std::uint64_t index) {
        Entry entry{table + 4 * (index & low_bits(10))};
        stage.ram->read(entry.address, entry.value);
        ++steps.nested;
        return entry;
    };
    const auto mark = [&](const Entry& entry, std::uint64_t flags) {
        const auto value = static_cast<std::uint32_t>(entry.value | flags);
        if (value == entry.value) return;
        stage.ram->write(entry.address, value);
        ++steps.updates;
    };
    const auto refuse = [&](std::uint64_t reason) {
        out.fault = npt_fault(stage, gpa, request, reason);
    };
    if (gpa >> 32 != 0) return refuse(0);
    const Entry directory = read(stage.root & paging::ADDRESS_32::kMask, gpa >> 22);
    if (!paging::P::test(directory.value)) return refuse(0);
    const bool large = stage.npt_page_size_extensions && paging::PS::test(directory.value);
    constexpr std::uint64_t kReservedLarge =
        paging::RESERVED_4M::kMask & ~paging::ADDRESS_4M_HIGH::kMask;
    if (large && (directory.value & kReservedLarge) != 0) return refuse(e::kPresent | e::kReserved);
    Entry leaf = directory;
    if (!large) {
        leaf = read(directory.value & paging::ADDRESS_32::kMask, gpa >> 12);
        if (!paging::P::test(leaf.value)) return refuse(0);
    }
    const NptGrant grant = npt_grant(stage, request, directory.value & leaf.value, false);
    if (!grant.allowed) return refuse(e::kPresent);
    if (!large) mark(directory, paging::A::kMask);
    const bool write = npt_writes(request);
    mark(leaf, paging::A::kMask | (write ? paging::D::kMask : 0));
    const unsigned shift = large ? 22 : 12;
    const std::uint64_t frame = large ? (leaf.value & paging::ADDRESS_4M_LOW::kMask) |
                                            paging::ADDRESS_4M_HIGH::get(leaf.value) << 32
                                      : leaf.value & paging::ADDRESS_32::kMask;
    out.system_physical = frame | (gpa & low_bits(shift));
    out.page_shift = static_cast<std::uint8_t>(shift);
    const bool dirty = write || paging::D::test(leaf.value);
    cached = static_cast<std::uint8_t>(grant.rights | (dirty ? NestedRights::kDirty : 0u));
}

void walk_npt(const SecondStage& stage, std::uint64_t gpa, const NestedRequest& request,
              WalkSteps& steps, NestedTranslation& out, std::uint8_t& cached) {
    namespace e = npt::exitinfo1;
    const bool pae = stage.npt_mode == NptMode::pae;
    const int levels = pae ? 3 : stage.npt_mode == NptMode::level5 ? 5 : 4;
    // An address wider than the tables translate has no mapping (APM 2 15.25.3).
    if ((gpa >> (pae ? 32 : 12 + 9 * levels)) != 0) {
        out.fault = npt_fault(stage, gpa, request, 0);
        return;
    }

    std::array<PathEntry, 5> path;
    int used = 0;
    std::uint64_t table =
        stage.root & (pae ? paging::PAE_CR3_ADDRESS::kMask : paging::ADDRESS::kMask);
    std::uint64_t all_of = paging::RW::kMask | paging::US::kMask;  // AND over the path
    bool no_execute = false;
    int level = levels;
    std::uint64_t entry = 0;
    for (;; --level) {
        const std::uint64_t address =
            table + (((gpa >> (12 + 9 * (level - 1))) & low_bits(9)) << 3);
        entry = read_entry(stage, address, steps);
        if (!paging::P::test(entry)) {
            out.fault = npt_fault(stage, gpa, request, 0);
            return;
        }
        if ((entry & npt_reserved(stage, entry, level)) != 0) {
            out.fault = npt_fault(stage, gpa, request, e::kPresent | e::kReserved);
            return;
        }
        if (pae && level == 3) {  // A PDPTE of PAE paging has no rights and no A bit.
            table = entry & paging::ADDRESS::kMask;
            continue;
        }
        all_of &= entry;
        no_execute = no_execute || paging::XD::test(entry);
        path[static_cast<std::size_t>(used++)] = {address, entry};
        if (level == 1 || paging::PS::test(entry)) break;
        table = entry & paging::ADDRESS::kMask;
    }

    const NptGrant grant = npt_grant(stage, request, all_of, no_execute);
    if (!grant.allowed) {
        out.fault = npt_fault(stage, gpa, request, e::kPresent);
        return;
    }
    const bool write = npt_writes(request);
    for (int i = 0; i + 1 < used; ++i)
        set_flags(stage, path[static_cast<std::size_t>(i)], paging::A::kMask, steps);
    set_flags(stage, path[static_cast<std::size_t>(used - 1)],
              paging::A::kMask | (write ? paging::D::kMask : 0), steps);
    const bool dirty = write || paging::D::test(entry);

    const unsigned shift = 12 + 9 * static_cast<unsigned>(level - 1);
    out.system_physical =
        (entry & paging::ADDRESS::kMask & ~low_bits(shift)) | (gpa & low_bits(shift));
    out.page_shift = static_cast<std::uint8_t>(shift);
    cached = static_cast<std::uint8_t>(grant.rights | (dirty ? NestedRights::kDirty : 0u));
}

// ---------------------------------------------------------------------------------------------

void set_rights(const SecondStage& stage, const NestedRequest& request, std::uint8_t rights,
                NestedTranslation& out) {
    const bool user = stage.kind == SecondStageKind::ept
                          ? stage.mode_based_execute && request.user_linear
                          : stage.npt_execute_trap && request.user_mode;
    const unsigned execute = user ? NestedRights::kExecuteUser : NestedRights::kExecuteSupervisor;
    constexpr unsigned kWriteNow = NestedRights::kWrite | NestedRights::kDirty;
    out.readable = (rights & NestedRights::kRead) != 0;
    out.writable = (rights & kWriteNow) == kWriteNow;
    out.executable = (rights & execute) != 0;
}

bool suffices(const SecondStage& stage, const NestedRequest& request,
              const NestedTranslation& out) {
    if (stage.kind == SecondStageKind::npt) {
        if (request.guest_table) return out.writable;
    } else if (request.guest_table && request.linear_valid &&
               ept::EPTP_AD_ENABLE::test(stage.root)) {
        return out.readable && out.writable;
    }
    switch (request.access) {
        case Access::read:
            return out.readable;
        case Access::write:
            return out.writable;
        case Access::execute:
            break;
    }
    return out.executable;
}

bool serve_from_tlb(const SecondStage& stage, std::uint64_t gpa, const NestedRequest& request,
                    NestedTranslation& out) {
    const NestedTlbEntry* entry = stage.tlb->find(stage.root, gpa);
    if (entry == nullptr) return false;
    set_rights(stage, request, entry->rights, out);
    // D must be set, or the tables may allow more by now: walk again.
    if (!suffices(stage, request, out)) return false;
    out.system_physical =
        entry->system_base | (gpa & low_bits(NestedTlb::granule_shift(entry->page_shift)));
    out.page_shift = entry->page_shift;
    out.memory_type = entry->memory_type;
    return true;
}

}  // namespace

NestedTranslation translate_guest_physical(const SecondStage& stage, std::uint64_t gpa,
                                           const NestedRequest& request, WalkSteps& steps) {
    NestedTranslation out;
    if (stage.kind == SecondStageKind::none) {
        out.system_physical = gpa;
        return out;
    }
    if (stage.tlb != nullptr && serve_from_tlb(stage, gpa, request, out)) {
        ++steps.nested_tlb_hits;
        return out;
    }
    std::uint8_t rights = 0;
    if (stage.kind == SecondStageKind::ept)
        walk_ept(stage, gpa, request, steps, out, rights);
    else if (stage.npt_mode == NptMode::legacy)
        walk_npt_legacy(stage, gpa, request, steps, out, rights);
    else
        walk_npt(stage, gpa, request, steps, out, rights);
    if (out.fault.kind != NestedFaultKind::none) {
        if (stage.tlb != nullptr) stage.tlb->invalidate_page(stage.root, gpa);
        return out;
    }
    set_rights(stage, request, rights, out);
    if (stage.tlb != nullptr)
        stage.tlb->insert(stage.root, gpa, out.system_physical, out.page_shift, out.memory_type,
                          rights);
    return out;
}

}  // namespace hvsim::mmu
