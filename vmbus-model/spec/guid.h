#pragma once
// GUIDs in wire order, and those that name VMBus devices.
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hvsim::vmbus::spec {

/// A GUID as it lies in memory: the first three groups little endian, the last two as written.
struct Guid {
    std::array<std::uint8_t, 16> bytes{};
    auto operator<=>(const Guid&) const = default;
};
static_assert(sizeof(Guid) == 16);

/// Byte of each pair of hexadecimal digits of the text form, in text order.
inline constexpr std::array<std::uint8_t, 16> kGuidTextOrder{3, 2, 1,  0,  5,  4,  7,  6,
                                                             8, 9, 10, 11, 12, 13, 14, 15};

/// Whether `text` is of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx; fills `guid` if so.
constexpr bool parse_guid(std::string_view text, Guid& guid) {
    if (text.size() != 36) return false;
    std::size_t digit = 0;
    std::array<std::uint8_t, 16> values{};
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') return false;
            continue;
        }
        unsigned value = 0;
        if (c >= '0' && c <= '9')
            value = static_cast<unsigned>(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = static_cast<unsigned>(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            value = static_cast<unsigned>(c - 'A' + 10);
        else
            return false;
        std::uint8_t& byte = values[kGuidTextOrder[digit / 2]];
        byte = static_cast<std::uint8_t>(byte << 4 | value);
        ++digit;
    }
    guid.bytes = values;
    return true;
}

/// A GUID literal of the program itself; a wrong one does not compile.
consteval Guid guid(std::string_view text) {
    Guid value;
    if (!parse_guid(text, value)) throw "not a GUID";
    return value;
}

inline std::string to_string(const Guid& guid) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        const std::uint8_t byte = guid.bytes[kGuidTextOrder[i]];
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

/// Interface types (OfferChannel.interface_type).
inline constexpr Guid kScsiType = guid("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");
inline constexpr Guid kIdeType = guid("32412632-86cb-44a2-9b5c-50d1417354f5");
inline constexpr Guid kNetworkType = guid("f8615163-df3e-46c5-913f-f2d2f965ed0e");
inline constexpr Guid kShutdownType = guid("0e0b6031-5213-4934-818b-38d90ced39db");
inline constexpr Guid kTimeSyncType = guid("9527e630-d0ae-497b-adce-e80ab0175caf");
inline constexpr Guid kHeartbeatType = guid("57164f39-9115-4e78-ab55-382f3bd5422d");
inline constexpr Guid kKeyboardType = guid("f912ad6d-2b17-48ea-bd65-f927a61c7684");
inline constexpr Guid kMouseType = guid("cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a");
inline constexpr Guid kVideoType = guid("da0a7802-e377-4aac-8e77-0558eb1073f8");
inline constexpr Guid kPciType = guid("44c4f61d-4444-4400-9d52-802e27ede19f");

}  // namespace hvsim::vmbus::spec
