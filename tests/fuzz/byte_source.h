#pragma once
// A fuzzer's input as a stream; zeros when it is used up.
#include <cstddef>
#include <cstdint>
#include <span>

namespace hvsim::fuzz {

class ByteSource {
  public:
    explicit ByteSource(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
    bool empty() const { return bytes_.empty(); }
    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        const std::uint8_t value = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return value;
    }
    std::uint16_t word() {
        const std::uint8_t low = byte();
        return static_cast<std::uint16_t>(low | byte() << 8);
    }

  private:
    std::span<const std::uint8_t> bytes_;
};

}  // namespace hvsim::fuzz
