#pragma once
// Big-endian integers in SCSI data.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace hvsim::vmbus::storvsp {

/// `Size` bytes from `offset`, which the caller knows to be there.
template <std::size_t Size>
constexpr std::uint64_t load_be(std::span<const std::uint8_t> bytes, std::size_t offset) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < Size; ++i) value = value << 8 | bytes[offset + i];
    return value;
}

template <std::size_t Size>
constexpr void store_be(std::span<std::uint8_t> bytes, std::size_t offset, std::uint64_t value) {
    for (std::size_t i = 0; i < Size; ++i)
        bytes[offset + i] = static_cast<std::uint8_t>(value >> (8 * (Size - 1 - i)));
}

}  // namespace hvsim::vmbus::storvsp
