#pragma once
// A request to a disk of the root partition, as the providers above see it: neutral of the
// controller and of the guest that it is for.
#include <cstdint>
#include <vector>

#include "sim/time.h"

namespace hvsim::hv::stack {

enum class DiskOperation : std::uint8_t { read, write, flush, discard };

struct DiskExtent {
    std::uint64_t lba = 0;
    std::uint64_t blocks = 0;
};

/// Memory by root guest-physical address, `length` in bytes; contiguous, may cross pages.
struct MemorySegment {
    std::uint64_t address = 0;
    std::uint64_t length = 0;
};

struct DiskRequest {
    std::uint32_t disk = 1;  ///< namespace identifier
    DiskOperation operation = DiskOperation::read;
    bool force_unit_access = false;
    std::vector<DiskExtent> extents;      ///< read, write: one; flush: none; discard: any number
    std::vector<MemorySegment> segments;  ///< read, write: together the extent's bytes
};

enum class DiskStatus : std::uint8_t {
    ok,
    invalid_request,  ///< no such disk, outside of it, or memory that does not fit the blocks
    dma_fault,        ///< the memory could not be reached
    medium_error,
    aborted,
    not_ready,  ///< the controller is stopped
};

/// Is told when a request is over: exactly once for each submit(), from within it or later. Nothing
/// touches the request's memory afterwards.
class DiskCompletionHandler {
  public:
    virtual ~DiskCompletionHandler() = default;
    virtual void disk_completed(sim::Time now, std::uint64_t token, DiskStatus status) = 0;
    /// A command for the request goes to the controller: queue number x 65536 + identifier.
    virtual void disk_issued(sim::Time, std::uint64_t, std::uint32_t) {}
};

struct DiskProperties {
    std::uint32_t block_size = 0;  ///< bytes, a power of two; 0 = there is no such disk
    std::uint64_t blocks = 0;
    bool write_protected = false;
    bool write_cache = false;  ///< volatile: flush means something
    bool discard = false;
};

}  // namespace hvsim::hv::stack
