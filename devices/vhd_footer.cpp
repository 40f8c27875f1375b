#include "devices/vhd_footer.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "devices/byte_order.h"

namespace hvsim::devices {

namespace vhd = spec::vhd;

namespace {

/// Cylinders, heads, sectors per track: the specification's appendix "CHS Calculation".
struct Geometry {
    std::uint16_t cylinders;
    std::uint8_t heads;
    std::uint8_t sectors;
};

Geometry geometry_of(std::uint64_t disk_size) {
    constexpr std::uint64_t kMost = 65535ull * 16 * 255;
    const std::uint64_t total = std::min(disk_size / vhd::kSectorSize, kMost);
    std::uint64_t sectors = 255;
    std::uint64_t heads = 16;
    std::uint64_t cylinder_heads = total / sectors;
    if (total < 65535ull * 16 * 63) {
        sectors = 17;
        cylinder_heads = total / sectors;
        heads = std::max<std::uint64_t>((cylinder_heads + 1023) / 1024, 4);
        if (cylinder_heads >= heads * 1024 || heads > 16) {
            sectors = 31;
            heads = 16;
            cylinder_heads = total / sectors;
        }
        if (cylinder_heads >= heads * 1024) {
            sectors = 63;
            heads = 16;
            cylinder_heads = total / sectors;
        }
    }
    return {static_cast<std::uint16_t>(cylinder_heads / heads), static_cast<std::uint8_t>(heads),
            static_cast<std::uint8_t>(sectors)};
}

constexpr std::string_view kConvert =
    "convert it with: qemu-img convert -O vpc -o subformat=fixed,force_size=on OLD NEW.vhd";

}  // namespace

std::uint32_t vhd_checksum(std::span<const std::uint8_t, vhd::kFooterSize> footer) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < footer.size(); ++i)
        if (i < vhd::kChecksum || i >= vhd::kChecksum + 4) sum += footer[i];
    return ~sum;
}

FixedVhd parse_vhd_footer(std::span<const std::uint8_t, vhd::kFooterSize> footer,
                          std::uint64_t file_size, const sim::SourceLocation& where) {
    const auto fail = [&where](const std::string& problem, std::string_view hint) {
        throw sim::ConfigError(where, problem, std::string(hint));
    };
    if (!std::equal(vhd::kCookie.begin(), vhd::kCookie.end(), footer.begin()))
        fail("not a VHD: the last 512 bytes do not begin with 'conectix'",
             "the file may be cut short or of another format; name raw images .img or .raw");
    const auto stored = load_be<std::uint32_t>(footer, vhd::kChecksum);
    const std::uint32_t computed = vhd_checksum(footer);
    if (stored != computed)
        fail(fmt::format("broken VHD footer: checksum {:#010x}, its bytes give {:#010x}", stored,
                         computed),
             "the image is damaged; make it again");
    const auto version = load_be<std::uint32_t>(footer, vhd::kVersion);
    if (version >> 16 != vhd::kVersion1 >> 16)
        fail(fmt::format("VHD format version {}.{}, expected 1.x", version >> 16, version & 0xffff),
             kConvert);
    const auto type = load_be<std::uint32_t>(footer, vhd::kDiskType);
    if (type != vhd::kFixed)
        fail(fmt::format("VHD of type {} ({}), only fixed disks (2) are supported", type,
                         type == vhd::kDynamic        ? "dynamic"
                         : type == vhd::kDifferencing ? "differencing"
                                                      : "unknown"),
             kConvert);
    FixedVhd disk;
    disk.disk_size = load_be<std::uint64_t>(footer, vhd::kCurrentSize);
    std::copy_n(footer.begin() + vhd::kUniqueId, disk.unique_id.size(), disk.unique_id.begin());
    if (disk.disk_size == 0 || disk.disk_size % vhd::kSectorSize != 0)
        fail(
            fmt::format("VHD footer says {} bytes, not a positive multiple of 512", disk.disk_size),
            "the image is damaged; make it again");
    const std::uint64_t data = file_size - std::min<std::uint64_t>(file_size, vhd::kFooterSize);
    if (data < disk.disk_size)
        fail(fmt::format("VHD footer says {} bytes of data, the file has {}", disk.disk_size, data),
             "the image is cut short; copy it again");
    if (data > disk.disk_size)
        fail(fmt::format("VHD footer says {} bytes of data, the file has {}", disk.disk_size, data),
             "the footer does not belong to this file, or data was appended; make it again");
    return disk;
}

VhdFooter make_vhd_footer(const FixedVhd& disk) {
    SIM_ASSERT(disk.disk_size != 0 && disk.disk_size % vhd::kSectorSize == 0);
    VhdFooter footer{};
    std::copy(vhd::kCookie.begin(), vhd::kCookie.end(), footer.begin());
    store_be<std::uint32_t>(footer, vhd::kFeatures, vhd::kFeaturesReserved);
    store_be<std::uint32_t>(footer, vhd::kVersion, vhd::kVersion1);
    store_be<std::uint64_t>(footer, vhd::kDataOffset, vhd::kNoDataOffset);
    constexpr std::string_view kCreatorName = "hvsm";
    std::copy(kCreatorName.begin(), kCreatorName.end(), footer.begin() + vhd::kCreator);
    store_be<std::uint32_t>(footer, vhd::kCreatorVersion, vhd::kVersion1);
    constexpr std::string_view kCreatorHostName = "Wi2k";
    std::copy(kCreatorHostName.begin(), kCreatorHostName.end(), footer.begin() + vhd::kCreatorHost);
    store_be<std::uint64_t>(footer, vhd::kOriginalSize, disk.disk_size);
    store_be<std::uint64_t>(footer, vhd::kCurrentSize, disk.disk_size);
    const Geometry geometry = geometry_of(disk.disk_size);
    store_be<std::uint16_t>(footer, vhd::kCylinders, geometry.cylinders);
    footer[vhd::kHeads] = geometry.heads;
    footer[vhd::kSectorsPerTrack] = geometry.sectors;
    store_be<std::uint32_t>(footer, vhd::kDiskType, vhd::kFixed);
    std::copy(disk.unique_id.begin(), disk.unique_id.end(), footer.begin() + vhd::kUniqueId);
    store_be<std::uint32_t>(footer, vhd::kChecksum, vhd_checksum(footer));
    return footer;
}

}  // namespace hvsim::devices
