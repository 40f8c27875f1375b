#include "devices/nvme/identify.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <string_view>

#include "devices/byte_order.h"
#include "devices/nvme/spec/nvme.h"
#include "sim/error.h"

namespace hvsim::devices::nvme {
namespace {

/// ASCII fields are padded with spaces (1.5).
void store_text(std::span<std::uint8_t> field, std::string_view text) {
    std::fill(field.begin(), field.end(), static_cast<std::uint8_t>(' '));
    std::copy_n(text.begin(), std::min(text.size(), field.size()), field.begin());
}

/// A namespace's globally unique identifier follows from the serial number and its number.
std::array<std::uint8_t, 16> nguid_of(const NvmeConfig& config, std::uint32_t nsid) {
    const std::string name = fmt::format("{}/{}", config.serial, nsid);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(name.data(), name.size()));
    std::array<std::uint8_t, 16> nguid;
    std::copy_n(canonical.digest, nguid.size(), nguid.begin());
    return nguid;
}

void check_range(std::string_view name, std::uint64_t value, std::uint64_t least,
                 std::uint64_t most) {
    if (value < least || value > most)
        throw sim::ConfigError(fmt::format("disk controller: {} is {}", name, value),
                               fmt::format("use {} to {}", least, most));
}

void check_text(std::string_view name, std::string_view text, std::size_t most) {
    check_range(fmt::format("length of {}", name), text.size(), 1, most);
    for (const char c : text)
        if (c < ' ' || c > '~')
            throw sim::ConfigError(
                fmt::format("disk controller: {} has a character that is not ASCII", name),
                "use printable ASCII");
}

}  // namespace

void check(const NvmeConfig& config) {
    check_text("serial", config.serial, 20);
    check_text("model", config.model, 40);
    check_text("firmware", config.firmware, 8);
    check_range("io_queues", config.io_queues, 1, spec::kMostQueues);
    check_range("queue_entries", config.queue_entries, 2, 65536);
    check_range("vectors", config.vectors, 1, spec::kMostVectors);
    check_range("transfer_pages_log2", config.transfer_pages_log2, 1, 10);
    check_range("outstanding", config.outstanding, 1, 65536);
    check_range("bandwidth", config.bandwidth, 1'000'000, 1'000'000'000'000);
    check_range("parallelism", config.parallelism, 1, 4096);
    check_range("read_latency", config.read_latency, 0, 10 * sim::kSecond);
    check_range("write_latency", config.write_latency, 0, 10 * sim::kSecond);
    check_range("flush_latency", config.flush_latency, 0, 10 * sim::kSecond);
    check_range("admin_latency", config.admin_latency, 0, 10 * sim::kSecond);
    check_range("enable_time", config.enable_time, 0, 60 * sim::kSecond);
}

IdentifyPage identify_controller(const NvmeConfig& config, std::uint32_t namespaces) {
    IdentifyPage page{};
    const std::span<std::uint8_t> all(page);
    // DEVIATION: VID and SSVID (0, 2) stay zero: the controller is on no PCI bus.
    store_text(all.subspan(4, 20), config.serial);
    store_text(all.subspan(24, 40), config.model);
    store_text(all.subspan(64, 8), config.firmware);
    page[77] = static_cast<std::uint8_t>(config.transfer_pages_log2);  // MDTS
    store_le<std::uint16_t>(page, 78, 1);                              // CNTLID
    store_le<std::uint32_t>(page, 80, spec::kVersion14);               // VER
    page[111] = 1;                                                     // CNTRLTYPE: I/O
    page[258] = kAbortLimit - 1;                                       // ACL
    page[259] = kAsyncEventLimit - 1;                                  // AERL
    page[260] = 0x03;                                                  // FRMW: one slot, read only
    page[261] = 0x04;                  // LPA: offsets and long lengths in Get Log Page
    page[262] = kErrorLogEntries - 1;  // ELPE
    store_le<std::uint16_t>(page, 266, kWarningTemperature);
    store_le<std::uint16_t>(page, 268, kCriticalTemperature);
    page[512] = spec::kSubmissionSizeLog2 << 4 | spec::kSubmissionSizeLog2;  // SQES
    page[513] = spec::kCompletionSizeLog2 << 4 | spec::kCompletionSizeLog2;  // CQES
    store_le<std::uint32_t>(page, 516, namespaces);                          // NN
    store_le<std::uint16_t>(page, 520, 0x0d);  // ONCS: Compare, Dataset Management, Write Zeroes
    page[525] = 0x01;                          // VWC: present
    const std::string name =
        fmt::format("nqn.2014.08.org.nvmexpress:{:04x}{:04x}{:<20}{:<40}", 0, 0, config.serial,
                    config.model);  // 7.9: the form for controllers without a vendor's own name
    std::copy_n(name.begin(), std::min<std::size_t>(name.size(), 223), page.begin() + 768);
    store_le<std::uint16_t>(page, 2048, 900);  // PSD0: 9 W in the one power state
    return page;
}

