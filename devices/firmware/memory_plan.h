#pragma once
// Where RAM and address windows of a PC-like machine lie: RAM from zero up to the hole below 4 GiB,
// the rest from 4 GiB on, address space for devices in the hole and above all RAM.
#include <cstdint>
#include <vector>

#include "sim/error.h"

namespace hvsim::devices::firmware {

inline constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kFourGibibytes = 4 * kGibibyte;

struct AddressRange {
    std::uint64_t base = 0;
    std::uint64_t length = 0;  ///< bytes
    constexpr std::uint64_t end() const noexcept { return base + length; }
    bool operator==(const AddressRange&) const = default;
};

struct MemoryPlanConfig {
    std::uint64_t ram_bytes = 0;           ///< a multiple of 4096, at least 1 MiB
    std::uint64_t hole_base = 0xf8000000;  ///< RAM below 4 GiB ends here at the latest
    std::uint64_t high_mmio_bytes = 512 * kMebibyte;
    unsigned physical_address_bits = 46;
    sim::SourceLocation where;  ///< of the RAM size, for error messages
};

struct MemoryPlan {
    std::uint64_t ram_bytes = 0;
    AddressRange low_ram;    ///< from 0; includes 0xa0000-0xfffff, which is RAM but not "usable"
    AddressRange high_ram;   ///< from 4 GiB; length 0 if all RAM lies below
    AddressRange low_mmio;   ///< from the hole's base to the I/O APIC
    AddressRange high_mmio;  ///< above all RAM, 1 GiB aligned; length 0 if none was asked for
    bool operator==(const MemoryPlan&) const = default;
};

/// Throws ConfigError when RAM is misaligned, too small, or does not fit the address width.
MemoryPlan plan_memory(const MemoryPlanConfig& config);

/// Kinds of memory as the e820 map names them (ACPI 6.4 table 15.3).
enum class E820Type : std::uint32_t { ram = 1, reserved = 2, acpi = 3, nvs = 4 };

struct E820Entry {
    AddressRange range;
    E820Type type = E820Type::ram;
    bool operator==(const E820Entry&) const = default;
};

/// Firmware tables live in 0xe0000-0xfffff; device windows are not in the map, because a guest
/// hands out only what no entry claims.
inline constexpr AddressRange kFirmwareArea{0xe0000, 0x20000};
std::vector<E820Entry> e820_map(const MemoryPlan& plan);

}  // namespace hvsim::devices::firmware
