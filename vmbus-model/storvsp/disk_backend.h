#pragma once
// What a virtual disk needs from the floor below: an asynchronous block device whose DMA goes
// straight to the guest's pages.
#include <cstdint>
#include <span>
#include <vector>

#include "sim/time.h"
#include "vmbus-model/gpa_ranges.h"

namespace hvsim::vmbus::storvsp {

struct DiskGeometry {
    std::uint32_t block_size = 512;  ///< bytes, a power of two, 512 or more
    std::uint64_t blocks = 0;
    bool write_protected = false;
    bool write_cache = true;  ///< volatile: flush means something
    bool discard = false;
};

enum class DiskOperation : std::uint8_t { read, write, flush, discard };

struct DiskExtent {
    std::uint64_t lba = 0;
    std::uint64_t blocks = 0;
    bool operator==(const DiskExtent&) const = default;
};

struct DiskRequest {
    DiskOperation operation = DiskOperation::read;
    bool force_unit_access = false;
    std::vector<DiskExtent> extents;  ///< read, write: exactly one; flush: none; discard: 1..256
    /// read, write: together blocks * block_size bytes, each within one page of the child. The
    /// guest chose them: they may be unmapped, of odd lengths or have gaps between pages. A backend
    /// that cannot reach such a list answers dma_fault.
    std::vector<GpaSegment> segments;
};

enum class DiskOutcome : std::uint8_t {
    ok,
    medium_error,
    not_ready,
    dma_fault,  ///< the guest's pages could not be reached
    aborted,
};

/// Is told when a request is over: exactly once for each submit(), from within it or later. Nothing
/// of the request touches the guest's memory afterwards.
class DiskClient {
  public:
    virtual ~DiskClient() = default;
    virtual void disk_complete(sim::Time now, std::uint64_t token, DiskOutcome outcome) = 0;
    /// A command for the request goes to the disk's controller, which names it so in its events.
    virtual void disk_issued(sim::Time, std::uint64_t, std::uint32_t) {}
};

class DiskBackend {
  public:
    virtual ~DiskBackend() = default;
    virtual DiskGeometry geometry() const = 0;
    /// Extents are within the disk. `token` comes back in client.disk_complete().
    virtual void submit(sim::Time now, const DiskRequest& request, std::uint64_t token,
                        DiskClient& client) = 0;
};

}  // namespace hvsim::vmbus::storvsp
