#pragma once
// What the checks of VM entry share (SDM 3C 27.2, 27.3.1): spec/rules.h has the rules in words;
// the first broken one is reported.
#include "cpu/descriptor.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/guest.h"

namespace hvsim::cpu::vmx {

/// Collects the first broken rule.
class Rules {
  public:
    Rules(const Guest& guest, EntryFailure& failure) : guest_(guest), failure_(failure) {}

    std::uint64_t operator[](Field field) const { return guest_.read(field); }

    /// Rule `number` (spec/rules.h): `holds`, or else `field` is to blame.
    void demand(std::uint32_t number, Field field, bool holds) {
        if (holds || failed_) return;
        failed_ = true;
        failure_ = broken_rule(number, field, guest_.read(field));
    }
    /// VTPR of a virtual-APIC page.
    std::uint64_t virtual_tpr(std::uint64_t page) const {
        std::uint8_t tpr = 0xff;
        guest_.core().ram().read(page + 0x80, tpr);
        return tpr;
    }
    const Guest& guest() const noexcept { return guest_; }
    const Model& model() const noexcept { return guest_.core().model(); }
    /// An address that the processor's physical-address width holds.
    bool is_physical(std::uint64_t address) const noexcept {
        return address >> model().physical_address_bits == 0;
    }
    bool is_page_address(std::uint64_t address) const noexcept {
        return (address & 0xfff) == 0 && is_physical(address);
    }
    bool is_msr_area(std::uint64_t address) const noexcept {
        return (address & 0xf) == 0 && is_physical(address);
    }
    bool is_valid_cr4(std::uint64_t value) const noexcept {
        return (value & kCr4Fixed0) == kCr4Fixed0 && (value & ~cr4_fixed1(model())) == 0;
    }
    bool passed() const noexcept { return !failed_; }

  private:
    const Guest& guest_;
    EntryFailure& failure_;
    bool failed_ = false;
};

inline bool unusable(std::uint64_t rights) noexcept {
    return ar::UNUSABLE::test(rights);
}
/// Bits 11:8 and 31:17 of access rights are reserved.
inline bool reserved_clear(std::uint64_t rights) noexcept {
    return (rights & 0xfffe0f00) == 0;
}
/// A limit that G can say: in bytes below 1 MiB, or whole pages.
inline bool granularity_fits(std::uint64_t rights, std::uint64_t limit) noexcept {
    return ar::G::test(rights) ? (limit & 0xfff) == 0xfff : limit >> 20 == 0;
}
/// One of eight consecutive per-segment fields, in the order ES, CS, SS, DS, FS, GS, LDTR, TR.
inline Field nth(Field first, unsigned index) noexcept {
    return static_cast<Field>(static_cast<unsigned>(first) + 2 * index);
}

/// The rules about event injection (27.2.1.3).
void check_event_injection(Rules& rules, std::uint32_t secondaries);

}  // namespace hvsim::cpu::vmx
