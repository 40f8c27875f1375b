#pragma once
// Guest physical address descriptor lists: buffers that the guest lends to the host, announced by
// one header message and any number of bodies.
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "vmbus-model/gpa_ranges.h"
#include "vmbus-model/spec/protocol.h"

namespace hvsim::vmbus {

enum class GpadlState : std::uint8_t {
    in_progress,   ///< bodies are missing
    created,       ///< the guest was told so
    tearing_down,  ///< the guest wants it back; still in use by the host
};

struct Gpadl {
    std::uint32_t relid = 0;
    GpadlState state = GpadlState::in_progress;
    std::uint32_t range_count = 0;
    std::size_t announced = 0;         ///< bytes of all ranges, by the header
    std::vector<std::uint8_t> buffer;  ///< bytes received so far; empty once created
    GpaRangeList ranges;               ///< valid once created
};

struct GpadlLimits {
    std::size_t handles = 4096;    ///< at most so many at a time
    std::size_t pages = 1u << 20;  ///< page numbers of all of them together
};

/// The GPADLs of one connection, by handle. Handles are the guest's choice; one in use cannot be
/// taken again, on whatever channel, because bodies name no channel.
class GpadlTable {
  public:
    explicit GpadlTable(GpadlLimits limits) : limits_(limits) {}

    enum class Step : std::uint8_t {
        incomplete,  ///< wait for more bodies
        created,     ///< complete and valid
        refused,     ///< wrong or too much: tell the guest; an unfinished GPADL is forgotten
        unknown,     ///< a body for a handle that is not in progress: nobody to tell
    };
    /// A GpadlHeader with the bytes that follow its fixed part.
    Step begin(const spec::GpadlHeader& header, std::span<const std::uint8_t> bytes);
    /// A GpadlBody's bytes; `relid` is filled in except for `unknown`.
    Step append(std::uint32_t handle, std::span<const std::uint8_t> bytes, std::uint32_t& relid);

    Gpadl* find(std::uint32_t handle);
    /// The created GPADL `handle` of channel `relid`, or nullptr.
    const Gpadl* created(std::uint32_t handle, std::uint32_t relid) const;
    void erase(std::uint32_t handle);
    /// Forgets all of channel `relid` whatever their state.
    void erase_channel(std::uint32_t relid);
    void clear();
    std::size_t size() const { return gpadls_.size(); }
    std::size_t pages() const { return pages_; }
    const std::map<std::uint32_t, Gpadl>& all() const { return gpadls_; }

  private:
    Step take(Gpadl& gpadl, std::span<const std::uint8_t> bytes);
    void forget(std::map<std::uint32_t, Gpadl>::iterator it);

    GpadlLimits limits_;
    std::map<std::uint32_t, Gpadl> gpadls_;
    std::size_t pages_ =
        0;  // 8-byte units announced by all entries: an upper bound of page numbers
};

}  // namespace hvsim::vmbus
