#pragma once
// The footer of a fixed VHD (devices/spec/vhd.h).
#include <array>
#include <cstdint>
#include <span>

#include "devices/spec/vhd.h"
#include "sim/error.h"

namespace hvsim::devices {

/// What a footer says of a fixed disk.
struct FixedVhd {
    std::uint64_t disk_size = 0;  ///< bytes of data before the footer
    std::array<std::uint8_t, 16> unique_id{};
};

using VhdFooter = std::array<std::uint8_t, spec::vhd::kFooterSize>;

/// One's complement of the sum of all bytes but the checksum's own.
std::uint32_t vhd_checksum(std::span<const std::uint8_t, spec::vhd::kFooterSize> footer);

/// Checks everything a fixed disk's footer promises against a file of `file_size` bytes. Throws
/// ConfigError with `where.file` = the image and a hint what to do.
FixedVhd parse_vhd_footer(std::span<const std::uint8_t, spec::vhd::kFooterSize> footer,
                          std::uint64_t file_size, const sim::SourceLocation& where);

/// The footer for `disk_size` bytes (a multiple of 512, not 0) of data; time stamp 0, so equal
/// arguments give equal bytes.
VhdFooter make_vhd_footer(const FixedVhd& disk);

}  // namespace hvsim::devices
