#include "mmu/walk.h"

namespace hvsim::mmu {
namespace {

constexpr std::uint64_t low_bits(unsigned count) noexcept {
    return (std::uint64_t{1} << count) - 1;
}

/// What the guest's tables say about a linear address.
struct GuestMapping {
    std::uint64_t base = 0;
    unsigned shift = 12;
    bool write = true;
    bool user = true;
    bool no_execute = false;
    bool dirty = true;
    bool global = false;
};

/// One guest entry on the path, kept for its A/D update.
struct GuestEntry {
    std::uint64_t guest_physical;
    std::uint64_t system_physical;
    std::uint64_t value;
};

class Walker {
  public:
    Walker(const PagingState& paging, const SecondStage& stage, const AccessRequest& request,
           WalkResult& result)
        : paging_(paging),
          stage_(stage),
          request_(request),
          supervisor_(!request.user || request.implicit_supervisor),
          result_(result) {}

    void run(std::uint64_t linear) {
        GuestMapping mapping;
        if (!find(linear, mapping)) return;
        if (paging_.mode != PagingMode::none) {
            apply_rights(mapping);
            if (!allowed(result_)) {
                page_fault(paging::error_code::kPresent);
                return;
            }
            if (!update_flags(mapping)) return;
            result_.writable = result_.writable && mapping.dirty;
        } else {
            result_.readable = result_.writable = result_.executable = true;
        }
        result_.guest_page_shift = static_cast<std::uint8_t>(mapping.shift);
        result_.user_page = mapping.user;
        result_.global_page = mapping.global;
        result_.guest_physical = mapping.base | (result_.linear & low_bits(mapping.shift));
        final_access(mapping);
    }

  private:
    bool find(std::uint64_t linear, GuestMapping& mapping) {
        switch (paging_.mode) {
            case PagingMode::none:
                result_.linear = linear & 0xffffffff;
                mapping.shift = 32;
                return true;
            case PagingMode::bits32:
                result_.linear = linear & 0xffffffff;
                return find_32bit(mapping);
            case PagingMode::pae:
                result_.linear = linear & 0xffffffff;
                if (const std::uint64_t pdpte = paging_.pdpte[result_.linear >> 30];
                    paging::P::test(pdpte))
                    return find_64bit(pdpte & paging::ADDRESS::kMask, 2, mapping);
                page_fault(0);
                return false;
            case PagingMode::level4:
                return find_long(linear, 4, mapping);
            case PagingMode::level5:
                return find_long(linear, 5, mapping);
        }
        return false;
    }

    bool find_long(std::uint64_t linear, unsigned levels, GuestMapping& mapping) {
        result_.linear = linear;
        if (!paging::is_canonical(linear, 12 + 9 * levels)) {
            result_.outcome = WalkOutcome::non_canonical;
            return false;
        }
        return find_64bit(paging_.cr3 & paging::ADDRESS::kMask, levels, mapping);
    }

    /// Reads an entry of type T through the second stage; false: nested fault.
    template <typename T>
    bool read_entry(std::uint64_t gpa) {
        const NestedRequest nested{.access = Access::read, .guest_table = true};
        const NestedTranslation at = translate_guest_physical(stage_, gpa, nested, result_.steps);
        if (at.fault.kind != NestedFaultKind::none) {
            nested_fault(at.fault);
            return false;
        }
        T value = static_cast<T>(~T{0});  // nobody answers outside of RAM
        stage_.ram->read(at.system_physical, value);
        ++result_.steps.guest;
        path_[used_++] = {gpa, at.system_physical, value};
        return true;
    }

