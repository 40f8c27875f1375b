#pragma once
// Data that a virtual disk tells about itself: INQUIRY, vital product data, mode pages.
#include <cstdint>
#include <optional>
#include <vector>

#include "vmbus-model/storvsp/scsi/disk.h"

namespace hvsim::vmbus::storvsp {

/// Standard INQUIRY data; `peripheral` is byte 0 (SPC-4 6.6.2).
std::vector<std::uint8_t> standard_inquiry(const DiskIdentity& identity, std::uint8_t peripheral);

/// A vital product data page with its header; nothing when there is no such page.
std::optional<std::vector<std::uint8_t>> vpd_page(const DiskIdentity& identity,
                                                  const DiskGeometry& geometry,
                                                  std::uint32_t max_transfer_bytes,
                                                  std::uint8_t page);

/// Mode pages `page` (3Fh: all) without the mode parameter header; nothing when there is no such
/// page. `changeable`: the mask of what MODE SELECT could change, which is nothing.
std::optional<std::vector<std::uint8_t>> mode_pages(const DiskGeometry& geometry, std::uint8_t page,
                                                    bool changeable);

}  // namespace hvsim::vmbus::storvsp
