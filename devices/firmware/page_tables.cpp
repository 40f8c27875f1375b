#include "devices/firmware/page_tables.h"

#include "devices/byte_order.h"
#include "sim/ram.h"

namespace hvsim::devices::firmware {

std::vector<std::uint8_t> identity_page_tables(std::uint64_t address) {
    constexpr std::uint64_t kTable = 0x3;   // present, writable
    constexpr std::uint64_t kLarge = 0x83;  // and 2 MiB page
    constexpr std::uint64_t kLargePage = std::uint64_t{1} << 21;
    std::vector<std::uint8_t> tables(kIdentityTablesSize);
    const std::uint64_t pdpt = address + sim::kPageSize;
    store_le<std::uint64_t>(tables, 0, pdpt | kTable);
    for (std::uint64_t i = 0; i < 4; ++i)
        store_le<std::uint64_t>(tables, sim::kPageSize + i * 8,
                                (pdpt + (i + 1) * sim::kPageSize) | kTable);
    for (std::uint64_t i = 0; i < 4 * 512; ++i)
        store_le<std::uint64_t>(tables, 2 * sim::kPageSize + i * 8, i * kLargePage | kLarge);
    return tables;
}

}  // namespace hvsim::devices::firmware
