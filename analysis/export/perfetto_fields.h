#pragma once
// Field numbers of perfetto.proto, which says where they come from.
#include <cstdint>

namespace hvsim::analysis::perfetto {

enum class Trace : std::uint32_t { packet = 1 };

enum class TracePacket : std::uint32_t {
    timestamp = 8,
    trusted_packet_sequence_id = 10,
    track_event = 11,
    interned_data = 12,
    sequence_flags = 13,
    track_descriptor = 60,
};
inline constexpr std::uint32_t kSeqIncrementalStateCleared = 1, kSeqNeedsIncrementalState = 2;

enum class InternedData : std::uint32_t {
    event_names = 2,
    debug_annotation_names = 3,
    debug_annotation_string_values = 29,
};
/// EventName, DebugAnnotationName, InternedString.
enum class Interned : std::uint32_t { iid = 1, text = 2 };

enum class TrackDescriptor : std::uint32_t {
    uuid = 1,
    name = 2,
    parent_uuid = 5,
    counter = 8,
    child_ordering = 11,
    sibling_order_rank = 12,
    description = 14,
};
inline constexpr std::int32_t kOrderingExplicit = 3;

enum class CounterDescriptor : std::uint32_t { unit_name = 6 };

enum class TrackEvent : std::uint32_t {
    debug_annotations = 4,
    type = 9,
    name_iid = 10,
    track_uuid = 11,
    name = 23,
    counter_value = 30,
    double_counter_value = 44,
    flow_ids = 47,
    terminating_flow_ids = 48,
};
inline constexpr std::int32_t kTypeSliceBegin = 1, kTypeSliceEnd = 2, kTypeInstant = 3,
                              kTypeCounter = 4;

enum class DebugAnnotation : std::uint32_t {
    name_iid = 1,
    uint_value = 3,
    pointer_value = 7,
    string_value_iid = 17,
};

}  // namespace hvsim::analysis::perfetto