    /// Levels 5 to 1 of 64-bit entries (SDM 3A 4.4.2, 4.5.4).
    bool find_64bit(std::uint64_t table, unsigned level, GuestMapping& mapping) {
        std::uint64_t reserved_always = paging::address_bits_above(paging_.maxphyaddr);
        if (!paging_.no_execute) reserved_always |= paging::XD::kMask;
        if (paging_.mode == PagingMode::pae) reserved_always |= paging::PAE_RESERVED_HIGH::kMask;
        for (;; --level) {
            const unsigned shift = 12 + 9 * (level - 1);
            if (!read_entry<std::uint64_t>(table | ((result_.linear >> shift) & low_bits(9)) << 3))
                return false;
            const std::uint64_t entry = path_[used_ - 1].value;
            if (!paging::P::test(entry)) {
                page_fault(0);
                return false;
            }
            std::uint64_t reserved = reserved_always;
            bool leaf = level == 1;
            if (!leaf && paging::PS::test(entry)) {
                if (level == 2) {
                    leaf = true;
                    reserved |= paging::RESERVED_2M::kMask;
                } else if (level == 3 && paging_.pages_1g) {
                    leaf = true;
                    reserved |= paging::RESERVED_1G::kMask;
                } else {
                    reserved |= paging::PS::kMask;
                }
            }
            if ((entry & reserved) != 0) {
                page_fault(paging::error_code::kPresent | paging::error_code::kReserved);
                return false;
            }
            mapping.write = mapping.write && paging::RW::test(entry);
            mapping.user = mapping.user && paging::US::test(entry);
            mapping.no_execute = mapping.no_execute || paging::XD::test(entry);
            if (leaf) {
                mapping.shift = shift;
                mapping.base = entry & paging::ADDRESS::kMask & ~low_bits(shift);
                mapping.dirty = paging::D::test(entry);
                mapping.global = paging::G::test(entry);
                return true;
            }
            table = entry & paging::ADDRESS::kMask;
        }
    }

    /// Two levels of 32-bit entries (SDM 3A 4.3).
    bool find_32bit(GuestMapping& mapping) {
        const std::uint64_t linear = result_.linear;
        const std::uint64_t directory = paging_.cr3 & paging::ADDRESS_32::kMask;
        if (!read_entry<std::uint32_t>(directory | (linear >> 22) << 2)) return false;
        std::uint64_t entry = path_[0].value;
        if (!paging::P::test(entry)) {
            page_fault(0);
            return false;
        }
        mapping.write = paging::RW::test(entry);
        mapping.user = paging::US::test(entry);
        if (paging_.page_size_extensions && paging::PS::test(entry)) {
            // Bits 20:13 hold address bits 39:32; those from MAXPHYADDR up are reserved.
            std::uint64_t reserved = paging::RESERVED_4M::kMask;
            if (paging_.pse36) {
                const unsigned width = paging_.maxphyaddr < 40 ? paging_.maxphyaddr : 40;
                reserved = low_bits(22) & ~low_bits(width - 19);
            }
            if ((entry & reserved) != 0) {
                page_fault(paging::error_code::kPresent | paging::error_code::kReserved);
                return false;
            }
            mapping.shift = 22;
            mapping.base = entry & paging::ADDRESS_4M_LOW::kMask;
            if (paging_.pse36) mapping.base |= paging::ADDRESS_4M_HIGH::get(entry) << 32;
        } else {
            const std::uint64_t table = entry & paging::ADDRESS_32::kMask;
            if (!read_entry<std::uint32_t>(table | ((linear >> 12) & low_bits(10)) << 2))
                return false;
            entry = path_[1].value;
            if (!paging::P::test(entry)) {
                page_fault(0);
                return false;
            }
            mapping.write = mapping.write && paging::RW::test(entry);
            mapping.user = mapping.user && paging::US::test(entry);
            mapping.base = entry & paging::ADDRESS_32::kMask;
        }
        mapping.dirty = paging::D::test(entry);
        mapping.global = paging::G::test(entry);
        return true;
    }

    /// SDM 3A 4.6.1.
    void apply_rights(const GuestMapping& mapping) {
        if (supervisor_) {
            const bool explicit_ac = paging_.alignment_check && !request_.implicit_supervisor;
            result_.readable = !mapping.user || !paging_.smap || explicit_ac;
            result_.writable = result_.readable && (mapping.write || !paging_.write_protect);
            result_.executable = !mapping.no_execute && !(mapping.user && paging_.smep);
        } else {
            result_.readable = mapping.user;
            result_.writable = mapping.user && mapping.write;
            result_.executable = mapping.user && !mapping.no_execute;
        }
    }

    bool allowed(const WalkResult& rights) const {
        switch (request_.access) {
            case Access::read:
                return rights.readable;
            case Access::write:
                return rights.writable;
            case Access::execute:
                break;
        }
        return rights.executable;
    }

