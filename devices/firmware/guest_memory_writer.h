#pragma once
#include <cstdint>
#include <span>

namespace hvsim::devices::firmware {

/// How start-up code puts bytes into the memory of a machine that does not run yet.
class GuestMemoryWriter {
  public:
    virtual ~GuestMemoryWriter() = default;
    /// Writes `bytes` at guest physical address `gpa`; false, and nothing written, when a part of
    /// the range is not memory.
    [[nodiscard]] virtual bool write(std::uint64_t gpa, std::span<const std::uint8_t> bytes) = 0;
};

}  // namespace hvsim::devices::firmware
