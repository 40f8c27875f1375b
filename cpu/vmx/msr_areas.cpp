#include "cpu/vmx/msr_areas.h"

#include <array>

#include "cpu/msr_file.h"

namespace hvsim::cpu::vmx {
namespace {

constexpr std::uint32_t kBiosUpdateTrigger = 0x79, kSmmMonitorControl = 0x9b, kSmbase = 0x9e;

/// One entry (SDM 3C table 25-15): index and reserved half, then the value.
struct Entry {
    std::uint32_t index = 0, reserved = 0;
    std::uint64_t value = 0;
};
static_assert(sizeof(Entry) == 16);

/// MSRs that neither kind of area may name: the x2APIC's, and those of system-management mode.
bool barred(const Entry& entry) {
    return entry.reserved != 0 || entry.index >> 8 == 0x8 || entry.index == kSmmMonitorControl ||
           entry.index == kSmbase;
}

}  // namespace

std::uint32_t load_msr_area(Core& core, std::uint64_t address, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        Entry entry;
        const bool present = core.ram().read(address + 16 * std::uint64_t{i}, entry);
        if (i >= kMsrAreaLimit || !present || barred(entry) || entry.index == msr::kFsBase ||
            entry.index == msr::kGsBase || entry.index == kBiosUpdateTrigger ||
            !core.write_msr(entry.index, entry.value))
            return i + 1;
    }
    return 0;
}

std::uint32_t store_msr_area(Core& core, std::uint64_t address, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint64_t at = address + 16 * std::uint64_t{i};
        Entry entry;
        if (i >= kMsrAreaLimit || !core.ram().read(at, entry) || barred(entry) ||
            !core.read_msr(entry.index, entry.value))
            return i + 1;
        core.ram().write(at + 8, entry.value);
    }
    return 0;
}

}  // namespace hvsim::cpu::vmx
