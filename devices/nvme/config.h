#pragma once
#include <cstdint>
#include <string>

#include "sim/event.h"
#include "sim/time.h"

namespace hvsim::devices::nvme {

struct NvmeConfig {
    std::string serial = "HVSIM0000001";          ///< at most 20 printable ASCII characters
    std::string model = "hvsim NVMe controller";  ///< at most 40
    std::string firmware = "1.0";                 ///< at most 8
    unsigned io_queues = 16;                      ///< I/O queue pairs, 1 to 64
    unsigned queue_entries = 1024;                ///< most entries of an I/O queue, 2 to 65536
    unsigned vectors = 17;                        ///< MSI-X vectors, 1 to 256
    unsigned transfer_pages_log2 = 5;  ///< MDTS: largest transfer, 4 KiB << this; 1 to 10
    unsigned outstanding = 1024;       ///< commands taken from queues and not completed

    // What a command costs. It waits for one of `parallelism` units, spends its latency there, then
    // its bytes pass the one data path of `bandwidth`.
    sim::Duration read_latency = 80 * sim::kMicrosecond;
    sim::Duration write_latency = 20 * sim::kMicrosecond;
    sim::Duration flush_latency = 100 * sim::kMicrosecond;
    sim::Duration admin_latency = 10 * sim::kMicrosecond;
    sim::Duration enable_time = sim::kMillisecond;  ///< CC.EN to CSTS.RDY
    std::uint64_t bandwidth = 3'000'000'000;        ///< bytes per second
    unsigned parallelism = 32;

    sim::Subject subject;  ///< of its events
};

/// Throws ConfigError naming the first value outside of the limits above.
void check(const NvmeConfig& config);

}  // namespace hvsim::devices::nvme
