#pragma once
// Loads and stores of fixed-width integers in byte images that a specification lays out.
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "sim/error.h"

namespace hvsim::devices {

static_assert(std::endian::native == std::endian::little);

template <std::unsigned_integral T>
constexpr T swapped(T value) noexcept {
    T result = 0;
    for (unsigned i = 0; i < sizeof(T); ++i)
        result = static_cast<T>(result | static_cast<T>(value >> (8 * i) & 0xff)
                                             << (8 * (sizeof(T) - 1 - i)));
    return result;
}

/// `offset` is the model's, never a guest's: outside of the image is a failed assertion.
template <std::unsigned_integral T>
T load_le(std::span<const std::uint8_t> image, std::size_t offset) {
    SIM_ASSERT(image.size() >= sizeof(T) && offset <= image.size() - sizeof(T));
    T value;
    std::memcpy(&value, image.data() + offset, sizeof(T));
    return value;
}

template <std::unsigned_integral T>
void store_le(std::span<std::uint8_t> image, std::size_t offset, std::type_identity_t<T> value) {
    SIM_ASSERT(image.size() >= sizeof(T) && offset <= image.size() - sizeof(T));
    std::memcpy(image.data() + offset, &value, sizeof(T));
}

template <std::unsigned_integral T>
T load_be(std::span<const std::uint8_t> image, std::size_t offset) {
    return swapped(load_le<T>(image, offset));
}

template <std::unsigned_integral T>
void store_be(std::span<std::uint8_t> image, std::size_t offset, std::type_identity_t<T> value) {
    store_le<T>(image, offset, swapped(static_cast<T>(value)));
}

}  // namespace hvsim::devices
