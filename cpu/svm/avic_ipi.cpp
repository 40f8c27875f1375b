// IPIs that a guest's APIC sends without a #VMEXIT (APM 2 15.29.6.1).
#include <algorithm>

#include "cpu/svm/avic.h"
#include "cpu/svm/guest.h"

namespace hvsim::cpu::svm {
namespace {

using avic::IpiFailure;

// The interrupt command (APM 2 16.5).
using VECTOR = sim::Bits<7, 0>;
using MESSAGE_TYPE = sim::Bits<10, 8>;
using LOGICAL = sim::Bits<11>;
using LEVEL_TRIGGERED = sim::Bits<15>;
using SHORTHAND = sim::Bits<19, 18>;
using XAPIC_DESTINATION = sim::Bits<31, 24>;
constexpr std::uint64_t kFixed = 0;
constexpr std::uint64_t kNoShorthand = 0, kSelf = 1, kAllButSelf = 3;
constexpr std::uint32_t kXapicEverybody = 0xff, kX2apicEverybody = 0xffffffff;
constexpr unsigned kLowestVector = 16;

}  // namespace

/// MAX_INDEX is of the last entry; 255 is no processor's id in xAPIC mode.
std::uint32_t Avic::table_entries() const noexcept {
    return static_cast<std::uint32_t>(avic::MAX_INDEX::get(controls_.avic_physical_table)) + 1;
}

/// An entry beyond the table is not valid.
std::uint64_t Avic::physical_entry(std::uint32_t index) const {
    std::uint64_t entry = 0;
    if (index >= table_entries()) return entry;
    const std::uint64_t table = controls_.avic_physical_table & avic::kPageAddress;
    core_.ram().read(table + 8 * std::uint64_t{index}, entry);
    return entry;
}

bool Avic::points_inside(std::uint64_t entry) const noexcept {
    return (entry & avic::kPageAddress) >> physical_bits_ == 0;
}

/// The command stays in the page; the exit is behind the instruction.
void Avic::fail_ipi(IpiFailure why, std::uint32_t index) {
    exit_behind({ExitCode::AVIC_INCOMPLETE_IPI, command_,
                 std::uint64_t{static_cast<std::uint32_t>(why)} << 32 | index});
}

/// Makes the vector pending; false: its processor does not run.
bool Avic::deliver(std::uint64_t entry, unsigned vector) {
    const std::uint64_t backing_page = entry & avic::kPageAddress;
    VirtualApicPage(core_.ram(), backing_page).set_vector(avic::kIrr, vector, true);
    if (!avic::physical_entry::IS_RUNNING::test(entry)) return false;
    if (backing_page == (controls_.avic_backing_page & avic::kPageAddress)) {
        evaluate();
    } else if (core_.local_apic() != nullptr) {
        const auto host = static_cast<std::uint32_t>(avic::physical_entry::HOST_ID::get(entry));
        core_.local_apic()->send_doorbell(host, core_.now());
    }
    return true;
}

bool Avic::logical_target(std::uint32_t index, Targets& targets) {
    std::uint32_t entry = 0;
    const std::uint64_t table = controls_.avic_logical_table & avic::kPageAddress;
    core_.ram().read(table + 4 * std::uint64_t{index}, entry);
    if (!avic::logical_entry::VALID::test(entry)) {
        fail_ipi(IpiFailure::invalid_target, index);
        return false;
    }
    targets.add(static_cast<std::uint32_t>(avic::logical_entry::GUEST_ID::get(entry)), index);
    return true;
}

/// False: the IPI has failed.
bool Avic::logical_targets(std::uint32_t destination, Targets& targets) {
    if (x2apic_) {  // 15.29.5.3: no table, the id follows from the destination
        for (unsigned bit = 0; bit < 16; ++bit) {
            const std::uint32_t id = (destination >> 16) << 4 | bit;
            if (destination >> bit & 1) targets.add(id, id);
        }
        return true;
    }
    const bool flat = page().get(avic::kDfr) >> 28 == 0xf;
    const unsigned members = flat ? 8 : 4;
    const std::uint32_t first = flat ? 0 : (destination >> 4) * 4;
    for (unsigned bit = 0; bit < members; ++bit)
        if ((destination >> bit & 1) && !logical_target(first + bit, targets)) return false;
    return true;
}

/// To all valid entries, or all but the sender's.
void Avic::broadcast(unsigned vector, bool to_itself) {
    const std::uint64_t own = controls_.avic_backing_page & avic::kPageAddress;
    const auto is_target = [&](std::uint64_t entry) {
        return avic::physical_entry::VALID::test(entry) &&
               (to_itself || (entry & avic::kPageAddress) != own);
    };
    for (std::uint32_t i = 0; i < table_entries(); ++i)
        if (const std::uint64_t entry = physical_entry(i);
            is_target(entry) && !points_inside(entry))
            return fail_ipi(IpiFailure::invalid_backing_page, i);
    std::optional<std::uint32_t> waiting;
    for (std::uint32_t i = 0; i < table_entries(); ++i) {
        const std::uint64_t entry = physical_entry(i);
        if (is_target(entry) && !deliver(entry, vector) && !waiting) waiting = i;
    }
    if (waiting) fail_ipi(IpiFailure::target_not_running, *waiting);
}

void Avic::send_ipi(std::uint32_t low, std::uint32_t high) {
    command_ = std::uint64_t{high} << 32 | low;
    const auto vector = static_cast<unsigned>(VECTOR::get(low));
    if (MESSAGE_TYPE::get(low) != kFixed || LEVEL_TRIGGERED::test(low))
        return fail_ipi(IpiFailure::invalid_type);
    if (vector < kLowestVector) return fail_ipi(IpiFailure::invalid_vector);
    const std::uint64_t shorthand = SHORTHAND::get(low);
    if (shorthand == kSelf) {
        page().set_vector(avic::kIrr, vector, true);
        return evaluate();
    }
    const std::uint32_t destination =
        x2apic_ ? high : static_cast<std::uint32_t>(XAPIC_DESTINATION::get(high));
    if (shorthand != kNoShorthand || destination == (x2apic_ ? kX2apicEverybody : kXapicEverybody))
        return broadcast(vector, shorthand != kAllButSelf);
    Targets targets;
    if (!LOGICAL::test(low))
        targets.add(destination, destination & 0xfff);
    else if (!logical_targets(destination, targets))
        return;
    std::array<std::uint64_t, 16> entries{};
    for (std::size_t i = 0; i < targets.count; ++i) {
        entries[i] = physical_entry(targets.ids[i]);
        if (!avic::physical_entry::VALID::test(entries[i]))
            return fail_ipi(IpiFailure::invalid_target, targets.indices[i]);
        if (!points_inside(entries[i]))
            return fail_ipi(IpiFailure::invalid_backing_page, targets.indices[i]);
    }
    std::optional<std::uint32_t> waiting;
    for (std::size_t i = 0; i < targets.count; ++i)
        if (!deliver(entries[i], vector) && !waiting) waiting = targets.indices[i];
    if (waiting) fail_ipi(IpiFailure::target_not_running, *waiting);
}

}  // namespace hvsim::cpu::svm