    void page_fault(std::uint32_t reason) {
        namespace e = paging::error_code;
        std::uint32_t code = reason;
        if (request_.access == Access::write) code |= e::kWrite;
        if (!supervisor_) code |= e::kUser;
        // SDM 3A 4.7: I/D only when SMEP or execute-disable is in use.
        const bool execute_disable = paging_.no_execute && paging_.mode != PagingMode::bits32;
        if (request_.access == Access::execute && (paging_.smep || execute_disable))
            code |= e::kInstruction;
        result_.outcome = WalkOutcome::page_fault;
        result_.error_code = code;
        result_.readable = result_.writable = result_.executable = false;
    }

    void nested_fault(const NestedFault& fault) {
        result_.outcome = WalkOutcome::nested_fault;
        result_.nested = fault;
        result_.readable = result_.writable = result_.executable = false;
    }

    /// Sets A on the path and D in the leaf of a write (SDM 3A 4.8), top down.
    bool update_flags(GuestMapping& mapping) {
        const bool write = request_.access == Access::write;
        for (unsigned i = 0; i < used_; ++i) {
            std::uint64_t flags = paging::A::kMask;
            if (write && i + 1 == used_) flags |= paging::D::kMask;
            if ((path_[i].value & flags) == flags) continue;
            if (!write_entry(path_[i], path_[i].value | flags)) return false;
        }
        mapping.dirty = mapping.dirty || write;
        return true;
    }

    bool write_entry(const GuestEntry& entry, std::uint64_t value) {
        if (stage_.kind != SecondStageKind::none) {
            // The table may be readable only: the update is a write of its own.
            const NestedRequest nested{.access = Access::write, .guest_table = true};
            const NestedTranslation at =
                translate_guest_physical(stage_, entry.guest_physical, nested, result_.steps);
            if (at.fault.kind != NestedFaultKind::none) {
                nested_fault(at.fault);
                return false;
            }
        }
        if (paging_.mode == PagingMode::bits32)
            stage_.ram->write(entry.system_physical, static_cast<std::uint32_t>(value));
        else
            stage_.ram->write(entry.system_physical, value);
        ++result_.steps.updates;
        return true;
    }

    void final_access(const GuestMapping& mapping) {
        const NestedRequest nested{
            .access = request_.access,
            .guest_table = false,
            .linear_valid = true,
            .user_linear = mapping.user,
            .user_mode = request_.user && !request_.implicit_supervisor,
        };
        const NestedTranslation at =
            translate_guest_physical(stage_, result_.guest_physical, nested, result_.steps);
        if (at.fault.kind != NestedFaultKind::none) {
            nested_fault(at.fault);
            return;
        }
        result_.system_physical = at.system_physical;
        result_.nested_page_shift = at.page_shift;
        result_.memory_type = at.memory_type;
        result_.readable = result_.readable && at.readable;
        result_.writable = result_.writable && at.writable;
        result_.executable = result_.executable && at.executable;
    }

    const PagingState& paging_;
    const SecondStage& stage_;
    const AccessRequest& request_;
    bool supervisor_;
    WalkResult& result_;
    unsigned used_ = 0;
    std::array<GuestEntry, 5> path_;
};

}  // namespace

WalkResult walk(const PagingState& paging, const SecondStage& second_stage, std::uint64_t linear,
                const AccessRequest& request) {
    WalkResult result;
    Walker(paging, second_stage, request, result).run(linear);
    return result;
}

PdpteLoad load_pdptes(const SecondStage& second_stage, std::uint64_t cr3, unsigned maxphyaddr) {
    PdpteLoad out;
    const NestedRequest request{
        .access = Access::read, .guest_table = true, .linear_valid = false, .user_linear = false};
    const std::uint64_t table = cr3 & paging::PAE_CR3_ADDRESS::kMask;
    // The four entries are in one page: cr3 aligns them to 32 bytes.
    const NestedTranslation at = translate_guest_physical(second_stage, table, request, out.steps);
    if (at.fault.kind != NestedFaultKind::none) {
        out.fault = at.fault;
        return out;
    }
    for (std::size_t i = 0; i < out.pdpte.size(); ++i) {
        std::uint64_t value = ~std::uint64_t{0};
        second_stage.ram->read(at.system_physical + 8 * i, value);
        ++out.steps.guest;
        out.pdpte[i] = value;
        out.reserved_bits_set = out.reserved_bits_set || pdpte_reserved_bits_set(value, maxphyaddr);
    }
    return out;
}

}  // namespace hvsim::mmu