IdentifyPage identify_namespace(const NvmeConfig& config, std::uint32_t nsid,
                                const DiskImage& image) {
    IdentifyPage page{};
    store_le<std::uint64_t>(page, 0, image.blocks());   // NSZE
    store_le<std::uint64_t>(page, 8, image.blocks());   // NCAP
    store_le<std::uint64_t>(page, 16, image.blocks());  // NUSE
    page[33] = 0x09;  // DLFEAT: deallocated blocks read as zeros; Write Zeroes may deallocate
    const std::array<std::uint8_t, 16> nguid = nguid_of(config, nsid);
    std::copy(nguid.begin(), nguid.end(), page.begin() + 104);
    page[130] = static_cast<std::uint8_t>(std::countr_zero(image.block_size()));  // LBAF0.LBADS
    return page;
}

IdentifyPage identify_active_list(std::uint32_t namespaces, std::uint32_t after) {
    IdentifyPage page{};
    std::size_t entry = 0;
    for (std::uint64_t nsid = std::uint64_t{after} + 1;
         nsid <= namespaces && entry < page.size() / 4; ++nsid, ++entry)
        store_le<std::uint32_t>(page, entry * 4, static_cast<std::uint32_t>(nsid));
    return page;
}

IdentifyPage identify_descriptors(const NvmeConfig& config, std::uint32_t nsid) {
    IdentifyPage page{};
    const std::array<std::uint8_t, 16> nguid = nguid_of(config, nsid);
    page[0] = 2;  // NIDT: NGUID
    page[1] = static_cast<std::uint8_t>(nguid.size());
    std::copy(nguid.begin(), nguid.end(), page.begin() + 4);
    return page;
}

std::vector<std::uint8_t> error_log(const std::vector<ErrorEntry>& newest_first) {
    constexpr std::size_t kEntrySize = 64;
    std::vector<std::uint8_t> log(kErrorLogEntries * kEntrySize);
    for (std::size_t i = 0; i < std::min<std::size_t>(newest_first.size(), kErrorLogEntries); ++i) {
        const std::span<std::uint8_t> entry = std::span(log).subspan(i * kEntrySize, kEntrySize);
        const ErrorEntry& error = newest_first[i];
        store_le<std::uint64_t>(entry, 0, error.count);
        store_le<std::uint16_t>(entry, 8, error.queue);
        store_le<std::uint16_t>(entry, 10, error.command);
        store_le<std::uint16_t>(entry, 12, static_cast<std::uint16_t>(error.status_field << 1));
        store_le<std::uint16_t>(entry, 14, 0xffff);  // which parameter: not specific
        store_le<std::uint64_t>(entry, 16, error.lba);
        store_le<std::uint32_t>(entry, 24, error.nsid);
    }
    return log;
}

std::vector<std::uint8_t> health_log(const HealthCounts& counts) {
    constexpr std::uint64_t kDataUnit = 512 * 1000;
    std::vector<std::uint8_t> log(512);
    store_le<std::uint16_t>(log, 1, kTemperature);
    log[3] = 100;  // available spare, percent
    log[4] = 10;   // its threshold
    store_le<std::uint64_t>(log, 32, (counts.bytes_read + kDataUnit - 1) / kDataUnit);
    store_le<std::uint64_t>(log, 48, (counts.bytes_written + kDataUnit - 1) / kDataUnit);
    store_le<std::uint64_t>(log, 64, counts.reads);
    store_le<std::uint64_t>(log, 80, counts.writes);
    store_le<std::uint64_t>(log, 112, 1);  // power cycles
    store_le<std::uint64_t>(log, 128, counts.power_on / (3600 * sim::kSecond));
    store_le<std::uint64_t>(log, 176, counts.errors);
    return log;
}

std::vector<std::uint8_t> firmware_log(const NvmeConfig& config) {
    std::vector<std::uint8_t> log(512);
    log[0] = 1;  // AFI: slot 1 is active
    store_text(std::span(log).subspan(8, 8), config.firmware);
    return log;
}

}  // namespace hvsim::devices::nvme
