#pragma once
// The data structures that Identify and Get Log Page return (NVM Express 1.4, 5.15.2 and 5.14.1).
#include <array>
#include <cstdint>
#include <vector>

#include "devices/disk_image.h"
#include "devices/nvme/config.h"

namespace hvsim::devices::nvme {

using IdentifyPage = std::array<std::uint8_t, 4096>;

inline constexpr unsigned kAbortLimit = 4;  ///< Abort commands at once; all finish at once here
inline constexpr unsigned kAsyncEventLimit = 4;  ///< Async Event Requests held
inline constexpr unsigned kErrorLogEntries = 4;
inline constexpr std::uint16_t kWarningTemperature = 343;   ///< kelvin
inline constexpr std::uint16_t kCriticalTemperature = 353;  ///< kelvin
inline constexpr std::uint16_t kTemperature = 313;          ///< kelvin: the model's is constant

/// Figure 247; `namespaces` is NN.
IdentifyPage identify_controller(const NvmeConfig& config, std::uint32_t namespaces);
/// Figure 245.
IdentifyPage identify_namespace(const NvmeConfig& config, std::uint32_t nsid,
                                const DiskImage& image);
/// Active namespaces above `after`, in rising order (5.15.2.3).
IdentifyPage identify_active_list(std::uint32_t namespaces, std::uint32_t after);
/// Namespace identification descriptors (5.15.2.4): the NGUID.
IdentifyPage identify_descriptors(const NvmeConfig& config, std::uint32_t nsid);

/// An Error Information log entry (figure 193), newest first in the log.
struct ErrorEntry {
    std::uint64_t count = 0;
    std::uint16_t queue = 0;
    std::uint16_t command = 0;
    std::uint16_t status_field = 0;
    std::uint64_t lba = 0;
    std::uint32_t nsid = 0;
};

/// Counts of the SMART / Health log (figure 194).
struct HealthCounts {
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t errors = 0;
    sim::Time power_on = 0;
};

std::vector<std::uint8_t> error_log(const std::vector<ErrorEntry>& newest_first);
std::vector<std::uint8_t> health_log(const HealthCounts& counts);
std::vector<std::uint8_t> firmware_log(const NvmeConfig& config);

}  // namespace hvsim::devices::nvme
