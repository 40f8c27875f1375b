#include <bit>

#include "hypervisor-model/spec/registers.h"

namespace hvsim::hv {
namespace {

constexpr std::uint32_t kUnusable = 1u << 16;
constexpr std::uint16_t kPresent = 1u << 7;

}  // namespace

WireSegment WireSegment::from(const cpu::engine::Segment& segment) {
    // The wire form has no "unusable": such a segment is not present (TLFS 7.10.4).
    const bool unusable = (segment.access_rights & kUnusable) != 0;
    return {segment.base, segment.limit, segment.selector,
            static_cast<std::uint16_t>(unusable ? segment.access_rights & ~kPresent & 0xffff
                                                : segment.access_rights & 0xffff)};
}

cpu::engine::Segment WireSegment::to_segment() const {
    return {selector, limit, base, attributes | ((attributes & kPresent) != 0 ? 0 : kUnusable)};
}

RegisterValue RegisterValue::of(const WireSegment& segment) {
    return std::bit_cast<RegisterValue>(segment);
}
WireSegment RegisterValue::segment() const {
    return std::bit_cast<WireSegment>(*this);
}
RegisterValue RegisterValue::of(const WireTable& table) {
    return std::bit_cast<RegisterValue>(table);
}
WireTable RegisterValue::table() const {
    return std::bit_cast<WireTable>(*this);
}

}  // namespace hvsim::hv
