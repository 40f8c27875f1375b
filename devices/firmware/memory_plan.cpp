#include "devices/firmware/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/ram.h"

namespace hvsim::devices::firmware {

namespace {
constexpr std::uint64_t kIoApicBase = 0xfec00000;
}  // namespace

MemoryPlan plan_memory(const MemoryPlanConfig& config) {
    if (config.ram_bytes % sim::kPageSize != 0)
        throw sim::ConfigError(
            config.where,
            fmt::format("{} bytes of RAM are not a multiple of 4096", config.ram_bytes),
            "give RAM in MiB or GiB");
    if (config.ram_bytes < kMebibyte)
        throw sim::ConfigError(config.where,
                               fmt::format("{} bytes of RAM are too few", config.ram_bytes),
                               "a machine needs 1 MiB at least; Linux needs 128 MiB");
    SIM_ASSERT(config.hole_base >= kMebibyte && config.hole_base <= kIoApicBase);
    SIM_ASSERT(config.hole_base % kMebibyte == 0 && config.high_mmio_bytes % kMebibyte == 0);

    MemoryPlan plan;
    plan.ram_bytes = config.ram_bytes;
    plan.low_ram = {0, std::min(config.ram_bytes, config.hole_base)};
    plan.high_ram = {kFourGibibytes, config.ram_bytes - plan.low_ram.length};
    plan.low_mmio = {config.hole_base, kIoApicBase - config.hole_base};

    SIM_ASSERT(config.physical_address_bits >= 36 && config.physical_address_bits <= 52);
    const std::uint64_t limit = std::uint64_t{1} << config.physical_address_bits;
    const bool ram_fits = plan.high_ram.length <= limit - kFourGibibytes;
    const std::uint64_t above =
        ram_fits ? (plan.high_ram.end() + kGibibyte - 1) / kGibibyte * kGibibyte : limit;
    if (!ram_fits || config.high_mmio_bytes > limit - above)
        throw sim::ConfigError(
            config.where,
            fmt::format("{} MiB of RAM and {} MiB of device windows do not fit {} address bits",
                        config.ram_bytes / kMebibyte, config.high_mmio_bytes / kMebibyte,
                        config.physical_address_bits),
            "take less RAM or a processor with more physical address bits");
    plan.high_mmio = {above, config.high_mmio_bytes};
    return plan;
}

std::vector<E820Entry> e820_map(const MemoryPlan& plan) {
    std::vector<E820Entry> map{{{0, 0xa0000}, E820Type::ram}, {kFirmwareArea, E820Type::acpi}};
    if (plan.low_ram.end() > kMebibyte)
        map.push_back({{kMebibyte, plan.low_ram.end() - kMebibyte}, E820Type::ram});
    if (plan.high_ram.length != 0) map.push_back({plan.high_ram, E820Type::ram});
    return map;
}

}  // namespace hvsim::devices::firmware
