#pragma once
#include <cstdint>
#include <vector>

namespace hvsim::devices::firmware {

inline constexpr std::uint64_t kIdentityTablesSize = 6 * 4096;

/// Paging structures for `address` (page aligned) that map the first 4 GiB one to one, writable,
/// by 2 MiB pages: PML4, PDPT, four page directories (SDM 3A 4.5).
std::vector<std::uint8_t> identity_page_tables(std::uint64_t address);

}  // namespace hvsim::devices::firmware
