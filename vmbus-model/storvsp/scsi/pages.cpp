#include "vmbus-model/storvsp/scsi/pages.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "vmbus-model/storvsp/scsi/big_endian.h"

namespace hvsim::vmbus::storvsp {
namespace {

constexpr std::size_t kInquirySize = 96;
constexpr std::uint8_t kVersionSpc3 = 5;
constexpr std::uint32_t kMaxUnmapDescriptors = 256;

void put_text(std::vector<std::uint8_t>& bytes, std::size_t offset, std::size_t size,
              std::string_view text) {
    for (std::size_t i = 0; i < size; ++i)
        bytes[offset + i] = static_cast<std::uint8_t>(i < text.size() ? text[i] : ' ');
}

std::string serial_of(const DiskIdentity& identity) {
    if (!identity.serial.empty()) return identity.serial.substr(0, 252);
    std::string serial = vmbus::spec::to_string(identity.id);
    std::erase(serial, '-');
    return serial;
}

// SPC-4 7.8.5: one designator, NAA 6 of the company 00-22-48 with 12 bytes of the disk's id; the
// form in which Hyper-V names its virtual disks, so that /dev/disk/by-id looks the same.
std::vector<std::uint8_t> identification(const DiskIdentity& identity) {
    std::vector<std::uint8_t> body{0x01, 0x03, 0x00, 0x10, 0x60, 0x02, 0x24, 0x80};
    const auto& id = identity.id.bytes;
    body.insert(body.end(), id.begin(), id.begin() + 6);
    body.insert(body.end(), id.begin() + 10, id.end());
    return body;
}

// SBC-3 6.5.3.
std::vector<std::uint8_t> block_limits(const DiskGeometry& geometry,
                                       std::uint32_t max_transfer_bytes) {
    std::vector<std::uint8_t> body(0x3c);
    store_be<4>(body, 4, max_transfer_bytes / geometry.block_size);
    if (geometry.discard) {
        store_be<4>(body, 16, std::numeric_limits<std::uint32_t>::max());
        store_be<4>(body, 20, kMaxUnmapDescriptors);
        store_be<4>(body, 24, std::max<std::uint32_t>(1, 4096 / geometry.block_size));
        store_be<4>(body, 28, 0x8000'0000);  // UGAVALID, alignment 0
    }
    return body;
}

}  // namespace

std::vector<std::uint8_t> standard_inquiry(const DiskIdentity& identity, std::uint8_t peripheral) {
    std::vector<std::uint8_t> data(kInquirySize);
    data[0] = peripheral;
    data[2] = kVersionSpc3;
    data[3] = 2;  // response data format
    data[4] = kInquirySize - 5;
    data[7] = 0x02;  // CMDQUE
    put_text(data, 8, 8, identity.vendor);
    put_text(data, 16, 16, identity.product);
    put_text(data, 32, 4, identity.revision);
    return data;
}

std::optional<std::vector<std::uint8_t>> vpd_page(const DiskIdentity& identity,
                                                  const DiskGeometry& geometry,
                                                  std::uint32_t max_transfer_bytes,
                                                  std::uint8_t page) {
    std::vector<std::uint8_t> body;
    switch (page) {
        case spec::kVpdSupported:
            body = {spec::kVpdSupported,   spec::kVpdSerialNumber,    spec::kVpdIdentification,
                    spec::kVpdBlockLimits, spec::kVpdCharacteristics, spec::kVpdProvisioning};
            break;
        case spec::kVpdSerialNumber: {
            const std::string serial = serial_of(identity);
            body.assign(serial.begin(), serial.end());
            break;
        }
        case spec::kVpdIdentification:
            body = identification(identity);
            break;
        case spec::kVpdBlockLimits:
            body = block_limits(geometry, max_transfer_bytes);
            break;
        case spec::kVpdCharacteristics:
            body.resize(0x3c);
            store_be<2>(body, 0, 1);  // SBC-3 6.5.2: not a rotating medium
            break;
        case spec::kVpdProvisioning:
            body.resize(4);
            body[1] = geometry.discard ? 0x80 : 0;  // SBC-3 6.5.4: LBPU
            body[2] = geometry.discard ? 2 : 0;     // thin provisioned
            break;
        default:
            return std::nullopt;
    }
    std::vector<std::uint8_t> data(4 + body.size());
    data[1] = page;
    store_be<2>(data, 2, body.size());
    std::copy(body.begin(), body.end(), data.begin() + 4);
    return data;
}

std::optional<std::vector<std::uint8_t>> mode_pages(const DiskGeometry& geometry, std::uint8_t page,
                                                    bool changeable) {
    std::vector<std::uint8_t> pages;
    if (page == spec::kModeCaching || page == spec::kModeAll) {
        std::vector<std::uint8_t> caching(20);  // SBC-3 6.4.5
        caching[0] = spec::kModeCaching;
        caching[1] = static_cast<std::uint8_t>(caching.size() - 2);
        if (!changeable && geometry.write_cache) caching[2] = 0x04;  // WCE
        pages.insert(pages.end(), caching.begin(), caching.end());
    }
    if (page == spec::kModeControl || page == spec::kModeAll) {
        std::vector<std::uint8_t> control(12);  // SPC-4 7.5.8
        control[0] = spec::kModeControl;
        control[1] = static_cast<std::uint8_t>(control.size() - 2);
        pages.insert(pages.end(), control.begin(), control.end());
    }
    if (pages.empty()) return std::nullopt;
    return pages;
}

}  // namespace hvsim::vmbus::storvsp
